"""Tasks that a user's own function makes."""

import pytest

from perdure.budget.errors import ConfigError
from perdure.eval.task_score import scorer_of
from tests.curriculum.methods import check_task, learnable_by
from tests.curriculum.worlds.language.sources.building import BY_REWARD, MATCH, python


def test_python_tasks(own: str) -> None:
    task = python(f"{own}:echo", args={"word": "ho"}, seed=5)
    assert task.name == "stage"
    assert [item.prompt for item in task.heldout] == ["5 ho 4", "5 ho 5"]
    assert learnable_by(task) == ()
    rewarded = python(f"{own}:echo", reward=MATCH)
    assert learnable_by(rewarded) == BY_REWARD
    with pytest.raises(ConfigError, match="it cannot be learned at all"):
        check_task(task, "rl")


def test_a_reward_that_is_made_with_other_arguments_gives_other_scores(own: str) -> None:
    one, same, other = (python(f"{own}:lenient", args=args) for args in ({}, {}, {"least": 3.0}))
    assert one.fingerprint() == other.fingerprint()
    assert one.reward is not None and other.reward is not None
    assert (one.reward(one.heldout[:1], ["xx"]), other.reward(one.heldout[:1], ["xx"])) == ([1.0], [0.0])
    assert scorer_of(one) == scorer_of(same) != scorer_of(other)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (":leaky", "1 held-out prompts are also trained on"),
        (":number", "returned int; it must return a perdure.curriculum.task.Task"),
        (":short", "returned 0 training and 1 held-out items"),
        (":broken", r"failed: KeyError: 'oops' \(.*own_tasks_for_test.py, line \d+\)"),
        (":eco", "has no 'eco'; did you mean 'echo'"),
        (":OWN_CONSTANT", "has no 'OWN_CONSTANT'"),
    ],
)
def test_python_refuses(own: str, path: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        python(own + path)


def test_python_names_what_cannot_be_imported(own: str) -> None:
    with pytest.raises(ConfigError, match="no module 'nothing_of_that_name'; it must be installed or lie in"):
        python("nothing_of_that_name:task")
    with pytest.raises(
        ConfigError,
        match="importing 'own_broken_for_test' failed: ModuleNotFoundError: No module named 'nothing_like_this'",
    ):
        python("own_broken_for_test:task")
    with pytest.raises(ConfigError, match=r"the task 'nothing' is no entry point of the group 'perdure.tasks'"):
        python("nothing")
    with pytest.raises(ConfigError, match="unexpected keyword argument 'wrd'"):
        python(f"{own}:echo", args={"wrd": "ho"})
