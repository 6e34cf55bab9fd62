"""A sandbox for tests, which are skipped where this machine has none."""

import pytest

from perdure.budget.errors import ConfigError
from perdure.curriculum.sandbox.config import SandboxConfig
from perdure.curriculum.sandbox.contract import Sandbox
from perdure.curriculum.sandbox.registry import open_sandbox


def opened() -> Sandbox:
    try:
        return open_sandbox(SandboxConfig(type="bubblewrap", memory=256, processes=6, disk=4, workers=2))
    except ConfigError as error:
        pytest.skip(str(error))
