"""Races of whole runs: the winner's stage is the one that it would have been alone, also where the race was killed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from perdure.agent.loop import run_curriculum
from perdure.agent.run.events import Decided
from perdure.agent.run.journal import read_journal
from perdure.agent.run.log import NullView
from perdure.agent.run.state import RunState
from perdure.agent.setup import start
from perdure.agent.strategies import make_strategy
from perdure.agent.strategies.contract import Decision, Situation
from perdure.agent.worlds.contract import UpdateJob
from perdure.budget.errors import ConfigError
from perdure.curriculum.schema import Curriculum
from tests.agent.killing import save_base, tiny_stream
from tests.agent.scalar_run import Killed, Onlooker, in_memory, outcome, record_of, row_of, scalar_run, steps_of
from tests.agent.strategies.situations import curriculum
from tests.agent.worlds.control import point_runs
from tests.plugin.perdure_scalar.world import ScalarPolicy, ScalarWorld

RACE = {
    "type": "race",
    "candidates": ["sft", "rl", "chord"],
    "num_prompts": 2,
    "k": 1,
    "rungs": [3, 7],
    "min_gain": None,
}


def config(strategy: Any = RACE, **budget: Any) -> Curriculum:
    return curriculum(
        strategy,
        train={"learning_rate": 0.05, "max_steps": 22, "save_steps": 4},
        budget={"kl": 3.0, "every": 2} | budget,
    )


def short(strategy: Mapping[str, Any] | None = None, rate: float | None = None, **budget: Any) -> Curriculum:
    """One stage: 2 steps to the first rung, 4 to the second, 12 in all."""
    one = config(RACE | {"rungs": [2, 4]} | dict(strategy or {}), **budget)
    train = {"max_steps": 12, "save_steps": 3} | ({} if rate is None else {"learning_rate": rate})
    return one.model_copy(update={"stages": one.stages[:1], "train": one.train.model_copy(update=train)})


def raced(path: Path, of: Curriculum, on_step: Any = lambda step: None, view: Onlooker | None = None) -> RunState:
    run_curriculum(scalar_run(path, of, ScalarWorld(on_step), view, make_strategy(of)))
    return record_of(path)


class As:
    """The methods of another run, with as many steps and items left out."""

    def __init__(self, other: RunState) -> None:
        self._other = other

    def choose(self, situation: Situation) -> Decision:
        row = row_of(self._other, situation.number)
        told = {"steps_spent": row.steps_spent, "set_aside": row.set_aside, "whole_schedule": row.whole_schedule}
        return Decision(str(row.method), "as the other", share=row.share, **told)


@pytest.mark.parametrize(
    "budget",
    [{}, {"kl": 0.05, "enforce": "stop"}, {"kl": 0.05, "enforce": "rollback"}, {"kl": 0.05, "enforce": "penalty"}],
)
def test_the_winners_stage_is_the_one_that_it_would_be_alone(tmp_path: Path, budget: Any) -> None:
    race = config(**budget) if not budget else short(**budget)
    run = raced(tmp_path / "race", race)
    run_curriculum(scalar_run(tmp_path / "alone", race, ScalarWorld(), strategy=As(run)))
    alone = record_of(tmp_path / "alone")
    assert outcome(run) == outcome(alone)
    assert steps_of(tmp_path / "race").equals(steps_of(tmp_path / "alone"))
    assert not [path for path in tmp_path.rglob("*") if path.name in ("start.safetensors", "readings.json")]
    if not budget:
        # 22 steps less the 3 of one and the 7 of another
        assert [row.steps for row in run.rows[1:]] == [12] * 3


@pytest.mark.parametrize(("least", "steps"), [(0.5, [22, 12, 12]), (1.0, [12, 12, 12])])
def test_a_stage_that_its_first_candidate_takes_alone_is_that_methods(tmp_path: Path, least: float, steps: Any) -> None:
    # 10 steps of 0.06 reach the first answer, 0.6, and gain all but what the KL is expected to cost
    one = config(RACE | {"candidates": ["sft", "rl"], "rungs": [10], "min_gain": least}, kl=30.0)
    race = one.model_copy(update={"train": one.train.model_copy(update={"learning_rate": 0.06})})
    run = raced(tmp_path / "race", race)
    run_curriculum(scalar_run(tmp_path / "alone", race, ScalarWorld(), strategy=As(run)))
    assert outcome(run) == outcome(record_of(tmp_path / "alone"))
    assert [row.steps for row in run.rows[1:]] == steps


def test_the_steps_of_a_race_are_the_losers(tmp_path: Path) -> None:
    world = ScalarWorld()
    race = config()
    run_curriculum(scalar_run(tmp_path / "run", race, world, strategy=make_strategy(race)))
    # the winners' are made once: 12 of the stage, and 3 + 7 of the losers
    assert world.steps_done == 3 * 22


@pytest.mark.parametrize(
    ("strategy", "rate", "started"),
    [
        ({}, None, 3),
        ({"min_gain": 1.0}, None, 3),
        # 3 steps of 0.2 reach the first answer, 0.6: it goes on alone
        ({"min_gain": 0.5, "rungs": [3]}, 0.2, 1),
    ],
)
def test_a_race_that_was_killed_anywhere_ends_the_same(
    strategy: dict[str, Any], rate: float | None, started: int
) -> None:
    with in_memory() as folder:
        race = short(strategy, rate, **({} if rate is None else {"kl": 30.0}))
        whole = raced(folder / "whole", race)
        assert len(figures(whole)[0][0][1]) == started
        events = len(list(read_journal(folder / "whole" / "journal.jsonl")))
        decided = next(
            index
            for index, event in enumerate(read_journal(folder / "whole" / "journal.jsonl"), 1)
            if isinstance(event, Decided)
        )
        cuts = [*(("step", at) for at in (2, 5, 6, 9)), *(("event", at) for at in (decided, decided + 2))]
        assert decided + 2 < events
        for kind, at in cuts:
            path = folder / f"{kind}{at}"
            with pytest.raises(Killed):
                if kind == "event":
                    raced(path, race, view=Onlooker(cry_at=at))
                else:
                    raced(path, race, dying(at))
            assert outcome(raced(path, race)) == outcome(whole), (kind, at)
            assert figures(record_of(path)) == figures(whole), (kind, at)


class Mortal(ScalarPolicy):
    """Killed when it is asked the so-manieth time."""

    def __init__(self, at: int | None = None) -> None:
        super().__init__()
        self.at, self.asked = at, 0

    def respond(self, prompts: Sequence[Any], *, num_samples: int = 1, **more: Any) -> list[list[str]]:
        self.asked += 1
        if self.asked == self.at:
            raise Killed
        return super().respond(prompts, num_samples=num_samples, **more)


class MortalWorld(ScalarWorld):
    """The world of a policy that is killed, whose steps are counted up to there."""

    def __init__(self, at: int | None = None) -> None:
        super().__init__()
        self.policy: Mortal = Mortal(at)


@pytest.mark.parametrize("budget", [{}, {"kl": 0.05, "enforce": "stop"}, {"kl": 0.05, "enforce": "rollback"}])
def test_a_race_that_was_killed_while_it_measured_ends_the_same(budget: Any) -> None:
    race = short(**budget)
    with in_memory() as folder:
        world = MortalWorld()
        run_curriculum(scalar_run(folder / "whole", race, world, strategy=make_strategy(race)))
        whole, asked = record_of(folder / "whole"), world.policy.asked
        redone = []
        for at in range(1, asked + 1):
            path, killed, resumed = folder / str(at), MortalWorld(at), MortalWorld()
            with pytest.raises(Killed):
                run_curriculum(scalar_run(path, race, killed, strategy=make_strategy(race)))
            run_curriculum(scalar_run(path, race, resumed, strategy=make_strategy(race)))
            assert (outcome(record_of(path)), figures(record_of(path))) == (outcome(whole), figures(whole)), at
            redone.append(killed.steps_done + resumed.steps_done - world.steps_done)
        assert set(redone) == {0}


class FailingDisk(ScalarWorld):
    """Killed before its so-manieth checkpoint is written."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self._left = at

    def _save(self, checkpoint: Path, step: int, job: UpdateJob) -> None:
        self._left -= 1
        if not self._left:
            job.saving()
            raise Killed
        super()._save(checkpoint, step, job)


def test_a_race_that_was_killed_before_a_checkpoint_ends_the_same() -> None:
    with in_memory() as folder:
        race = short()
        whole = raced(folder / "whole", race)
        # three at the first rung, two each at step 3 and at the second rung, and one at the last step
        for at in range(1, 9):
            path = folder / str(at)
            with pytest.raises(Killed):
                run_curriculum(scalar_run(path, race, FailingDisk(at), strategy=make_strategy(race)))
            assert outcome(raced(path, race)) == outcome(whole), at
            assert figures(record_of(path)) == figures(whole), at


def test_a_race_that_was_stopped_at_a_rung_ends_the_same() -> None:
    with in_memory() as folder:
        race = short()
        whole = raced(folder / "whole", race)
        for at in range(1, 10):
            made, path, world = count(1), folder / str(at), ScalarWorld()
            life = scalar_run(path, race, world, strategy=make_strategy(race))

            def press(step: int, life: Any = life, made: Any = made, at: int = at) -> None:
                life.interrupt.requested |= next(made) == at

            world.on_step = press
            with pytest.raises(KeyboardInterrupt):
                run_curriculum(life)
            assert outcome(raced(path, race)) == outcome(whole), at
            assert figures(record_of(path)) == figures(whole), at


class Forking:
    """Races one candidate, and decides for it with other numbers or with the same."""

    def __init__(self, num_prompts: int = 1, spent: Sequence[int] = (3,), **told: Any) -> None:
        self._num_prompts, self._spent, self._told = num_prompts, spent, told

    def choose(self, situation: Situation) -> Decision:
        forks = situation.fork(self._num_prompts, 1)
        for rung, spent in enumerate(self._spent, 1):
            forks.advance("sft", rung, spent=spent, steps=2 * rung)
        return Decision("sft", "mine", **self._told)


@pytest.mark.parametrize(
    ("told", "again"),
    [
        ({}, 2),
        ({"set_aside": 1}, 2),
        ({"set_aside": 2, "steps_spent": 3}, 2),
        ({"set_aside": 1, "steps_spent": 3}, 0),
        ({"set_aside": 1, "steps_spent": 3, "whole_schedule": True}, 2),
        ({"set_aside": 1, "steps_spent": 3, "share": 0.01}, 2),  # the fork's readings were held to the whole budget
    ],
)
def test_a_fork_that_is_not_the_stage_that_was_decided_is_not_taken(tmp_path: Path, told: Any, again: int) -> None:
    config, world = short(), ScalarWorld()
    run_curriculum(scalar_run(tmp_path / "run", config, world, strategy=Forking(**told)))
    run = record_of(tmp_path / "run")
    assert world.steps_done == row_of(run, 1).steps + again
    run_curriculum(scalar_run(tmp_path / "alone", config, ScalarWorld(), strategy=As(run)))
    assert outcome(run) == outcome(record_of(tmp_path / "alone"))


def test_forks_of_other_numbers_are_refused(tmp_path: Path) -> None:
    def refused(name: str, strategy: Forking) -> str:
        with pytest.raises(ConfigError) as raised:
            run_curriculum(scalar_run(tmp_path / name, short(), ScalarWorld(), strategy=strategy))
        return str(raised.value)

    assert refused("none", Forking(0)) == "fork: num_prompts is 0; it must be at least 1"
    assert refused("others", Forking(1, (3, 2))).startswith(
        "fork: the forks of this stage were made with {'num_prompts': 1, 'k': 1, 'spent': 3}, not {"
    )


class Watching(Onlooker):
    """Keeps the first step that is shown of the training."""

    first: tuple[int, int] | None = None

    def progress(self, progress: dict[str, Any]) -> None:
        if progress["phase"] == "training":
            self.first = self.first or (progress["step"], progress["max_steps"])


def test_the_winners_steps_are_shown_as_those_of_the_stage(tmp_path: Path) -> None:
    view = Watching()
    run = raced(tmp_path / "run", short(), view=view)
    # paused at the second rung, of 12 steps less 2 and 4
    assert (view.first, row_of(run, 1).steps) == ((4, 6), 6)


def dying(at: int) -> Any:
    """Killed at the so-manieth step of the process, whoever's it is."""
    made = count(1)

    def on_step(step: int) -> None:
        if next(made) == at:
            raise Killed

    return on_step


def figures(record: RunState) -> Any:
    """All that the rungs of each stage said, without seconds."""
    return [
        [
            (rung["kept"], {name: untimed(row) for name, row in rung["figures"].items()})
            for rung in row.evidence["rungs"]
        ]
        for row in record.rows[1:]
    ]


def untimed(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if "second" not in name}


def test_rungs_in_seconds_cut_the_stage_short(tmp_path: Path) -> None:
    race = config(RACE | {"rungs": None, "rung_seconds": [1e-9, 2e-9]}, kl=30.0)
    run = raced(tmp_path / "race", race)
    # a step to each rung: one loser makes 1, another 2, and 22 - 3 are left of a schedule of 22
    assert [(row.steps, row.steps_spent, row.whole_schedule) for row in run.rows[1:]] == [(19, 3, True)] * 3
    run_curriculum(scalar_run(tmp_path / "alone", race, ScalarWorld(), strategy=As(run)))
    assert outcome(run) == outcome(record_of(tmp_path / "alone"))
    assert not any(row.interventions for row in run.rows)


def test_a_candidate_that_breaks_is_out(tmp_path: Path) -> None:
    broken = config(RACE | {"candidates": ["sft", "rl"], "rungs": [3]})
    made = count(1)
    run = raced(tmp_path / "run", broken, lambda step: float("nan") if next(made) == 2 else None)
    row = row_of(run, 1)
    assert (row.method, row.evidence["ruled_out"]) == ("rl", ["sft"])
    assert replace(row, evidence={}).steps == 22 - 3


def equal_alone(path: Path, race: Curriculum) -> RunState:
    """Runs a race, and its winners as if they had been chosen at the start, which must come to the same."""
    run_curriculum(start(race, path / "race", NullView()))
    run = record_of(path / "race")
    alone = start(race, path / "alone", NullView())
    alone.strategy = As(run)
    run_curriculum(alone)
    assert outcome(record_of(path / "alone")) == outcome(run)
    assert steps_of(path / "alone").equals(steps_of(path / "race"))
    return run


@pytest.mark.parametrize("candidates", [["low_lr_sft", "rl_kl", "sft+ewc", "tilt"], ["lora", "rl+replay"]])
def test_a_race_of_classifiers(tmp_path: Path, candidates: Any) -> None:
    images = {"type": "images", "images": "digits", "writer": "two", "train": 128, "heldout": 20}
    rules = ("parity", "at_least_five")[: 4 // len(candidates)]
    race = Curriculum.model_validate(
        {
            "model": {"type": "mlp", "hidden_sizes": [16], "pretrain": {"images": 60, "num_train_epochs": 4}},
            "budget": {"kl": 0.5, "every": 3, "num_prompts": 20, "enforce": ["rollback", "penalty"]},
            "strategy": {
                "type": "race",
                "candidates": candidates,
                "num_prompts": 16,
                "k": 2,
                "share": 0.25,
                "min_steps": 2,
                "min_gain": None,
            },
            "train": {"learning_rate": 3e-3, "max_steps": 40, "per_device_train_batch_size": 32},
            "stages": [{"name": rule, "task": images | {"rule": rule}} for rule in rules],
        }
    )
    run = equal_alone(tmp_path, race)
    # a quarter of 40: 2 and 4 steps for four, 10 for two
    assert [row.steps_spent for row in run.rows[1:]] == [8 if len(candidates) == 4 else 10] * len(rules)


def test_a_race_in_an_environment(tmp_path: Path) -> None:
    strategy = {"type": "race", "candidates": ["sft", "rl"], "num_prompts": 2, "k": 1, "min_gain": None, "rungs": [2]}
    train = {"max_steps": 6, "learning_rate": 1e-2, "per_device_train_batch_size": 4}
    run = equal_alone(tmp_path, point_runs.curriculum(strategy=strategy, train=train))
    assert row_of(run, 1).steps == 4


def test_a_race_of_language_models(tmp_path: Path) -> None:
    save_base(tmp_path / "base")
    task = {"type": "python", "path": "tests.agent.worlds.language.toy:toy"}
    strategy = {"type": "race", "candidates": ["sft", "rl"], "num_prompts": 4, "k": 2, "min_gain": None, "rungs": [2]}
    stream = tiny_stream(tmp_path / "base", stages=[{"name": "only", "task": task}], strategy=strategy, benchmarks=[])
    run = equal_alone(tmp_path, stream)
    assert row_of(run, 1).steps_spent == 2
