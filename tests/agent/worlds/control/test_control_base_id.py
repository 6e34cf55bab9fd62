"""The identity of a base of the control world says what its KL depends on."""

from typing import Any

from perdure.agent.worlds.control.pretrain import base_id
from perdure.budget.base_id import kl_settings, short_id
from perdure.curriculum.worlds.control.model import ControlModel

TASK = {"type": "gymnasium", "id": "tests.point_world:Point-v0", "demonstrations": {"type": "expert"}}


def model(**more: Any) -> ControlModel:
    given = {"type": "control", "pretrain": {"tasks": [{"task": TASK | more.pop("task", {})}]}}
    return ControlModel.model_validate(given | more)


def test_bins_and_hold_stand_before_the_hash() -> None:
    assert kl_settings(base_id(model(), 1)) == "bins 21, action_repeat 1"
    found = base_id(model(bins=11), 5)
    assert kl_settings(found) == "bins 11, action_repeat 5"
    assert short_id(found) == found[: len("bins 11, action_repeat 5: ") + 12]
    assert len({base_id(model(), 1), base_id(model(), 5), base_id(model(bins=11), 1)}) == 3


def test_discrete_actions_have_no_bins() -> None:
    assert kl_settings(base_id(model(task={"id": "FrozenLake-v1"}), 1)) == "action_repeat 1"


def test_a_bare_hash_has_no_settings() -> None:
    assert (kl_settings("0123456789abcdef"), short_id("0123456789abcdef")) == ("", "0123456789ab")
