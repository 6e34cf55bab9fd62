import pytest

from perdure.curriculum.sandbox.contract import Sandbox
from tests.curriculum.sandbox.opened import opened


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    return opened()
