import pytest

from perdure.curriculum.sandbox.contract import Sandbox
from tests.curriculum.sandbox.opened import opened


@pytest.fixture(scope="module", params=["bubblewrap", "podman"])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    return opened(request.param)
