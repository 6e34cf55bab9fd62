"""The modifier `replay`: how much is replayed, of what, and that it moves the policy elsewhere."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perdure.agent.worlds.language.methods.replay import mixture
from perdure.agent.worlds.language.trl.rows import IMITATES, recalled
from perdure.budget.errors import DataError
from perdure.curriculum.task import Task
from tests.agent.worlds.language.jobs import after, job_of, settings_of, update
from tests.agent.worlds.language.tiny_world import tiny_policy
from tests.agent.worlds.language.toy import toy_task

QUICK: dict[str, Any] = {"learning_rate": 3e-3, "warmup_steps": 0, "per_device_train_batch_size": 8, "max_steps": 4}


def task_of(name: str, letters: str, *, bare: bool = False) -> Task:
    items = [replace(item, demonstration=letters, columns={"of": name}) for item in toy_task(10).train]
    return Task(name, tuple([*items[:-1], replace(items[-1], demonstration=None)] if bare else items), (), None)


@pytest.mark.parametrize(("ratio", "count"), [(0.2, 5), (0.01, 1), (0.5, 20), (0.9, 20)])
def test_the_share_of_replayed_examples(ratio: float, count: int) -> None:
    """Of 20 new items: 5 old make 5/25, a hundredth is one at least, 20 make a half, and there are no more than 20."""
    earlier = (task_of("a", "x"), task_of("b", "y"))
    job = job_of("replay", None, toy_task(20), Path(), settings_of("replay"), earlier=earlier)
    mixed = mixture(job, ratio=ratio, seed=0).train
    assert mixed[:20] == toy_task(20).train
    names = [item.columns["of"] for item in mixed[20:]]
    assert len(names) == count
    assert abs(names.count("a") - names.count("b")) <= 1


def test_replay_is_drawn_at_the_seed_and_leaves_out_what_cannot_be_imitated() -> None:
    earlier = [task_of("a", "x"), task_of("bare", "y", bare=True)]
    first, same, other = (recalled(earlier, IMITATES, count=5, seed=seed) for seed in (0, 0, 1))
    assert first == same != other
    assert {item.columns["of"] for item in first} == {"a"}
    assert recalled([task_of("bare", "y", bare=True)], IMITATES, count=5, seed=0) == []
    assert recalled([], IMITATES, count=5, seed=0) == []


def test_replay_mixes_text_and_messages_and_moves_the_policy_elsewhere(tmp_path: Path) -> None:
    earlier = (replace(toy_task(6, chat=False), name="old"),)
    mixed = after(
        "replay", settings_of("replay", **QUICK, replay={"replay_ratio": 0.3}), tmp_path / "a", earlier=earlier
    )
    assert mixed != after("sft", settings_of("sft", **QUICK), tmp_path / "sft")


def test_replay_without_demonstrations_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be learned by `replay`"):
        update(job_of("replay", tiny_policy(), task_of("bare", "x", bare=True), tmp_path, settings_of("replay")))
