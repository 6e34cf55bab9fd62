"""The kinds of sandboxes, by the name in `sandbox.type`."""

from collections.abc import Callable

from perdure.curriculum.sandbox.bubblewrap import Bubblewrap
from perdure.curriculum.sandbox.config import SandboxConfig
from perdure.curriculum.sandbox.contract import Sandbox

SANDBOXES: dict[str, Callable[[SandboxConfig], Sandbox]] = {"bubblewrap": Bubblewrap}


def open_sandbox(config: SandboxConfig) -> Sandbox:
    """The sandbox that a section names, after one run in it.

    Raises:
        ConfigError: this machine lacks it, or it does not work here.
    """
    return SANDBOXES[config.type](config)
