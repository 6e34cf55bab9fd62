"""Runs in the vision world: the loop, the monitor and the scorecard are the ones that exist."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from perdure.agent.loop import run_curriculum
from perdure.agent.run.event import Event
from perdure.agent.run.folder import read_json
from perdure.agent.run.journal import read_journal
from perdure.agent.run.state import RunState, read_state
from perdure.agent.run.steps import Step
from perdure.agent.setup import resume, start
from perdure.agent.worlds.contract import Progress, UpdateJob
from perdure.agent.worlds.vision.pretrain import base_id
from perdure.agent.worlds.vision.sweep_points import stack_key, train_cells
from perdure.budget.errors import ConfigError
from perdure.budget.law.file import load_law
from perdure.budget.law.shipped import law_path
from perdure.curriculum.file.reader import read_curriculum
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.worlds.vision.model import MlpModel
from perdure.curriculum.worlds.vision.spec import VISION
from tests.agent.scalar_run import in_memory
from tests.agent.worlds.vision.test_vision_combinations import COMBINATIONS
from tests.curriculum.methods import settings_of


class Onlooker:
    """A view that stops the run at its n-th event."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.left = stop_at

    def past(self, events: Any) -> None:
        pass

    def event(self, event: Event) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                raise Killed

    def step(self, step: Step) -> None:
        pass

    def progress(self, progress: dict[str, Any]) -> None:
        pass

    def say(self, text: str) -> None:
        pass


class Killed(BaseException):
    """In place of a kill: nothing catches it."""


def images(rule: str = "parity", **more: Any) -> dict[str, Any]:
    return {"type": "images", "images": "digits", "rule": rule, "writer": "two", "train": 256, "heldout": 60, **more}


FASHION = {"type": "images", "images": "clothes", "rule": "label", "heldout": 80}


def curriculum(**changes: Any) -> Curriculum:
    """A small base, one stage of each kind, one benchmark."""
    stages = [
        {"name": "parity", "task": images()},
        {"name": "fives", "method": "sft", "task": images("at_least_five")},
        {"name": "threes", "method": "tilt", "task": images("multiple_of_three")},
    ]
    return Curriculum.model_validate(
        {
            "model": {"type": "mlp", "hidden_sizes": [32], "pretrain": {"images": 60, "num_train_epochs": 4}},
            "budget": {"kl": 0.3, "every": 3, "num_prompts": 40},
            "strategy": {"type": "fixed", "method": "rl"},
            "train": {"learning_rate": 3e-3, "max_steps": 10, "per_device_train_batch_size": 32},
            "stages": stages,
            "benchmarks": [{"type": "task", "name": "fashion", "task": FASHION}],
            **changes,
        }
    )


def run_through(path: Path, begin: Callable[[], Any]) -> RunState:
    run_curriculum(begin())
    return read_state(read_journal(path / "journal.jsonl"))


def facts(record: RunState) -> list[Any]:
    """All that must repeat: weights, scores, readings."""
    return [(row.weights_sha256, row.scores, row.readings) for row in record.rows]


def test_a_run_ends_and_says_what_it_kept(tmp_path: Path) -> None:
    many = [{"type": "task", "name": "fashion", "task": FASHION | {"heldout": 220}}]
    record = run_through(tmp_path / "run", lambda: start(curriculum(benchmarks=many), tmp_path / "run", Onlooker()))
    assert record.status == "finished"
    assert not any(row.asked for row in record.rows)  # `items: auto` asks all where an answer is one step
    assert [row.method for row in record.rows] == [None, "rl", "sft", "tilt"]
    assert all(set(row.scores) == {"parity", "fives", "threes", "fashion"} for row in record.rows)
    assert all(row.readings[-1].kl_per_token.value <= 0.3 for row in record.rows)
    assert record.rows[0].readings[-1].kl_per_token.value == pytest.approx(0, abs=1e-6)
    begun = read_json(tmp_path / "run" / "run.json")
    assert begun["world"] == "vision" and len(begun["base_id"]) == 64


@cache
def uninterrupted(methods: tuple[str, ...] | None) -> RunState:
    """The run that nothing stops, by the methods of `held` or those of `curriculum`."""
    config = curriculum() if methods is None else held(methods)
    with in_memory() as folder:
        return run_through(folder / "run", lambda: start(config, folder / "run", Onlooker()))


@pytest.mark.parametrize("event", [1, 3, 8, 12, 15, 20, 24, 30, 34])
def test_a_run_that_is_killed_ends_as_if_it_had_not_been(tmp_path: Path, event: int) -> None:
    whole = uninterrupted(None)
    with pytest.raises(Killed):
        run_curriculum(start(curriculum(), tmp_path / "killed", Onlooker(stop_at=event)))
    assert facts(run_through(tmp_path / "killed", lambda: resume(tmp_path / "killed", Onlooker()))) == facts(whole)


LOOKING_BACK = (("gate", "replay", "ewc"), ("rl", "chord+replay+kl", "rl+ewc"))


def held(methods: tuple[str, ...]) -> Curriculum:
    """A run under a penalty and a projection, by methods that look back at earlier stages."""
    rules = {"parity": "parity", "fives": "at_least_five", "threes": "multiple_of_three"}
    stages = [
        {"name": name, "method": method, "task": images(rule)}
        for (name, rule), method in zip(rules.items(), methods, strict=True)
    ]
    budget = {"kl": 0.2, "every": 3, "num_prompts": 40, "enforce": ["penalty", "project", "recover"]}
    train = {"learning_rate": 1e-2, "max_steps": 10, "per_device_train_batch_size": 32, "replay": {"replay_ratio": 0.3}}
    return curriculum(stages=stages, budget=budget, train=train)


@pytest.mark.parametrize("methods", LOOKING_BACK)
@pytest.mark.parametrize("event", [8, 14, 17, 23, 30])
def test_a_held_run_that_is_killed_ends_as_if_it_had_not_been(
    tmp_path: Path, event: int, methods: tuple[str, ...]
) -> None:
    whole = uninterrupted(methods)
    assert [row.method for row in whole.rows] == [None, *methods]
    assert all(row.readings[-1].kl_per_token.value <= 0.2 for row in whole.rows)
    with pytest.raises(Killed):
        run_curriculum(start(held(methods), tmp_path / "killed", Onlooker(stop_at=event)))
    assert facts(run_through(tmp_path / "killed", lambda: resume(tmp_path / "killed", Onlooker()))) == facts(whole)


@pytest.mark.parametrize("method", [*VISION.names, *COMBINATIONS])
def test_a_cell_of_a_sweep_is_the_run_it_stands_for(tmp_path: Path, method: str) -> None:
    """The same base, task, update and measurement, to the last digit of every score."""
    changes: dict[str, Any] = {
        "strategy": {"type": "fixed", "method": method},
        "stages": [{"name": "parity", "task": images()}],
        "budget": {"kl": 1, "enforce": "observe", "every": 100, "num_prompts": 40, "prompts": "task"},
    }
    one, other = (
        curriculum(**changes, train={"learning_rate": rate, "max_steps": 10, "per_device_train_batch_size": 32})
        for rate in (3e-3, 1e-3)
    )
    assert stack_key(one) == stack_key(other) is not None
    record = run_through(tmp_path / "run", lambda: start(one, tmp_path / "run", Onlooker()))
    rows = train_cells([other, one], 2)[1]
    assert train_cells([one], 2) == [rows], "not only nearly"
    assert [row["step"] for row in rows] == [5, 10]
    assert rows[-1]["final"] is True
    assert rows[-1]["accuracy"] == pytest.approx(record.rows[1].scores["parity"].value)
    assert rows[-1]["score.fashion"] == pytest.approx(record.rows[1].scores["fashion"].value)
    drop = record.rows[0].scores["fashion"].value - record.rows[1].scores["fashion"].value
    assert rows[-1]["forgetting"] == pytest.approx(drop)


def test_cells_that_cannot_be_stacked() -> None:
    assert stack_key(curriculum()) is None, "three stages"
    single = {"stages": [{"name": "parity", "task": images()}]}
    assert stack_key(curriculum(**single)) is None, "rollback needs a monitor that acts"
    watched = {**single, "budget": {"kl": 1, "enforce": "observe"}}
    assert stack_key(curriculum(**watched)) is not None
    listed = {**single, "budget": {"kl": 1, "enforce": ["observe"]}}
    assert stack_key(curriculum(**listed)) == stack_key(curriculum(**watched)), "written as a list"
    penalised = {**single, "budget": {"kl": 1, "enforce": ["penalty"]}}
    assert stack_key(curriculum(**penalised)) is None, "a term that is steered by one life"
    assert stack_key(curriculum(**watched, strategy={"type": "rule"})) is None, "no method yet"
    assert stack_key(curriculum(**watched, seed=1)) != stack_key(curriculum(**watched)), "another base"


def test_an_absurd_learning_rate_never_ends_above_the_cap(tmp_path: Path) -> None:
    train = {"learning_rate": 1e30, "max_steps": 6, "per_device_train_batch_size": 32}
    record = run_through(tmp_path / "run", lambda: start(curriculum(train=train), tmp_path / "run", Onlooker()))
    assert all(row.readings[-1].kl_per_token.value <= 0.3 for row in record.rows)
    assert {event.action for row in record.rows for event in row.interventions} >= {"broken"}


def test_a_schedule_that_there_is_not_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"stages\.parity\.train.*polynomial"):
        start(curriculum(train={"lr_scheduler_type": "polynomial"}), tmp_path / "run", Onlooker())
    assert not (tmp_path / "run").exists()


def test_the_shipped_law_is_of_the_base_of_the_shipped_stream() -> None:
    shipped = read_curriculum("parity-mnist").curriculum
    assert isinstance(shipped.model, MlpModel) and shipped.budget.law == "builtin:parity-mnist"
    law = load_law(law_path(shipped.budget.law))
    assert (law.world, law.base, law.prompts) == ("vision", base_id(shipped.model), shipped.budget.prompts)


def test_progress_has_losses_rewards_and_rates(tmp_path: Path) -> None:
    life = start(curriculum(), tmp_path / "run", Onlooker())
    seen: list[Progress] = []
    items = life.tasks[0].train

    def watch(progress: Progress) -> bool:
        seen.append(progress)
        return progress.step == 2

    with torch.no_grad():
        log_NC = life.world.policy.log_probabilities(life.world.policy.inputs([one.prompt for one in items]))
    # every image is in the first batch, whose figures are those of the base
    given = {"learning_rate": 1e-3, "max_steps": 5, "per_device_train_batch_size": len(items)}
    settings = settings_of("rl", **given, max_grad_norm=1e-9)
    job = UpdateJob(VISION.method("rl"), life.world.policy, life.tasks[0], settings, 0, tmp_path, watch)
    outcome = life.world.update(job)
    assert (outcome.steps, outcome.ended) == (2, "stopped")
    assert seen[-1].reward is not None and seen[-1].learning_rate == 1e-3 and seen[-1].max_steps == 5
    assert seen[0].entropy == pytest.approx(-float((log_NC.exp() * log_NC).sum(-1).mean()), rel=1e-5)
    assert seen[0].grad_norm is not None and seen[0].grad_norm > 1e-3, "before it is clipped"
    assert seen[0].mean_length is None


def test_auto_decides_here_too(tmp_path: Path) -> None:
    auto = {"type": "rule", "num_prompts": 8, "k": 4}
    record = run_through(tmp_path / "run", lambda: start(curriculum(strategy=auto), tmp_path / "run", Onlooker()))
    assert record.rows[1].method in VISION.names
    assert record.rows[1].evidence["pass_at_k"] > 0
