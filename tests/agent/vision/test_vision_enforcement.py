"""What holds a vision world to its budget: the KL term, the distillation from the base, and the line between states."""

from pathlib import Path
from typing import Any

import pytest
import torch

from perdure.agent.methods.contract import ALONE, Beside, Progress
from perdure.agent.vision.penalty import Penalty
from perdure.agent.vision.world import VisionWorld, on_the_line
from perdure.budget.config import PenaltyConfig, RecoverConfig
from perdure.budget.penalty import Controller
from perdure.curriculum.methods import METHODS, Method
from perdure.curriculum.models import MlpModel
from perdure.curriculum.sources.build import build_task
from perdure.curriculum.sources.config import Images
from perdure.curriculum.task import Task
from perdure.curriculum.train import SECTIONS

MODEL = MlpModel.model_validate(
    {"type": "mlp", "hidden_sizes": [32], "pretrain": {"images": 60, "num_train_epochs": 4}}
)
READ, TERM = "fives", "term/fives"


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

    def learn(self, beside: Beside = ALONE, method: Method = "sft", steps: int = 60, **settings: Any) -> list[Progress]:
        """One stage from the base on."""
        seen: list[Progress] = []

        def watch(progress: Progress) -> bool:
            seen.append(progress)
            return False

        given = {"learning_rate": 1e-2, "max_steps": steps, "per_device_train_batch_size": 32, **settings}
        self.world.become_base()
        self.world.update(
            method,
            self.task,
            SECTIONS[method].model_validate(given),
            seed=3,
            folder=self.folder,
            watch=watch,
            beside=beside,
        )
        return seen


@pytest.fixture
def held(tmp_path: Path) -> Held:
    return Held(tmp_path)


def held_by(**config: Any) -> Beside:
    return Beside(texts=(TERM,), controller=Controller(PenaltyConfig.model_validate(config), cap=0.5))


def test_a_penalty_holds_the_kl_near_its_target(held: Held) -> None:
    held.learn()
    free = held.kl()
    beside = held_by(num_prompts=40)
    held.learn(beside, steps=150, learning_rate=1e-3)
    assert free > 1.5
    # steered to 0.8 of a cap of 0.5, on other images than those that are read
    assert 0.2 < held.kl() < 0.6
    assert beside.controller is not None and beside.controller.weight > 0.1


@pytest.mark.parametrize("method", METHODS["vision"])
def test_every_method_has_the_penalty(held: Held, method: Method) -> None:
    held.learn(method=method)
    free = held.kl()
    beside = held_by(num_prompts=30, weight=30.0, controller="proportional")
    held.learn(beside, method=method)
    assert held.kl() < 0.7 * free


def test_a_penalty_of_weight_0_changes_no_bit(held: Held) -> None:
    held.learn()
    free = held.world.policy.fingerprint()
    beside = Beside(texts=(TERM,), controller=Controller(PenaltyConfig(rate=1e-12), cap=1e6, weight=0.0))
    held.learn(beside)
    assert held.world.policy.fingerprint() == free


def test_the_images_of_a_step_are_those_of_the_seed_and_the_step(held: Held) -> None:
    inputs_NF, base_log_NC = torch.arange(50.0)[:, None], torch.zeros(50, 3)
    controller = Controller(PenaltyConfig(num_prompts=5), cap=1.0)
    one, again, other = (Penalty(controller, inputs_NF, base_log_NC, seed) for seed in (1, 1, 2))
    assert one.chosen(7).tolist() == again.chosen(7).tolist() != one.chosen(8).tolist()
    assert one.chosen(7).tolist() != other.chosen(7).tolist()
    assert len(set(one.chosen(7).tolist())) == 5


def test_the_controller_is_told_the_kl_of_every_step(held: Held) -> None:
    # The base's own KL is 0 at the first step: dual ascent moves by rate · (0 - 1) from 1 to 0.9, whatever the target.
    beside = held_by(weight=1.0, rate=0.1)
    held.learn(beside, steps=1)
    assert beside.controller is not None
    assert beside.controller.weight == pytest.approx(0.9, abs=1e-4)


def test_the_recovery_goes_back_towards_the_base_and_stops_when_told(held: Held) -> None:
    def recovered(enough: int, folder: Path) -> tuple[int, float, str]:
        held.world.restore_snapshot(folder)
        steps = held.world.recover(RecoverConfig(max_steps=20), 3e-3, seed=5, watch=lambda at: at.step == enough)
        return steps, held.kl(), held.world.policy.fingerprint()

    held.learn()
    moved, end = held.kl(), held.folder / "end.safetensors"
    held.world.snapshot(end)
    some, all_of_it = recovered(4, end), recovered(100, end)
    assert (some[0], all_of_it[0]) == (4, 20)
    assert all_of_it[1] < some[1] < moved
    assert recovered(4, end) == some, "it is repeatable"


def test_the_line_between_two_snapshots_is_exact_at_its_ends(held: Held) -> None:
    start, end = held.folder / "start.safetensors", held.folder / "end.safetensors"
    held.learn(steps=5)
    held.world.snapshot(start)
    first = held.world.policy.fingerprint()
    held.learn(steps=40)
    held.world.snapshot(end)
    last = held.world.policy.fingerprint()
    held.world.interpolate(start, end, 0)
    assert held.world.policy.fingerprint() == first
    held.world.interpolate(start, end, 1)
    assert held.world.policy.fingerprint() == last
    held.world.interpolate(start, start, 0.3)
    assert held.world.policy.fingerprint() == first


def test_the_line_is_straight() -> None:
    # a quarter of the way from 1 to 3 is 1.5; ends of ±3e38 are further apart than float32 goes
    start, end = {"w": torch.tensor([1.0, -3e38])}, {"w": torch.tensor([3.0, 3e38])}
    assert on_the_line(start, end, 0.25)["w"].tolist() == pytest.approx([1.5, -1.5e38])
    assert torch.isnan(on_the_line(start, {"w": torch.tensor([torch.nan, 0.0])}, 0.5)["w"][0])
    assert on_the_line(start, {"w": torch.tensor([torch.nan, 0.0])}, 0)["w"].tolist() == start["w"].tolist()


def test_replay_has_the_tasks_of_earlier_stages(held: Held) -> None:
    held.learn(method="replay", replay_ratio=0.5)
    alone = held.world.policy.fingerprint()
    held.learn()
    assert held.world.policy.fingerprint() == alone, "the first stage is plain SFT"
    held.learn(Beside(earlier=(task("parity", writer="none"),)), method="replay", replay_ratio=0.5)
    assert held.world.policy.fingerprint() == alone, "nobody wrote for parity"
    held.learn(Beside(earlier=(task("parity"),)), method="replay", replay_ratio=0.5)
    assert held.world.policy.fingerprint() != alone


def test_ewc_is_held_by_earlier_tasks_as_well(held: Held) -> None:
    held.learn(method="ewc", ewc_lambda=100.0)
    alone = held.world.policy.fingerprint()
    held.learn(Beside(earlier=(task("parity"),)), method="ewc", ewc_lambda=100.0)
    assert held.world.policy.fingerprint() != alone


def test_two_worlds_of_one_base_share_no_weights(held: Held) -> None:
    other = VisionWorld(MODEL, seed=0)
    before = other.policy.fingerprint()
    held.learn()
    assert other.policy.fingerprint() == before == VisionWorld(MODEL, seed=0).policy.fingerprint()
    assert VisionWorld(MODEL, seed=1).policy.fingerprint() != before
