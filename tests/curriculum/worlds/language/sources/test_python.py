"""Tasks that a user's own function makes."""

import pytest

from perdure.budget.errors import ConfigError
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
