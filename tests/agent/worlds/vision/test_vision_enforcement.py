"""What holds a vision world to its budget: the KL term, the distillation from the base, and the line between states."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from perdure.agent.weights import blend, restore_weights, write_weights
from perdure.agent.worlds.contract import Progress, UpdateJob
from perdure.agent.worlds.vision.penalty import KlPenalty
from perdure.agent.worlds.vision.world import VisionWorld
from perdure.budget.config import PenaltyConfig, RecoverConfig
from perdure.budget.errors import RunError
from perdure.budget.monitor import GENERIC
from perdure.budget.penalty import Controller
from perdure.curriculum.task import Task
from perdure.curriculum.worlds.build import build_task
from perdure.curriculum.worlds.vision.model import MlpModel
from perdure.curriculum.worlds.vision.spec import VISION
from perdure.curriculum.worlds.vision.tasks import Images
from tests.curriculum.methods import method_of, settings_of

MODEL = MlpModel.model_validate(
    {"type": "mlp", "hidden_sizes": [32], "pretrain": {"images": 60, "num_train_epochs": 4}}
)
READ, TERM = "fives", "term/fives"
UNUSED = torch.empty(0)
"""The step's own images play no part in the penalty."""


def task(rule: str = "at_least_five", writer: str = "two") -> Task:
    config = Images.model_validate(
        {"type": "images", "images": "digits", "rule": rule, "writer": writer, "train": 256, "heldout": 20}
    )
    return build_task(config, name=rule, seed=1, model=MODEL)


class Held:
    """A small world with the groups of one task, and a stage of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.task = folder, task()
        self.world = VisionWorld(MODEL, seed=0)
        prompts = [item.prompt for item in self.task.train]
        self.world.prepare_base({READ: prompts[:100], TERM: prompts[100:]}, folder / "base", seed=0)

    def kl(self) -> float:
        sums = self.world.measure([READ]).kl_base_to_policy[0].sums
        return sum(sums) / len(sums)

    def learn(
        self,
        controller: Controller | None = None,
        method: str = "sft",
        steps: int = 60,
        earlier: tuple[Task, ...] = (),
        **settings: Any,
    ) -> list[Progress]:
        """One stage from the base on; with a controller the term is on the images that the monitor does not read."""
        seen: list[Progress] = []

        def watch(progress: Progress) -> bool:
            seen.append(progress)
            return False

        given = {"learning_rate": 1e-2, "max_steps": steps, "per_device_train_batch_size": 32, **settings}
        self.world.become_base()
        job = UpdateJob(
            method=method_of(method),
            policy=self.world.policy,
            task=self.task,
            settings=settings_of(method, **given),
            seed=3,
            folder=self.folder,
            watch=watch,
            earlier=earlier,
            texts=() if controller is None else (TERM,),
            controller=controller,
        )
        self.world.update(job)
        return seen


@pytest.fixture
def held(tmp_path: Path) -> Held:
    return Held(tmp_path)


def held_by(**config: Any) -> Controller:
    return Controller(PenaltyConfig.model_validate(config), cap=0.5)


def test_a_penalty_holds_the_kl_near_its_target(held: Held) -> None:
    held.learn()
    free = held.kl()
    controller = held_by(num_prompts=40)
    held.learn(controller, steps=150, learning_rate=1e-3)
    assert free > 1.5
    # steered to 0.8 of a cap of 0.5, on other images than those that are read
    assert 0.2 < held.kl() < 0.6
    assert controller.weight > 0.1


@pytest.mark.parametrize("method", [*VISION.names, "rl+replay", "chord+l2+kl"])
def test_every_method_has_the_penalty(held: Held, method: str) -> None:
    held.learn(method=method)
    free = held.kl()
    held.learn(held_by(num_prompts=30, weight=30.0, controller="proportional"), method=method)
    assert held.kl() < 0.7 * free


def test_a_penalty_of_weight_0_changes_nothing_beyond_rounding(held: Held) -> None:
    gentle = {"steps": 20, "learning_rate": 1e-3}
    held.learn(**gentle)
    free = {name: tensor.clone() for name, tensor in held.world.policy.params.items()}
    held.learn(Controller(PenaltyConfig(rate=1e-12), cap=1e6, weight=0.0), **gentle)
    moved = [(held.world.policy.params[name] - tensor).abs().max() for name, tensor in free.items()]
    assert max(moved) < 1e-5  # without the term dead inputs are left out, which sums in another order


def test_the_images_of_a_step_are_those_of_the_seed_and_the_step(held: Held) -> None:
    groups = {TERM: (torch.arange(50.0)[:, None], torch.zeros(50, 3))}
    controller = Controller(PenaltyConfig(num_prompts=5), cap=1.0)
    one, again, other = (KlPenalty(controller, groups, seed) for seed in (1, 1, 2))
    assert one.chosen(7) == again.chosen(7) != one.chosen(8)
    assert one.chosen(7) != other.chosen(7)
    assert len(set(one.chosen(7)[TERM])) == 5


class Told(Controller):
    """Keeps what it is told, and its weight."""

    def __init__(self, num_prompts: int) -> None:
        super().__init__(PenaltyConfig(num_prompts=num_prompts), cap=1.0, weight=2.0)
        self.kls: list[float] = []

    def steer(self, kl: float) -> None:
        self.kls.append(kl)


def test_the_groups_of_the_term_count_alike_however_large_they_are() -> None:
    """As in a reading: the mean over groups of their means; a network that always says 1/2, 1/2.

    Bases of the two groups: (3/4, 1/4), 0.1308 nats away, and (1/2, 1/2), 0. The mean is 0.0654 whether the first has
    40 images or 4; over all images alike it would be 0.119 or 0.065.
    """
    flat = {"0.weight": torch.zeros(1, 2, 2, requires_grad=True), "0.bias": torch.zeros(1, 2, requires_grad=True)}
    kls = (0.75 * math.log(1.5) + 0.25 * math.log(0.5), 0.0)
    for first in (40, 4):
        groups = {
            "far": (torch.randn(first, 2), torch.tensor([[0.75, 0.25]]).log().expand(first, 2)),
            "near": (torch.randn(4, 2), torch.tensor([[0.5, 0.5]]).log().expand(4, 2)),
        }
        controller = Told(num_prompts=8)
        penalty = KlPenalty(controller, groups, seed=0)
        found_M = penalty(flat, 0, UNUSED, {})
        penalty.steer()
        assert {name: len(some) for name, some in penalty.chosen(0).items()} == {"far": 4, "near": 4}
        assert controller.kls == pytest.approx([sum(kls) / 2])
        assert found_M.tolist() == pytest.approx([sum(kls)])
    # fewer images than groups: a step takes one of them, and over many steps the mean is the same
    controller = Told(num_prompts=1)
    penalty = KlPenalty(controller, groups, seed=0)
    for step in range(400):
        penalty(flat, step, UNUSED, {})
        penalty.steer()
    assert sum(controller.kls) / 400 == pytest.approx(sum(kls) / 2, rel=0.2)


def test_what_the_budget_counts_beside_the_tasks_is_a_term_of_its_own() -> None:
    """The bases of above, one a task's and one the generic probe's: the sum of both counts, and the larger steers."""
    flat = {"0.weight": torch.zeros(1, 2, 2, requires_grad=True), "0.bias": torch.zeros(1, 2, requires_grad=True)}
    far = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    for probe, task in (((0.75, 0.25), (0.5, 0.5)), ((0.5, 0.5), (0.75, 0.25))):
        bases = {TERM: task, f"term/{GENERIC}": probe}
        groups = {name: (torch.randn(6, 2), torch.tensor([one]).log().expand(6, 2)) for name, one in bases.items()}
        controller = Told(num_prompts=4)
        penalty = KlPenalty(controller, groups, seed=0)
        assert penalty(flat, 0, UNUSED, {}).tolist() == pytest.approx([2 * far])
        penalty.steer()
        assert controller.kls == pytest.approx([far])
        assert {name: len(some) for name, some in penalty.chosen(0).items()} == dict.fromkeys(bases, 4)


def test_the_controller_is_told_the_kl_of_every_step(held: Held) -> None:
    # The base's own KL is 0 at the first step: dual ascent moves by rate · (0 - 1) from 1 to 0.9, whatever the target.
    controller = held_by(weight=1.0, rate=0.1)
    held.learn(controller, steps=1)
    assert controller.weight == pytest.approx(0.9, abs=1e-4)


def test_the_recovery_goes_back_towards_the_base_and_stops_when_told(held: Held) -> None:
    def recovered(enough: int, folder: Path) -> tuple[int, float, str]:
        restore_weights(held.world.trained, folder)
        steps = held.world.recover(RecoverConfig(max_steps=20), 3e-3, seed=5, watch=lambda at: at.step == enough)
        return steps, held.kl(), held.world.policy.fingerprint()

    held.learn()
    moved, end = held.kl(), held.folder / "end.safetensors"
    write_weights(held.world.trained, end)
    some, all_of_it = recovered(4, end), recovered(100, end)
    assert (some[0], all_of_it[0]) == (4, 20)
    assert all_of_it[1] < some[1] < moved
    assert recovered(4, end) == some, "it is repeatable"


def test_the_line_between_two_snapshots_is_exact_at_its_ends(held: Held) -> None:
    start, end = held.folder / "start.safetensors", held.folder / "end.safetensors"
    held.learn(steps=5)
    write_weights(held.world.trained, start)
    first = held.world.policy.fingerprint()
    held.learn(steps=40)
    write_weights(held.world.trained, end)
    last = held.world.policy.fingerprint()
    blend(held.world.trained, start, end, 0)
    assert held.world.policy.fingerprint() == first
    blend(held.world.trained, start, end, 1)
    assert held.world.policy.fingerprint() == last
    blend(held.world.trained, start, start, 0.3)
    assert held.world.policy.fingerprint() == first


def test_replay_has_the_tasks_of_earlier_stages(held: Held) -> None:
    held.learn(method="replay", replay_ratio=0.5)
    alone = held.world.policy.fingerprint()
    held.learn()
    assert held.world.policy.fingerprint() == alone, "the first stage is plain SFT"
    held.learn(earlier=(task("parity", writer="none"),), method="replay", replay_ratio=0.5)
    assert held.world.policy.fingerprint() == alone, "nobody wrote for parity"
    held.learn(earlier=(task("parity"),), method="replay", replay_ratio=0.5)
    assert held.world.policy.fingerprint() != alone


def test_ewc_is_held_by_earlier_tasks_as_well(held: Held) -> None:
    held.learn(method="ewc", ewc_lambda=100.0)
    alone = held.world.policy.fingerprint()
    held.learn(earlier=(task("parity"),), method="ewc", ewc_lambda=100.0)
    assert held.world.policy.fingerprint() != alone


def test_what_the_base_said_of_other_images_is_not_taken_for_these(held: Held) -> None:
    prompts, folder = [item.prompt for item in held.task.train], held.folder / "base"
    held.world.prepare_base({READ: prompts[:100], TERM: prompts[100:]}, folder, seed=0)
    with pytest.raises(RunError, match="is of other images than group 'fives' has now"):
        held.world.prepare_base({READ: prompts[1:101], TERM: prompts[100:]}, folder, seed=0)


def test_two_worlds_of_one_base_share_no_weights(held: Held) -> None:
    other = VisionWorld(MODEL, seed=0)
    before = other.policy.fingerprint()
    held.learn()
    assert other.policy.fingerprint() == before == VisionWorld(MODEL, seed=0).policy.fingerprint()
    assert VisionWorld(MODEL, seed=1).policy.fingerprint() != before
