"""Which actions there are, and which a task leaves."""

import numpy as np
import pytest

from perdure.agent.environment.actions import action_mask, action_methods, action_shares, learnable_methods
from perdure.budget.errors import ConfigError
from perdure.curriculum.task import Item, Task
from perdure.curriculum.worlds.registry import spec_of


class Right:
    """A reward."""

    def __call__(self, items: object, completions: object, completion_ids: object = None) -> list[float | None]:
        raise AssertionError("nothing is answered here")


UNSHOWN = Task("unshown", (Item("1+1"),), (), Right())


def test_the_methods_are_seven_unless_named() -> None:
    assert action_methods(None, spec_of("vision")) == ("sft", "low_lr_sft", "sft_kl", "rl", "rl_kl", "chord", "tilt")
    assert action_methods(["tilt", "rl"], spec_of("vision")) == ("tilt", "rl")


@pytest.mark.parametrize(
    ("asked", "message"),
    [(["sfft"], "no method 'sfft'.*'sft'"), (["sdft"], "vision world"), ([], "one method"), (["rl", "rl"], "twice")],
)
def test_methods_that_make_no_sense_are_refused(asked: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        action_methods(asked, spec_of("vision"))


@pytest.mark.parametrize("asked", [[], [0.0], [0.5, 1.2], [float("nan")]])
def test_shares_that_make_no_sense_are_refused(asked: list[float]) -> None:
    with pytest.raises(ConfigError, match="shares"):
        action_shares(asked)


def test_a_task_without_demonstrations_leaves_what_needs_none() -> None:
    able = learnable_methods(("sft", "rl", "chord", "tilt"), UNSHOWN, spec_of("vision"))
    assert able == ("rl", "tilt")
    methods, shares = action_mask(("sft", "rl", "chord", "tilt"), able, 2)
    np.testing.assert_array_equal(methods, np.array([0, 1, 0, 1], np.int8))
    np.testing.assert_array_equal(shares, np.array([1, 1], np.int8))
    with pytest.raises(ConfigError, match="'unshown' can be learned by none of sft, chord; add rl or"):
        learnable_methods(("sft", "chord"), UNSHOWN, spec_of("vision"))
