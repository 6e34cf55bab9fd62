"""Updates of a VLA: the penalty of a step by hand, `ewc` from the first stage on, and checkpoints inside a stage."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
import torch
from torch import Tensor

from perdure.agent.weights import trainable
from perdure.agent.worlds.contract import Outcome, Progress, UpdateJob
from perdure.agent.worlds.control.batches import demonstrations_of, imitated
from perdure.agent.worlds.control.methods.ewc import fisher, remembered
from perdure.agent.worlds.control.vla.loading import dtype_of
from perdure.agent.worlds.control.world import ControlWorld
from perdure.budget.config import PenaltyConfig
from perdure.budget.errors import DataError, ModelError
from perdure.budget.penalty import Controller
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.task import Task
from perdure.curriculum.worlds.build import build_task
from perdure.curriculum.worlds.control.vla import Vla
from perdure.curriculum.worlds.registry import spec_of
from tests.control_runs import curriculum, point
from tests.curriculum.methods import settings_of
from tests.vla_models import save_llava

READ, TERM = "stage1", "term/stage1"
BINS = 768
"""So many that three tokens of four are actions, and that random weights succeed in a third of the episodes."""


@cache
def model() -> Path:
    return save_llava(Path(mkdtemp()) / "llava", actions=BINS)


def config_of(*, adapter: bool) -> Curriculum:
    """One stage of two decisions an episode, which succeeds where each token was an action."""
    picture = point(
        id="tests.point_world:PointPicture-v0",
        horizon=2,
        train=12,
        success="tests.point_world:is_played",
        demonstrations={"type": "expert", "expert": "tests.point_world:picture_expert"},
    )
    policy = {"type": "vla", "model_name_or_path": str(model()), "prompt": "In: {instruction}?\nOut:"}
    lora = {"lora": {"r": 2, "lora_alpha": 4}} if adapter else {}
    section = {"type": "control", "bins": BINS, "policy": policy | lora}
    return curriculum([picture], method="rl", model=section)


@cache
def task() -> Task:
    one = config_of(adapter=True)
    return build_task(one.stages[0].task, name=READ, seed=0, model=one.model)


@cache
def world(*, adapter: bool) -> ControlWorld:
    """The world with the base's episodes of six starts that are read, and of six that are trained on."""
    made = ControlWorld(config_of(adapter=adapter))
    starts = [item.prompt for item in task().train]
    groups = {READ: starts[:6], TERM: starts[6:]}
    made.refuse_unfit([task()], [["sft+ewc"]], [], groups)
    made.prepare_base(groups, Path(mkdtemp()), seed=0)
    return made


def controller(**more: Any) -> Controller:
    return Controller(PenaltyConfig.model_validate({"weight": 3.0, "num_prompts": 6, **more}), cap=0.01)


def updated(
    name: str,
    folder: Path,
    held: Controller,
    watch: Callable[[Progress], bool] = lambda _: False,
    *,
    adapter: bool = True,
    **train: Any,
) -> Outcome:
    """The outcome of an update of the policy as it is."""
    used = world(adapter=adapter)
    settings = settings_of(name, "control", **{"per_device_train_batch_size": 2, **train})
    method = spec_of("control").method(name)
    job = UpdateJob(method, used.policy, task(), settings, 5, folder, watch, (), texts=(TERM,), controller=held)
    return used.update(job)


def weights(*, adapter: bool = True) -> dict[str, Tensor]:
    return {name: one.clone() for name, one in trainable(world(adapter=adapter).policy.actor.network).items()}


def move() -> None:
    """Away from the base, where the KL and its gradient are 0."""
    with torch.no_grad():
        generator = torch.Generator().manual_seed(3)
        for one in trainable(world(adapter=True).policy.actor.network).values():
            one.add_(0.05 * torch.randn(one.shape, generator=generator))


def test_the_penalty_of_a_step_is_its_weight_times_the_kl_by_hand(tmp_path: Path) -> None:
    """The first step of AdamW without decay is lr · g / (|g| + ε), g that of SFT and three times that of the KL.

    The KL of a decision is the sum over both tokens of sum_v p ln p/q over the whole vocabulary. Then the weight
    rises by rate · (KL / target - 1), the target 0.8 of the cap 0.01.
    """
    used, actor = world(adapter=True), world(adapter=True).policy.actor
    used.become_base()
    states = used._states[TERM]
    base_p_SDV = states.base_log_SDB.exp()
    assert torch.allclose(base_p_SDV.sum(-1), torch.ones(base_p_SDV.shape[:2]))
    move()
    batch = imitated(actor, [one for item in task().train for one in demonstrations_of(item)])
    chosen = actor.log_probabilities(batch.inputs, batch.actions_ND).gather(-1, batch.actions_ND[..., None])
    log_SDV = actor.log_probabilities(states.inputs, states.actions_SD)
    kl = (base_p_SDV * (states.base_log_SDB - log_SDV)).sum((-1, -2)).mean()
    loss = -chosen.sum() / len(batch) + 3.0 * kl
    wanted, far = float(loss.detach()), float(kl.detach())
    start = trainable(actor.network)
    gradients = torch.autograd.grad(loss, [one for one in actor.network.parameters() if one.requires_grad])
    expected = {
        name: one.clone() - 1e-3 * slope / (slope.abs() + 1e-8)
        for (name, one), slope in zip(start.items(), gradients, strict=True)
    }
    steered = controller()
    seen: list[Progress] = []
    updated(
        "sft", tmp_path, steered, lambda at: bool(seen.append(at)), max_steps=1, max_grad_norm=0.0, learning_rate=1e-3,
        per_device_train_batch_size=12,
    )  # fmt: skip
    assert far > 0.01
    assert seen[0].loss == pytest.approx(wanted, rel=1e-4)
    assert steered.weight == pytest.approx(3.0 + 0.05 * (far / 0.008 - 1), rel=1e-4)
    for (name, one), slope in zip(trainable(actor.network).items(), gradients, strict=True):
        certain = slope.abs() > 1e-5  # the sign of less is rounding
        assert certain.any() and torch.allclose(one[certain], expected[name][certain], atol=1e-5), name


def test_ewc_takes_the_base_s_episodes_on_starts_that_are_not_read(tmp_path: Path) -> None:
    used = world(adapter=True)
    used.become_base()
    read = {item.prompt.identity for item in task().train[:6]}
    assert len(used._base.spare) == 6 and not read & {start.identity for start in used._base.spare}
    job = UpdateJob(spec_of("control").method("sft+ewc"), used.policy, task(), settings_of("sft+ewc", "control"), 5,
                    tmp_path, lambda _: False, ())  # fmt: skip
    used.policy.faults.clear()
    seen = remembered(job, used._base, 4, seed=1)
    assert len(seen) == 4 and used.policy.faults == []
    with pytest.raises(DataError, match="so there is nothing to hold it to"):
        remembered(job, replace(used._base, spare=()), 4, seed=1)
    figures = fisher(used.policy.actor, seen, dimensions=2, seed=0)
    assert all(bool((one >= 0).all()) for one in figures.values()) and any(float(one.sum()) for one in figures.values())
    starts = [item.prompt for item in task().train]
    with pytest.raises(ModelError, match=r"stages\.stage1: `ewc` holds to what the base does on training starts that"):
        world(adapter=False).refuse_unfit([task()], [["sft+ewc"]], [], {READ: starts})


def test_whole_weights_are_float32_and_those_under_an_adapter_bfloat16_where_there_is_such() -> None:
    def dtype(*, has_bfloat16: bool, **more: Any) -> torch.dtype:
        return dtype_of(Vla(type="vla", model_name_or_path="m", **more), has_bfloat16=has_bfloat16)

    assert dtype(has_bfloat16=True) == dtype(has_bfloat16=False, lora={}) == torch.float32
    assert dtype(has_bfloat16=True, lora={}) == dtype(has_bfloat16=False, dtype="bfloat16") == torch.bfloat16


def test_an_adapter_is_not_put_on_an_adapter() -> None:
    method = spec_of("control").method("rl+low_rank+kl")
    refused = config_of(adapter=True).model.refusal(method)
    assert refused == "with `model.policy.lora` the policy is a LoRA adapter already; use 'rl+kl'"
    assert config_of(adapter=False).model.refusal(method) is None


class Kill(Exception):  # noqa: N818
    """In place of a kill."""


@pytest.mark.parametrize(("name", "adapter"), [("chord+ewc", True), ("tilt+replay+kl+low_rank", False)])
def test_a_killed_update_goes_on_from_its_checkpoint_to_the_same_bits(name: str, adapter: bool, tmp_path: Path) -> None:
    train = {"max_steps": 4, "save_steps": 2, "num_iterations": 2, "num_generations": 4, "learning_rate": 1e-2}
    seen: list[Progress] = []

    def ended(folder: Path, stop: int | None = None) -> tuple[dict[str, Tensor], float, Outcome]:
        def watch(progress: Progress) -> bool:
            seen.append(progress)
            if progress.step == stop:
                raise Kill
            return False

        world(adapter=adapter).become_base()
        held = controller(num_prompts=2)
        outcome = updated(name, folder, held, watch, adapter=adapter, **train)
        return weights(adapter=adapter), held.weight, outcome

    whole, steps = ended(tmp_path / "whole"), list(seen)
    with pytest.raises(Kill):
        ended(tmp_path / "killed", stop=3)
    seen.clear()
    again = ended(tmp_path / "killed")
    assert [one.step for one in seen] == [3, 4] and seen == steps[2:]
    assert all(torch.equal(one, again[0][key]) for key, one in whole[0].items()) and whole[1:] == again[1:]
    world(adapter=adapter).become_base()
    assert any(not torch.equal(one, whole[0][key]) for key, one in weights(adapter=adapter).items())
    assert max(one.reward or 0 for one in steps) > 0
