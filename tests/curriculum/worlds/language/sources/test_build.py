"""Which methods a task can be learned by."""

from pathlib import Path

import pytest

from perdure.budget.errors import ConfigError, DataError
from tests.curriculum.methods import check_task, learnable_by
from tests.curriculum.worlds.language.sources.building import BY_IMITATION, BY_REWARD, MATCH, SUMS, data, write_rows


def test_without_a_reward_a_dataset_can_only_be_imitated(tmp_path: Path) -> None:
    task = data(write_rows(tmp_path / "sums.jsonl", SUMS))
    assert learnable_by(task) == BY_IMITATION
    for method in ("rl", "chord", "gate", "tilt", "rl_kl"):
        with pytest.raises(
            ConfigError, match=f"method '{method}' needs .* it can be learned by 'sft', 'sdft', .* or 'lora'"
        ):
            check_task(task, method)
    check_task(task, "sft")


def test_without_answers_a_dataset_can_only_be_rewarded(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "asks.jsonl", [{"prompt": f"Say a word with {a}"} for a in "abcdefghij"])
    task = data(path, reward={"type": "regex", "pattern": "^[a-z]+$"})
    assert learnable_by(task) == BY_REWARD
    assert task.reward is not None
    assert task.reward(task.heldout[:2], ["word", "two words"]) == [1.0, 0.0]
    with pytest.raises(DataError, match="'exact_match' compares with the answer, and 9 of 9 items have none"):
        data(path, reward=MATCH)
