"""The kinds of sandboxes, by the name in `sandbox.type`."""

from collections.abc import Callable
from typing import Any

from perdure.curriculum.sandbox.bubblewrap import Bubblewrap
from perdure.curriculum.sandbox.config import SandboxConfig
from perdure.curriculum.sandbox.contract import Sandbox, check
from perdure.curriculum.sandbox.podman import Podman

SANDBOXES: dict[str, Callable[[Any], Sandbox]] = {
    "bubblewrap": Bubblewrap,
    "podman": Podman,
}


def open_sandbox(config: SandboxConfig) -> Sandbox:
    """The sandbox that a section names, after one run in it.

    Raises:
        ConfigError: this machine lacks it, or it does not work here.
    """
    sandbox = SANDBOXES[config.type](config)
    check(sandbox, config.type)
    return sandbox
