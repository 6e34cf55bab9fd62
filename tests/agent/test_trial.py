"""Trials on a fork: what they measure, and that nothing is left of them."""

import math
import random
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
import torch

from perdure.agent.life import Life
from perdure.agent.loop import begin, run_curriculum
from perdure.agent.run.events import Decided
from perdure.agent.run.folder import RunFolder
from perdure.agent.setup import start
from perdure.agent.strategies import make_strategy
from perdure.agent.trial import TrialRunner, at_full_rate
from perdure.agent.worlds.contract import Outcome, UpdateJob
from perdure.budget.errors import ConfigError
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.worlds.language.settings import LanguageSft
from perdure.eval.sampled_rewards import set_aside
from tests.agent.killing import save_base, tiny_stream
from tests.agent.scalar_run import Killed, Onlooker, curriculum, record_of, row_of, scalar_run
from tests.agent.strategies.situations import curriculum as racing
from tests.agent.worlds.language.jobs import settings_of
from tests.agent.worlds.language.toy import share_of_vowels
from tests.plugin.perdure_scalar.world import ScalarWorld


def fork_of(life: Life, number: int = 1) -> TrialRunner:
    stage, task = life.curriculum.stages[number - 1], life.tasks[number - 1]
    life.folder.partial_stage(number, stage.name).mkdir(parents=True)
    return TrialRunner(life, number, stage, task, life.curriculum.budget.kl, 0.0)


def files(folder: RunFolder) -> list[str]:
    return sorted(str(path.relative_to(folder.path)) for path in (folder.path / "stages").rglob("*"))


def scalar(path: Path, world: ScalarWorld) -> tuple[Life, TrialRunner]:
    life = scalar_run(path, curriculum(train={"max_steps": 20}), world)
    return life, fork_of(life)


def test_a_trial_in_the_world_of_one_number(tmp_path: Path) -> None:
    world = ScalarWorld()
    life, fork = scalar(tmp_path / "run", world)
    left = files(life.folder)
    trial = fork.attempt("sft", 6, 64, 3)
    # six steps of 0.1: 0.6, which is the answer, squared 0.36; after three 0.3, squared 0.09
    assert (trial.steps, trial.before, trial.after) == (6, 0.0, 1.0)
    assert trial.kl == pytest.approx(0.36)
    assert trial.kl_midway == pytest.approx(0.09)
    # one item set aside, three samples, before and after
    assert (trial.answers, trial.kept) == (6, None)
    # of two training items one at most is set aside, and one item has no standard error
    assert trial.stderr is None
    assert world.policy.weight == 0
    assert files(life.folder) == left


def test_a_trial_measures_what_the_earlier_tasks_lose(tmp_path: Path) -> None:
    world = ScalarWorld()
    life = scalar_run(tmp_path / "run", curriculum(train={"max_steps": 20}), world)
    assert fork_of(life).attempt("sft", 2, 64, 3).lost is None
    world.policy.weight = 0.6
    # task0's answer is 0.6 and task1's 1.2; 6 steps go from the one to the other
    trial = fork_of(life, 2).attempt("sft", 6, 64, 3)
    assert (trial.before, trial.after, trial.lost, trial.lost_stderr) == (0.0, 1.0, 1.0, None)
    # half of the two items of each task, three samples of each, before and after
    assert (trial.kept, trial.answers) == (1.0, 2 * 2 * 3)


class Noting(ScalarWorld):
    """Notes the training items of the earlier tasks that each update may replay, and how many are its task's own."""

    def __init__(self) -> None:
        super().__init__()
        self.replayed: list[list[str]] = []
        self.own: list[tuple[str, int]] = []

    def update(self, job: UpdateJob) -> Outcome:
        self.own.append((job.task.name, len(job.task.train)))
        self.replayed.append([str(item.prompt) for task in job.earlier for item in task.train])
        return super().update(job)


def test_what_earlier_tasks_lose_is_measured_on_items_that_are_not_replayed(tmp_path: Path) -> None:
    world = Noting()
    life = scalar_run(tmp_path / "run", curriculum(train={"max_steps": 20}), world)
    first = life.tasks[0]
    life.tasks = (replace(first, train=tuple(replace(first.train[0], prompt=f"question {n}") for n in range(6))),) * 2
    # of six items of the first task half are measured, though 64 could be
    assert fork_of(life, 2).attempt("sft", 2, 64, 1).not_replayed == 3
    assert world.replayed == [["question 0", "question 1", "question 2"]]


@pytest.mark.parametrize(("begin", "kept"), [(0, []), (2, [1.0, 1.0])])
def test_a_task_that_comes_back_larger_loses_nothing_on_items_that_are_trained_on(
    tmp_path: Path, begin: int, kept: list[float]
) -> None:
    life = scalar_run(tmp_path / "run", curriculum(train={"max_steps": 20}), ScalarWorld())
    # the policy, at 0, has the first two right
    items = tuple(replace(life.tasks[0].train[0], prompt=f"question {n}", answer=f"{n // 2}.0") for n in range(10))
    life.tasks = tuple(
        replace(life.tasks[0], name=f"task{n}", train=items[a:b]) for n, a, b in ((0, 0, 4), (1, begin, 10))
    )
    fork = fork_of(life, 2)
    # by rates, too, none that is trained on is measured
    assert fork.rates(2, 1).get("task0") == (fmean(kept) if kept else None)
    assert fork.rates(2, 1, stage=1) == {"task0": 0.0}  # the last two
    assert fork.kept(2, 1, now=False) == kept
    assert fork.attempt("sft", 2, 2, 1).not_replayed == len(kept)


def test_a_race_and_its_winner_do_not_replay_what_it_is_measured_on(tmp_path: Path) -> None:
    world = Noting()
    race = {"type": "race", "candidates": ["replay", "rl"], "num_prompts": 2, "k": 1, "min_gain": None, "rungs": [3]}
    config = racing(race, train={"max_steps": 20})
    run_curriculum(scalar_run(tmp_path / "run", config, world, strategy=make_strategy(config)))
    # two candidates to the rung and the winner to its end, with one of the two items of each earlier task
    assert [len(items) for items in world.replayed] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert row_of(record_of(tmp_path / "run"), 2).evidence["not_replayed"] == 1


def test_a_bandit_is_paid_by_items_that_its_stages_neither_train_on_nor_replay(tmp_path: Path) -> None:
    world = Noting()
    bandit = {"type": "bandit", "candidates": ["replay", "rl"], "num_prompts": 2, "k": 1}
    config = racing(bandit, train={"max_steps": 20})
    life = scalar_run(tmp_path / "run", config, world, strategy=make_strategy(config))
    run_curriculum(life)
    # of two items of each task one is trained on, and one of each earlier one may be replayed
    assert all(count == 1 for _, count in world.own)
    earlier = [["first", "second", "third"].index(name) for name, _ in world.own]
    assert [len(items) for items in world.replayed] == earlier
    third = row_of(record_of(tmp_path / "run"), 3)
    assert third.evidence["paid"]["stage"] == 2 and third.set_aside == 2


def test_rates_are_those_of_training_items_and_are_measured_once(tmp_path: Path) -> None:
    world = ScalarWorld()
    life = scalar_run(tmp_path / "run", curriculum(train={"max_steps": 20}), world)
    world.policy.weight = 0.6
    fork = fork_of(life, 2)
    assert fork.rates(64, 3) == {"task0": 1.0, "task1": 0.0}
    # half of two training items of each
    assert fork.answers == 2 * 3
    # the trial measures the same items after it
    assert fork.attempt("sft", 6, 64, 3).answers == 2 * 3
    assert fork.rates(64, 3) == {"task0": 1.0, "task1": 0.0}


def test_earlier_tasks_count_in_equal_parts_also_where_one_has_few_items(tmp_path: Path) -> None:
    life = scalar_run(tmp_path / "run", curriculum(3, train={"max_steps": 20}), ScalarWorld())
    first, second, third = life.tasks
    item = first.train[0]
    # ten items of the first, six of the second; the policy, at 0, has the first alone right
    first = replace(first, train=(replace(item, answer="0.0"),) * 10)
    second = replace(second, train=(item,) * 6)
    life.tasks = (first, second, third)
    fork = fork_of(life, 3)
    assert fork.kept(10, 1) == [1.0] * 3 + [0.0] * 3
    assert fork.kept(4, 1) == [1.0] * 2 + [0.0] * 2
    assert fork.kept(1, 1) == [1.0, 0.0]


def test_a_task_of_one_training_item_is_refused(tmp_path: Path) -> None:
    _, fork = scalar(tmp_path / "run", ScalarWorld())
    fork.task = replace(fork.task, train=fork.task.train[:1])
    with pytest.raises(ConfigError, match=r"task 'task0' has 1 training item, .* give it at least 2"):
        fork.attempt("sft", 6, 64, 3)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("magic", 5, 2, 2), "'magic' cannot be tried on this task; it can be learned by sft, rl"),
        (("rl", 0, 2, 2), "steps is 0"),
        (("rl", 5, 0, 2), "num_prompts is 0"),
        (("rl", 5, 2, 0), "k is 0"),
    ],
)
def test_what_cannot_be_tried_is_refused(tmp_path: Path, asked: Any, message: str) -> None:
    _, fork = scalar(tmp_path / "run", ScalarWorld())
    with pytest.raises(ConfigError, match=message):
        fork.attempt(*asked)


def test_a_broken_trial_says_so_and_the_policy_comes_back(tmp_path: Path) -> None:
    world = ScalarWorld(lambda step: math.nan if step == 2 else None)
    _, fork = scalar(tmp_path / "run", world)
    trial = fork.attempt("sft", 6, 64, 3)
    assert trial.steps == 2
    assert math.isnan(trial.after) and math.isnan(trial.kl)
    assert world.policy.weight == 0


def test_killed_in_a_trial_it_is_made_again_with_the_same_result(tmp_path: Path) -> None:
    def die(step: int) -> None:
        if step == 4:
            raise Killed

    whole = scalar(tmp_path / "whole", ScalarWorld())[1].attempt("sft", 6, 64, 3)
    life, fork = scalar(tmp_path / "cut", ScalarWorld(die))
    with pytest.raises(Killed):
        fork.attempt("sft", 6, 64, 3)
    # as after a kill: the trial's own file and checkpoints lie there, with weights half-way
    folder = life.folder.partial_stage(1, "task0") / "trial"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "last.json").write_text("[3, 0.3, null]")
    world = ScalarWorld()
    resumed = scalar_run(tmp_path / "cut", life.curriculum, world)
    again = TrialRunner(resumed, 1, fork.stage, fork.task, fork.cap, 0.0).attempt("sft", 6, 64, 3)
    assert (again.after, again.kl, again.steps) == (whole.after, whole.kl, whole.steps)
    assert not folder.exists() and world.policy.weight == 0


def test_a_trial_has_the_full_rate_and_keeps_no_checkpoints() -> None:
    given: dict[str, Any] = {"learning_rate": 1e-3, "lr_scheduler_type": "cosine", "warmup_steps": 0.1}
    settings = at_full_rate(
        settings_of("sft", **given, trl={"lr_scheduler_kwargs": {}, "packing": True}).objective, most=5
    )
    assert isinstance(settings, LanguageSft)
    assert (settings.lr_scheduler_type, settings.warmup_steps, settings.learning_rate) == ("constant", 0, 1e-3)
    assert settings.trl == {"packing": True}
    assert settings.save_steps == 6
    assert at_full_rate(settings_of("rl", max_steps=9).objective, most=5).max_steps == 9


def images(rule: str) -> dict[str, Any]:
    return {"type": "images", "images": "digits", "rule": rule, "writer": "two", "train": 256, "heldout": 40}


@pytest.fixture(scope="module")
def vision(tmp_path_factory: pytest.TempPathFactory) -> Life:
    config = Curriculum.model_validate(
        {
            "model": {"type": "mlp", "hidden_sizes": [32], "pretrain": {"images": 60, "num_train_epochs": 4}},
            "budget": {"kl": 0.3, "every": 3, "num_prompts": 40},
            "strategy": {"type": "probe"},
            "train": {"learning_rate": 3e-3, "max_steps": 40, "per_device_train_batch_size": 32},
            "stages": [{"name": "parity", "task": images("parity")}],
        }
    )
    life = start(config, tmp_path_factory.mktemp("fork") / "run", Onlooker())
    begin(life)
    return life


def test_a_trial_leaves_no_trace_in_the_vision_world(vision: Life) -> None:
    fork = fork_of(vision)
    policy, left = vision.world.policy.fingerprint(), files(vision.folder)
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()  # type: ignore[index,union-attr]
    trials = [fork.attempt(method, 4, 64, 4) for method in ("sft", "rl", "tilt", "sft")]
    assert vision.world.policy.fingerprint() == policy
    assert files(vision.folder) == left
    assert random.getstate() == states[0]
    assert np.random.get_state()[1].tolist() == states[1]  # type: ignore[index,union-attr]
    assert torch.equal(torch.get_rng_state(), states[2])
    # measured once before, and the same trial comes to the same
    assert len({trial.before for trial in trials}) == 1
    first, last = trials[0], trials[3]
    assert (first.after, first.kl, first.stderr) == (last.after, last.kl, last.stderr)
    assert all(trial.kl > 0 and trial.kl_midway is not None for trial in trials)
    assert not any(isinstance(event, Decided) for event in vision.logger._view.events)  # type: ignore[attr-defined]


def test_a_trial_leaves_no_trace_in_the_language_world(tmp_path: Path) -> None:
    save_base(tmp_path / "base")
    task = {"type": "python", "path": "tests.agent.worlds.language.toy:toy"}
    stages = [{"name": "only", "task": task}]
    life = start(tiny_stream(tmp_path / "base", stages=stages), tmp_path / "run", Onlooker())
    begin(life)
    fork = fork_of(life)
    policy, left = life.world.policy.fingerprint(), files(life.folder)
    states = random.getstate(), torch.get_rng_state()
    trials = [fork.attempt(method, 2, 4, 2) for method in ("sft", "rl", "sft")]
    assert [trial.steps for trial in trials] == [2, 2, 2]
    assert life.world.policy.fingerprint() == policy
    assert files(life.folder) == left
    assert random.getstate() == states[0] and torch.equal(torch.get_rng_state(), states[1])
    assert (trials[0].after, trials[0].kl) == (trials[2].after, trials[2].kl)
    assert trials[0].kl > 0 and trials[0].seconds_a_step > 0
    # two steps of imitation bring the policy nearer to its writer; `rl` has none
    written = [(trial.writer_kl_before, trial.writer_kl, trial.written) for trial in trials]
    assert written[1] == (None, None, None)
    assert written[0] == written[2] and written[0][0] > written[0][1] > 0
    shown = set_aside(fork.task, 4)[1]
    assert written[0][2] == pytest.approx(fmean(share_of_vowels(shown, [item.demonstration for item in shown])))
