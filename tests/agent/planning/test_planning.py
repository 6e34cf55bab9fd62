"""A plan of a small run in the vision world: what it holds, and that it changes nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from perdure.agent.planning.costs import Disk, LifePlan, MethodCost, most_snapshots
from perdure.agent.planning.memory import memory_of
from perdure.agent.planning.plan import deciding_answers, plan, priced_answers, with_trials
from perdure.agent.planning.report import plan_object
from perdure.agent.planning.timing import STEPS, Stopwatch, Timing, size_of, time_method
from perdure.agent.prepare import prepare
from perdure.agent.tasks import build_tasks
from perdure.agent.worlds.contract import Progress, SaveAndStop, UpdateJob, Watch
from perdure.agent.worlds.job import update_job
from perdure.agent.worlds.sizes import sizes_of
from perdure.budget.config import BudgetConfig
from perdure.budget.errors import ModelError
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.strategies import BanditStrategy, FixedStrategy, ProbeStrategy, RaceStrategy, RuleStrategy
from perdure.curriculum.train import Train, settings_for
from perdure.curriculum.worlds.methods import Sizes
from perdure.curriculum.worlds.registry import spec_of
from tests.agent.worlds.control.test_control_enforcement import saved_base
from tests.agent.worlds.vision.test_vision_run import Onlooker, curriculum, images


@pytest.fixture(scope="module")
def config() -> Curriculum:
    stages = [
        {"name": "parity", "task": images()},
        {"name": "fives", "method": "sft", "task": images("at_least_five"), "target_accuracy": 0.9},
        {"name": "threes", "method": "tilt", "task": images("multiple_of_three"), "train": {"max_steps": 7}},
    ]
    return curriculum(stages=stages)


@pytest.fixture(scope="module")
def planned(config: Curriculum, tmp_path_factory: pytest.TempPathFactory) -> LifePlan:
    return plan(config, tmp_path_factory.mktemp("plan"), Onlooker())


def test_every_stage_has_its_methods_and_their_time(planned: LifePlan) -> None:
    assert [[cost.method for cost in stage.methods] for stage in planned.stages] == [["rl"], ["sft"], ["tilt"]]
    timings = [stage.methods[0].timing for stage in planned.stages]
    # The curriculum says ten steps, the last stage seven.
    assert [timing.steps for timing in timings if timing] == [10, 10, 7]
    assert all(timing.made == STEPS for timing in timings if timing)
    for stage in planned.stages:
        (cost,) = stage.methods
        assert cost.timing is not None and cost.seconds is not None and cost.fault is None
        readings = cost.timing.steps // 3 + 2
        least = cost.timing.steps * cost.timing.seconds_a_step + readings * planned.reading_seconds
        assert cost.seconds == pytest.approx(least + cost.timing.setup_seconds)
        assert stage.seconds == (cost.seconds + stage.around, cost.seconds + stage.around)
    assert planned.seconds is not None
    total = planned.base_seconds + sum(stage.seconds[0] for stage in planned.stages if stage.seconds)
    assert planned.seconds[0] == pytest.approx(total)


def test_prices_stand_beside_them(planned: LifePlan) -> None:
    assert [price.target for price in planned.prices] == [None, 0.9, None]
    assert all(price.base_rate is not None and price.base_rate.n == 40 for price in planned.prices)
    floor, need = planned.prices[1].floor, planned.prices[1].required_kl
    assert floor is not None and need is not None
    # The mean over the two tasks seen, of which the first asks for nothing.
    assert need == pytest.approx(floor / 2)


def test_a_run_samples_the_rates_of_stages_with_a_target(config: Curriculum) -> None:
    tasks = build_tasks(config)
    # eight answers to each of 40 prompts, of the one stage of three that has a target
    assert priced_answers(config, tasks) == 8 * 40


def test_a_quick_plan_measures_few_prompts_and_says_what_all_take(
    planned: LifePlan, config: Curriculum, tmp_path: Path
) -> None:
    quick = plan(config, tmp_path, Onlooker(), quick=True)
    assert all(price.base_rate is None and price.floor is None for price in quick.prices)
    assert plan_object(quick)["quick"] and quick.prices[1].target == 0.9
    assert quick.base_seconds > 0 and quick.proposing_seconds is not None
    assert (quick.memory, quick.disk.policy) == (planned.memory, planned.disk.policy)
    assert [one.methods[0].timing.steps for one in quick.stages if one.methods[0].timing] == [10, 10, 7]


def test_sizes_are_those_of_the_network(planned: LifePlan) -> None:
    # 785 * 32 + 32 + 32 * 10 + 10 = 25,482 weights of four bytes.
    weights = 25_482 * 4
    assert weights < planned.disk.snapshot < weights + 2_000
    assert weights < planned.disk.policy < weights + 4_000
    assert planned.disk.checkpoint == 0
    # Weights, gradients and two moments, the last good state, and the base, which this world keeps for every method.
    totals = [stage.methods[0].memory.total for stage in planned.stages if stage.methods[0].memory]
    assert totals == [6 * weights] * 3
    assert (planned.memory, planned.host_memory) == (6 * weights, 0)


def test_the_object_is_plain(planned: LifePlan) -> None:
    found = plan_object(planned)
    assert found["fits"] == all(price.fits for price in planned.prices)
    assert [stage["name"] for stage in found["stages"]] == ["parity", "fives", "threes"]
    assert found["stages"][1]["methods"][0]["steps"] == 10
    assert found["disk"]["kept"] == planned.disk.kept
    assert set(found) >= {"measured", "computed", "seconds", "memory", "budget"}


def test_a_trial_leaves_no_trace(config: Curriculum, tmp_path: Path) -> None:
    ready = prepare(config, Onlooker())
    before = ready.world.policy.fingerprint()
    folder = tmp_path / "trial"

    def job(watch: Watch) -> UpdateJob:
        method = config.method("sft")
        more: dict[str, Any] = {"seed": 0, "folder": folder, "watch": watch, "controller": None}
        return update_job(config, ready.tasks, ready.world.policy, 2, method, **more)

    time_method(config, ready.world, job, folder)
    assert ready.world.policy.fingerprint() == before
    assert not folder.exists() and size_of(folder) == 0


def test_disk_by_hand() -> None:
    # 10 + 3 * 100 at the end; two snapshots and two checkpoints on top at most.
    disk = Disk(base=10, policy=100, snapshot=90, checkpoint=270, stages=3)
    assert (disk.kept, disk.most) == (310, 310 + 180 + 540)
    assert Disk(base=10, policy=100, snapshot=90, checkpoint=270, stages=3, snapshots=4).most == 310 + 360 + 540
    # A race of four before the last policy is there: a checkpoint and a good state each, one more while it is
    # written, the start, and what is measured.
    assert Disk(base=10, policy=100, snapshot=90, checkpoint=270, stages=3, forks=4).most == 210 + 5 * 360 + 90
    # one policy stays, and is there beside the one that takes its place
    last = replace(disk, keep=1)
    assert (last.policies, last.kept, last.most) == (1, 110, 110 + 100 + 180 + 540)
    assert (replace(disk, keep=5).kept, replace(disk, keep=5).most) == (disk.kept, disk.most)


@pytest.mark.parametrize(
    ("enforce", "most"),
    [
        # One last good state that replaces another; that and the two ends of a line.
        ("rollback", 2),
        (["penalty", "recover"], 2),
        ("project", 3),
        (["recover", "project"], 3),
    ],
)
def test_snapshots_at_once(enforce: Any, most: int) -> None:
    assert most_snapshots(BudgetConfig.model_validate({"kl": 1.0, "enforce": enforce})) == most


def test_answers_that_decide_a_stage() -> None:
    probe = ProbeStrategy(type="probe", num_prompts=20, k=3)
    bandit = BanditStrategy(type="bandit", num_prompts=20, k=3)
    # Two candidates: three looks at 20 items, three answers to each.
    assert deciding_answers(probe, [100], 2) == 3 * 3 * 20
    # Of 30 items half is set aside.
    assert deciding_answers(probe, [30], 2) == 3 * 3 * 15
    # Two tasks before: ten items of each, or three of each where one has six.
    assert deciding_answers(probe, [100, 100, 100], 2) == 3 * 3 * (20 + 2 * 10)
    assert deciding_answers(probe, [100, 6, 100], 2) == 3 * 3 * (20 + 2 * 3)
    # stage 2 set 20 of its task and 20 of the first aside: they are looked at again, and then 20 and 10 of each earlier
    assert deciding_answers(bandit, [100, 100, 100], 2) == 3 * (2 * 20 + 3 * (20 + 2 * 10))
    # those of stage 1 are the earlier ones of stage 2
    assert deciding_answers(bandit, [100, 100], 2) == 3 * 3 * (20 + 20)
    # A race looks at four at the first rung and at two at the second.
    assert deciding_answers(RaceStrategy(type="race", num_prompts=20, k=3), [100], 4) == 3 * (1 + 4 + 2) * 20
    # One candidate is not tried; `bandit` looks at 20 of its items, and again at half of the 10 of the stage before.
    assert deciding_answers(probe, [100], 1) == 0
    assert deciding_answers(bandit, [10, 100], 1) == 3 * (5 + 20)
    assert deciding_answers(RuleStrategy(type="rule", num_prompts=32, k=8), [100, 10], 3) == 80
    assert deciding_answers(FixedStrategy(type="fixed", method="sft"), [100], 1) == 0


@pytest.mark.parametrize(
    ("strategy", "left", "trying"),
    [
        # a quarter of the steps: 2.5 s by sft, 7.5 s by rl
        (ProbeStrategy(type="probe"), [7.5, 22.5], 7.5),
        (ProbeStrategy(type="probe", trials_count=False), [10.0, 30.0], 7.5),
        (RaceStrategy(type="race", share=0.1), [9.0, 27.0], 3.0),
        # one loser is out after 4 steps, of 1 s by sft and 3 s by rl
        (RaceStrategy(type="race", rungs=[4]), [6.0, 18.0], 12.0),
        (RaceStrategy(type="race", rung_seconds=[2]), [8.0, 28.0], 2.0),
        (RuleStrategy(type="rule"), [10.0, 30.0], 0.0),
    ],
)
def test_trials_are_counted_once(strategy: Any, left: list[float], trying: float) -> None:
    costs = tuple(
        MethodCost(name, Timing(10, 4, a_step, 0.0, 0), 10 * a_step) for name, a_step in (("sft", 1.0), ("rl", 3.0))
    )
    found, seconds = with_trials(strategy, costs)
    assert ([one.seconds for one in found], seconds) == (left, pytest.approx(trying))
    assert with_trials(strategy, costs[:1]) == (costs[:1], 0.0)


def test_the_sizes_of_a_low_rank_update(config: Curriculum) -> None:
    # Matrices of 785 x 32 and 32 x 10: all weights but the 42 biases. A unit of rank: 785 + 32 + 32 + 10.
    sizes = prepare(config, Onlooker()).world.sizes
    assert (sizes.matrices, sizes.per_rank) == ((785 * 32 + 32 * 10) * 4, 859 * 4)


FULL = Sizes(weights=100, trained=100, matrices=90, per_rank=3, element=4, held=0, has_base=False)
HALF = Sizes(weights=100, trained=100, matrices=90, per_rank=3, element=2, held=0, has_base=False)
MIXED = Sizes(
    weights=10_000, trained=10_000, matrices=0, per_rank=0, element=2, held=0, has_base=False, exact_moments=2000
)
ADAPTER = Sizes(weights=104, trained=4, matrices=0, per_rank=1, element=2, held=0, has_base=True)


@pytest.mark.parametrize(
    ("method", "settings", "sizes", "total"),
    [
        # weights, gradients, two moments, copies, logits with their gradient
        ("sft", {}, FULL, 100 + 100 + 200 + 0 + 14),
        ("rl", {}, FULL, 100 + 100 + 200 + 0 + 14),
        ("rl", {"beta": 0.1}, FULL, 100 + 100 + 200 + 100 + 14),
        ("rl_kl", {}, FULL, 100 + 100 + 200 + 100 + 14),
        ("rl_kl", {}, ADAPTER, 104 + 4 + 8 + 0 + 14),
        # Two weights of two bytes, which the teacher keeps in four.
        ("sdft", {}, ADAPTER, 104 + 4 + 8 + 8 + 14),
        ("ewc", {}, FULL, 100 + 100 + 200 + 200 + 14),
        # Where the stage began in two bytes a weight, and the Fisher information in four.
        ("ewc", {}, HALF, 100 + 100 + 200 + 300 + 14),
        ("l2", {}, FULL, 100 + 100 + 200 + 100 + 14),
        # Four units of rank are 12: gradients of the weights and of the factors, the factors' moments, the matrices as
        # they began and the factors.
        ("lora", {"lora": {"r": 4}}, FULL, 100 + 112 + 24 + 102 + 14),
        # Of 5000 weights 1000 are exact. A byte a moment of 4000, and 16 scales of four bytes for their blocks of 256
        # (the last one is not full): 4000 + 64; 4000 for the others: a moment has 8064 bytes.
        ("sft", {"trl": {"optim": "adamw_8bit"}}, MIXED, 10_000 + 10_000 + 2 * 8064 + 14),
        ("rl", {"rl": {"trl": {"optim": "paged_adamw_8bit"}}}, MIXED, 10_000 + 10_000 + 2 * 8064 + 14),
        ("sft", {"trl": {"optim": "lion_8bit"}}, MIXED, 10_000 + 10_000 + 8064 + 14),
        ("sft", {"trl": {"optim": "ademamix_8bit"}}, MIXED, 10_000 + 10_000 + 3 * 8064 + 14),
        # Half a byte, and a scale for 128: 4000 / 2 + 32 * 4, and 4000 as before.
        ("sft", {"trl": {"optim": "adamw_torch_4bit"}}, MIXED, 10_000 + 10_000 + 2 * 6128 + 14),
        # bitsandbytes' others are float32, torch's as the weights.
        ("sft", {"trl": {"optim": "lion_32bit"}}, MIXED, 10_000 + 10_000 + 20_000 + 14),
        ("sft", {"trl": {"optim": "adamw_torch"}}, MIXED, 10_000 + 10_000 + 20_000 + 14),
        ("sft", {"trl": {"optim": "sgd"}}, MIXED, 10_000 + 10_000 + 0 + 14),
        ("sft", {"trl": {"optim": "adafactor"}}, MIXED, 10_000 + 10_000 + 0 + 14),
        ("sft", {"trl": {"optim": "schedule_free_sgd"}}, MIXED, 10_000 + 10_000 + 10_000 + 14),
        ("sft", {"trl": {"optim": "sgd", "optim_args": "momentum=0.9"}}, MIXED, 10_000 + 10_000 + 10_000 + 14),
        # A method keeps what all its parts keep.
        ("rl_kl+ewc+l2", {}, FULL, 100 + 100 + 200 + (100 + 200 + 100) + 14),
    ],
)
def test_memory_by_hand(method: str, settings: dict[str, Any], sizes: Sizes, total: int) -> None:
    parsed = spec_of("language").method(method)
    train = settings_for(parsed, Train.model_validate(settings), Train())
    assert memory_of(parsed, train, sizes, logits=7, on_host=False).total == total
    assert memory_of(parsed, train, sizes, logits=7, on_host=True).total == total + sizes.trained


def test_tables_and_small_tensors_keep_exact_moments() -> None:
    """A table of 5000, which is the output too, a matrix of 4096, and a vector of 64: 5064 of four bytes are exact."""
    table, matrix, vector = (torch.nn.Parameter(torch.zeros(*shape)) for shape in ((100, 50), (64, 64), (64,)))
    found = sizes_of([table, matrix, vector], [table, matrix, vector], [], held=False, has_base=False, tables=[table])
    assert (found.trained, found.exact_moments) == (4 * 9160, 4 * 5064)
    assert sizes_of([table, matrix], [matrix], [], held=False, has_base=True, tables=[table]).exact_moments == 0


@pytest.mark.parametrize(
    ("steps", "times", "timing"),
    [
        # begun at 100: 36 of set-up and a step of 4, then another
        (50, [140, 144], Timing(50, 2, 4.0, 36.0, 7)),
        # three steps of 3 after the first, the last after ten seconds
        (50, [105, 108, 111], Timing(50, 3, 3.0, 2.0, 7)),
        (50, [101, 101.5, 102, 102.5], Timing(50, 4, 0.5, 0.5, 7)),
        # a stage of one step: nothing tells it from the set-up
        (1, [140], Timing(1, 1, 40.0, 0.0, 7)),
    ],
)
def test_the_set_up_is_timed_apart_from_a_step(steps: int, times: list[float], timing: Timing) -> None:
    watch = Stopwatch(iter([100.0, *times]).__next__)
    ended = False
    for step in range(1, len(times) + 1):
        assert not ended
        try:
            watch(Progress(step, steps))
        except SaveAndStop:
            ended = True
    assert ended == (steps > 1)
    assert watch.timing(7) == timing


def test_a_quick_plan_refuses_what_the_run_would(tmp_path: Path) -> None:
    """The monitor reads all eight starts; of the four of a quick plan some would be left to recover on."""
    config = saved_base(tmp_path / "base")
    budget = config.budget.model_copy(update={"num_prompts": 8})
    with pytest.raises(ModelError, match="it reads all of them"):
        plan(config.model_copy(update={"budget": budget}), tmp_path / "plan", Onlooker(), quick=True)


def test_what_cannot_be_timed_makes_the_run_unknown(planned: LifePlan) -> None:
    stage = replace(planned.stages[0], methods=(MethodCost("rl", fault="no room"),))
    assert stage.seconds is None
    assert replace(planned, stages=(stage, *planned.stages[1:])).seconds is None
