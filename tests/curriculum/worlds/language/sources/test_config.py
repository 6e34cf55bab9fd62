"""What a task may not say."""

from typing import Any

import pytest

from tests.curriculum.worlds.language.sources.building import CONFIG


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"type": "reasoning_gym", "dataset": "gcd", "config": {"seed": 3}}, "`config.seed` is set by perdure"),
        ({"type": "python", "path": "a:b", "args": {"train": 3}}, "`args.train` is given by perdure"),
        ({"type": "dataset", "path": "x", "reward": {"type": "source"}}, "has no verifier of its own"),
        ({"type": "dataset", "path": "x", "template": "{a}", "columns": {"prompt": "p"}}, "keep one"),
        ({"type": "dataset", "path": "x", "columns": {"prompt": "p", "question": "q"}}, "keep one"),
        ({"type": "dataset", "path": "x", "chat": False, "columns": {"system": "s"}}, "plain text prompts"),
        (
            {"type": "dataset", "path": "x", "split": "a", "heldout": {"split": "a"}},
            "is the data that is learned from",
        ),
        (
            {"type": "dataset", "path": "x", "heldout": {"path": "y", "template": "", "columns": {"prompt": "p"}}},
            "keep one",
        ),
        ({"type": "dataset", "path": "x", "heldout": 1}, "greater than or equal to 2"),
        ({"type": "dataset", "path": "x", "unreadable": "leave_out"}, "goes with a reward by name"),
        ({"type": "dataset", "path": "x", "trust_remote_code": True}, "Extra inputs are not permitted"),
    ],
)
def test_what_a_task_may_not_say(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CONFIG.validate_python(config)
