"""Prices of stages: rates, floors and needs by hand, what is journaled, and the gate."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.agent.life import Life
from perdure.agent.loop import begin, run_curriculum
from perdure.agent.prices import SAMPLES, base_rate, mean_of, price_stages, rate_interval, refusal, refuse_unpriced
from perdure.agent.run.folder import RunFolder, create, read_json
from perdure.agent.run.journal import read_journal
from perdure.agent.run.lines import from_json
from perdure.agent.run.log import RunLogger
from perdure.agent.run.state import RunState, read_state
from perdure.agent.setup import resume, start
from perdure.agent.strategies import make_strategy
from perdure.budget.errors import ConfigError, GateError
from perdure.budget.estimate import Estimate
from perdure.budget.monitor import Monitor
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.task import Item, Task
from perdure.eval.benchmarks import prepare_benchmarks
from perdure.eval.scorecard import Scorecard
from perdure.eval.statistics import wilson
from tests.agent.scalar_world import near
from tests.agent.test_loop import Onlooker
from tests.agent.worlds.vision import test_vision_run as vision_run
from tests.plugin.perdure_scalar.world import ScalarWorld


def curriculum(targets: Sequence[float | None] = (0.9, 0.9), **budget: Any) -> Curriculum:
    source = {"type": "python", "path": "m:f"}
    return Curriculum.model_validate(
        {
            "model": {"model_name_or_path": "scalar"},
            "budget": {"kl": 1.0, "every": 2} | budget,
            "strategy": {"type": "fixed", "method": "sft"},
            "train": {"learning_rate": 0.1, "max_steps": 6},
            "stages": [
                {"name": f"task{number}", "task": source, "target_accuracy": target}
                for number, target in enumerate(targets)
            ],
        }
    )


def rate(value: float, stderr: float | None = 0.02, n: int = 32) -> Estimate:
    return Estimate(value, stderr, n)


def test_prices_by_hand() -> None:
    rates = {1: rate(0.8), 2: rate(0.88)}
    lengths = {"task0": (2, 4), "task1": (1, 1)}
    first, second = price_stages(curriculum((0.98, 0.98)), rates, lengths)
    # 0.298 nats an answer over 3 positions; (0.0994 + 0.1203) / 2
    assert first.floor == pytest.approx(0.29817, abs=1e-5)
    assert first.required_kl == pytest.approx(0.09939, abs=1e-5)
    assert second.required_kl == pytest.approx(0.10984, abs=1e-5)
    assert first.floor_interval is not None
    assert first.floor_interval[0] < 0.29817 < first.floor_interval[1]
    assert first.fits and second.fits and (first.remaining_kl, second.remaining_kl) == (1.0, 1.0)


def test_the_issues_example() -> None:
    config = curriculum((None, None, 0.98), kl=0.1, unit="sequence", prompts="task")
    prices = price_stages(config, {3: rate(0.8)}, {f"task{number}": (3, 3) for number in range(3)})
    assert [one.refusal for one in prices] == [None, None, "stage 3 needs at least 0.298 nats, 0.100 remain"]
    assert [one.target for one in prices] == [None, None, 0.98]
    assert prices[0].floor is prices[0].required_kl is None


def test_what_cannot_be_told() -> None:
    # Answers of 64 tokens are examined, the monitor's texts end after 32 and one of them does: of that KL nothing
    # follows. Nor does anything of generic prompts.
    config = curriculum((0.9,), max_completion_length=32)
    config = config.model_copy(
        update={"evaluation": config.evaluation.model_copy(update={"max_completion_length": 64})}
    )
    assert price_stages(config, {1: rate(0.5)}, {"task0": (3, 32)})[0].required_kl is None
    assert price_stages(config, {1: rate(0.5)}, {"task0": (3, 31)})[0].required_kl is not None
    (one,) = price_stages(curriculum((0.9,), prompts="generic", generic="file"), {1: rate(0.5)}, {})
    # 0.5 ln(0.5/0.9) + 0.5 ln(0.5/0.1) = -0.29389 + 0.80472
    assert one.floor == pytest.approx(0.51083, abs=1e-5)
    assert one.required_kl is None and one.fits


def test_the_interval_counts_answers_of_a_prompt_as_alike_as_they_are() -> None:
    # All answers right: as many as prompts. Answers that are independent: 0.25 / 0.02^2 = 625, held to 32 * 8 = 256.
    assert rate_interval(rate(1.0, 0.0)) == wilson(32, 32)
    assert rate_interval(rate(0.5, 0.02)) == wilson(128, 256)
    # Prompts that are right always or never: p(1-p)/stderr^2 = 0.25 / 0.00806 = 31, held to 32 from below.
    assert rate_interval(mean_of([1.0, 0.0] * 16)) == wilson(16, 32)
    # 0.25 / 0.05^2 = 100
    assert rate_interval(rate(0.5, 0.05)) == wilson(50, 100)


@given(st.lists(st.integers(0, SAMPLES), min_size=1, max_size=40))
def test_the_interval_holds_the_rate(hits: list[int]) -> None:
    found = mean_of([hit / SAMPLES for hit in hits])
    low, high = rate_interval(found)
    assert 0 <= low <= found.value + 1e-9 and found.value - 1e-9 <= high <= 1


class Half:
    """Right on every other sample."""

    def respond(self, prompts: Sequence[Any], *, num_samples: int = 1, **_: Any) -> list[list[str]]:
        return [["right" if index % 2 else "wrong" for index in range(num_samples)] for _ in prompts]


def test_the_base_rate_is_a_mean_over_prompts() -> None:
    items = tuple(Item(str(number), answer="right" if number % 4 else "neither") for number in range(8))
    found = base_rate(Task("t", items, items[:2], near), Half(), curriculum())  # type: ignore[arg-type]
    # Six prompts at 1/2, two at 0: mean 3/8, variance (6/64 + 2*9/64)/7 = 24/64/7, over 8 prompts.
    assert (found.value, found.n) == (0.375, 8)
    assert found.stderr == pytest.approx((24 / 64 / 7 / 8) ** 0.5)


def test_answers_without_a_reward_count_in_no_rate() -> None:
    def some(items: Sequence[Item], texts: Sequence[str], _: Any = None) -> list[float | None]:
        """Only a right answer has a reward for the prompt 0, none for 1, and every answer for 2 and 3."""
        known = {"0": {"right": 1.0}, "1": {}, "2": {"right": 1.0, "wrong": 0.0}, "3": {"right": 0.0, "wrong": 0.0}}
        return [known[item.prompt].get(text) for item, text in zip(items, texts, strict=True)]

    items = tuple(Item(str(number), answer="right") for number in range(4))
    found = base_rate(Task("t", items, items[:2], some), Half(), curriculum())  # type: ignore[arg-type]
    # the prompts 0, 2 and 3 at 1, 1/2 and 0; a task none of whose answers has one stays at 0
    assert (found.value, found.n) == (0.5, 3)
    none = base_rate(Task("t", items[1:2], items[:2], some), Half(), curriculum())  # type: ignore[arg-type]
    assert none.value == 0.0


def task_of(name: str, answer: str) -> Task:
    items = tuple(Item(f"{name} {number}", answer=answer, demonstration=answer) for number in range(6))
    return Task(name, items[:3], items[3:], near)


def scalar_run(path: Path, config: Curriculum, answers: Sequence[str], *, strict: bool = False) -> Life:
    tasks = tuple(task_of(stage.name, answer) for stage, answer in zip(config.stages, answers, strict=True))
    fresh = not path.exists()
    folder = create(path, {}) if fresh else RunFolder(path)
    logger = RunLogger(folder, Onlooker())
    if fresh:
        logger.log(
            from_json({"event": "started", "run": path.name, "tasks": [task.name for task in tasks], "benchmarks": []})
        )
    world = ScalarWorld()
    return Life(
        curriculum=config,
        tasks=tasks,
        world=world,
        monitor=Monitor(config.budget, world.measure),
        scorecard=Scorecard(tasks, prepare_benchmarks([]), config.evaluation, path),
        strategy=make_strategy(config),
        folder=folder,
        logger=logger,
        strict=strict,
    )


def record_of(path: Path) -> RunState:
    return read_state(read_journal(path / "journal.jsonl"))


def test_prices_are_journaled_once(tmp_path: Path) -> None:
    # The policy's number is 0.0 now, which is right for the first task alone.
    config = curriculum((0.9, None, 0.9))
    begin(scalar_run(tmp_path / "run", config, ["0.0", "0.0", "1.0"]))
    prices = record_of(tmp_path / "run").prices
    assert [(one.stage, one.name, one.target) for one in prices] == [(1, "task0", 0.9), (3, "task2", 0.9)]
    assert [one.base_rate.value for one in prices] == [1.0, 0.0]
    # Nothing right: ln 10 = 2.3026 an answer, which a scalar's text of one position is; the mean over three tasks.
    assert prices[1].floor == pytest.approx(2.30259, abs=1e-5)
    assert prices[1].required_kl == pytest.approx(2.30259 / 3, abs=1e-5)
    assert prices[1].floor_interval is not None and prices[1].floor_interval[1] == pytest.approx(2.30259, abs=1e-5)
    lines = (tmp_path / "run" / "journal.jsonl").read_text()
    begin(scalar_run(tmp_path / "run", config, ["0.0", "0.0", "1.0"]))
    assert (tmp_path / "run" / "journal.jsonl").read_text() == lines


def test_no_target_no_price(tmp_path: Path) -> None:
    begin(scalar_run(tmp_path / "run", curriculum((None,)), ["1.0"], strict=True))
    assert record_of(tmp_path / "run").prices == ()


def test_a_price_that_a_kill_lost_is_told_again(tmp_path: Path) -> None:
    config = curriculum()
    begin(scalar_run(tmp_path / "run", config, ["0.0", "1.0"]))
    whole = record_of(tmp_path / "run").prices
    journal = tmp_path / "run" / "journal.jsonl"
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:-1]))
    assert len(record_of(tmp_path / "run").prices) == 1
    begin(scalar_run(tmp_path / "run", config, ["0.0", "1.0"]))
    assert record_of(tmp_path / "run").prices == whole


def test_a_strict_run_ends_before_any_training(tmp_path: Path) -> None:
    config = curriculum(prompts="task")
    life = scalar_run(tmp_path / "run", config, ["1.0", "1.0"], strict=True)
    with pytest.raises(GateError) as caught:
        begin(life)
    lines = str(caught.value).splitlines()
    assert lines[1] == "  stage 1 needs at least 2.303 nats, 1.000 remain (task0)"
    assert lines[2] == "  stage 2 needs at least 2.303 nats, 1.000 remain (task1)"
    assert lines[3] == "Raise budget.kl or lower the target"
    assert lines[4] == "Nothing was trained. To run it all the same, start it again without --strict"
    record = record_of(tmp_path / "run")
    assert (record.status, len(record.prices), len(record.rows)) == ("refused", 2, 1)
    assert record.refusal == str(caught.value)
    with pytest.raises(GateError):
        begin(scalar_run(tmp_path / "run", config, ["1.0", "1.0"], strict=True))


@pytest.mark.parametrize(
    ("config", "remedy"),
    [
        (curriculum((None, None)), "set budget.target_accuracy, or that of a stage"),
        (curriculum((0.9, None), prompts="generic", generic="file"), "set budget.prompts to seen or task"),
    ],
)
def test_strict_about_nothing_is_refused(config: Curriculum, remedy: str) -> None:
    with pytest.raises(ConfigError, match=remedy):
        refuse_unpriced(config)


def test_strict_is_about_one_target_at_least() -> None:
    refuse_unpriced(curriculum((None, 0.9)))


def test_a_run_of_which_nothing_can_be_told_is_refused() -> None:
    config = curriculum((0.9, None), prompts="task")
    told = price_stages(config, {1: rate(0.8)}, {"task0": (3, 3), "task1": (3, 3)})
    assert refusal(config, told) is None
    assert "set budget.max_completion_length" in str(refusal(config, price_stages(config, {1: rate(0.8)}, {})))


def test_floor_gives_nothing_to_a_task_that_is_known() -> None:
    # As in tests/budget/test_price.py: 0.62570 of its own, nothing, 0.62570.
    config = curriculum((0.9, 0.9, 0.9), unit="sequence", allocation="floor")
    rates = {1: rate(0.45), 2: rate(0.95), 3: rate(0.45)}
    prices = price_stages(config, rates, {f"task{number}": (1, 1) for number in range(3)})
    assert [one.required_kl for one in prices] == pytest.approx([0.62570, 0.31285, 0.41713], abs=1e-5)
    assert [one.remaining_kl for one in prices] == pytest.approx([0.75, 0.31285, 1.0], abs=1e-5)
    assert all(one.fits for one in prices)


@pytest.mark.parametrize("event", [1, 3, 5])
def test_a_strict_run_that_is_killed_is_strict_when_it_goes_on(tmp_path: Path, event: int) -> None:
    # Begun, a score of the base, the row of the base: all before the price of its one stage.
    budget = {"kl": 1e-4, "every": 3, "num_prompts": 40, "target_accuracy": 0.99}
    config = vision_run.curriculum(budget=budget, stages=[{"name": "parity", "task": vision_run.images()}])
    path = tmp_path / "run"
    with pytest.raises(vision_run.Killed):
        run_curriculum(start(config, path, vision_run.Onlooker(stop_at=event), strict=True))
    assert record_of(path).prices == ()
    if event == 3:
        (path / "journal.jsonl").unlink()  # killed before its first line was written
        shutil.rmtree(path / "base")
    for _ in range(2):
        with pytest.raises(GateError, match="stage 1 needs at least"):
            run_curriculum(resume(path, vision_run.Onlooker()))
    assert not list((path / "stages").iterdir())
    assert read_json(path / "run.json")["strict"] is True


def test_of_a_run_that_is_not_strict_nothing_is_said(tmp_path: Path) -> None:
    config = vision_run.curriculum(stages=[{"name": "parity", "task": vision_run.images()}])
    life = start(config, tmp_path / "run", vision_run.Onlooker())
    assert not life.strict and "strict" not in read_json(tmp_path / "run" / "run.json")
    assert not resume(tmp_path / "run", vision_run.Onlooker()).strict
