"""A sandbox for tests, which are skipped where this machine has none."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from perdure.budget.errors import ConfigError
from perdure.curriculum.sandbox.config import SandboxConfig
from perdure.curriculum.sandbox.contract import Sandbox
from perdure.curriculum.sandbox.registry import open_sandbox

IMAGE = "localhost/perdure-sandbox"
"""An image with `python3` of whoever tests containers: none is made or fetched here."""
READ: TypeAdapter[Any] = TypeAdapter(SandboxConfig)


def opened(kind: str = "bubblewrap") -> Sandbox:
    more = {} if kind == "bubblewrap" else {"image": IMAGE}
    try:
        return open_sandbox(
            READ.validate_python({"type": kind, "memory": 256, "processes": 6, "disk": 4, "workers": 2, **more})
        )
    except ConfigError as error:
        pytest.skip(str(error))
