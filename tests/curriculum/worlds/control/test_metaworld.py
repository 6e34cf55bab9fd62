"""Meta-World without its extra, and without a screen."""

import pytest

from perdure.budget.errors import ConfigError
from perdure.curriculum.worlds.control.environments.metaworld_task import load
from perdure.curriculum.worlds.control.environments.mujoco_camera import backend_among


def test_a_missing_package_is_told_with_its_remedy() -> None:
    with pytest.raises(ConfigError, match=r"pip install 'perdure\[robots\]'"):
        load("no_such_simulator")


def test_the_library_that_draws() -> None:
    assert backend_among(" OSMesa", lambda library: None) == "osmesa"
    assert backend_among("", {"OSMesa": "libOSMesa.so.8"}.get) == "osmesa"
    assert backend_among("glfw", lambda library: library) == "egl"  # a screen's library is none without a screen
    with pytest.raises(ConfigError, match="without a screen: install libegl1 or libosmesa6"):
        backend_among("", lambda library: None)
