"""Meta-World without its extra."""

import pytest

from perdure.budget.errors import ConfigError
from perdure.curriculum.worlds.control.environments.metaworld_task import load


def test_a_missing_package_is_told_with_its_remedy() -> None:
    with pytest.raises(ConfigError, match=r"pip install 'perdure\[robots\]'"):
        load("no_such_simulator")
