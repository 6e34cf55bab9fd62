"""Training together and one by one are the same, and each method learns what it should."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from perdure.agent.worlds.schedule import plan_for
from perdure.agent.worlds.vision.mlp import Params, forward, member, new_params, stack
from perdure.agent.worlds.vision.task_tensors import TaskTensors
from perdure.agent.worlds.vision.training import StackStep, log_probabilities, train
from perdure.curriculum.worlds.vision.spec import VISION
from tests.curriculum.methods import method_of, settings_of

FEATURES, CLASSES, IMAGES = 6, 4, 40
RATES = (1e-3, 3e-3, 1e-2)
SCHEDULES = ("constant", "cosine", "linear")


def tensors(base: Params, *, oracle: bool = False) -> TaskTensors:
    """Two of four labels are right, by the sign of the first feature; the writer always gives the lower."""
    inputs_NF = torch.randn(IMAGES, FEATURES, generator=torch.Generator().manual_seed(1))
    positive_N = inputs_NF[:, 0] > 0
    correct_NC = torch.stack([positive_N, ~positive_N, positive_N, ~positive_N], dim=1).float()
    choices_NC = torch.nn.functional.one_hot((~positive_N).long(), CLASSES).float()
    return TaskTensors(inputs_NF, correct_NC, None if oracle else choices_NC, log_probabilities(base, inputs_NF))


def base_of_one() -> Params:
    return stack([new_params([FEATURES, 16, 8, CLASSES], torch.Generator().manual_seed(0))])


def trained(
    method: str,
    rates: Sequence[float],
    seeds: Sequence[int],
    steps: int = 25,
    oracle: bool = False,
    watch: list[StackStep] | None = None,
    **settings: object,
) -> tuple[Params, TaskTensors]:
    base = base_of_one()
    what = tensors(base, oracle=oracle)
    common = settings_of(method, **{"max_steps": steps, "per_device_train_batch_size": 8, **settings})
    plans = [
        plan_for(method_of(method), common.objective.model_copy(update=own), IMAGES)
        for own in (
            {"learning_rate": rate, "lr_scheduler_type": schedule}
            for rate, schedule in zip(rates, SCHEDULES, strict=False)
        )
    ]
    stacked = {name: tensor.repeat(len(plans), *[1] * (tensor.dim() - 1)) for name, tensor in base.items()}

    def after_step(step: StackStep) -> bool:
        if watch is not None:
            watch.append(step)
        return False

    train(stacked, what, method_of(method), common, plans, seeds, after_step)
    return stacked, what


def mass(model: Params, what: TaskTensors) -> float:
    """The mean probability of a right label."""
    return float((forward(model, what.inputs_NF).softmax(-1) * what.correct_NC).sum(-1).mean())


@pytest.mark.parametrize("method", VISION.names)
def test_a_model_ends_with_the_same_weights_alone_and_in_company(method: str) -> None:
    together, _ = trained(method, RATES, (5, 6, 7))
    for index, schedule in enumerate(SCHEDULES):
        base = base_of_one()
        settings = settings_of(method, max_steps=25, per_device_train_batch_size=8)
        alone = settings.objective.model_copy(update={"learning_rate": RATES[index], "lr_scheduler_type": schedule})
        plan = plan_for(method_of(method), alone, IMAGES)
        train(base, tensors(base_of_one()), method_of(method), settings, [plan], [5 + index], lambda _: False)
        for name, tensor in member(together, index).items():
            assert torch.equal(tensor, base[name][0]), (schedule, name)


@pytest.mark.parametrize("method", VISION.names)
def test_every_method_learns(method: str) -> None:
    # A weight of this small network counts for far more than one of the shipped stream's, for which the default is.
    looser = {"ewc_lambda": 10.0} if method == "ewc" else {}
    stacked, what = trained(method, [2e-2], [0], steps=200, **looser)
    assert mass(member(stacked, 0), what) > 0.9 > mass(member(base_of_one(), 0), what)


def test_networks_of_full_size_are_the_same_alone_and_in_a_stack_of_ten() -> None:
    base = stack([new_params([785, 512, 256, 10], torch.Generator().manual_seed(0))])
    inputs_NF = torch.rand(128, 785, generator=torch.Generator().manual_seed(1))
    correct_NC = (torch.arange(10) % 2 == (torch.arange(128) % 2)[:, None]).float()
    what = TaskTensors(inputs_NF, correct_NC, correct_NC / 5, log_probabilities(base, inputs_NF))
    rl, settings = method_of("rl"), settings_of("rl", max_steps=3)
    plan = plan_for(rl, settings.objective, 128)
    stacked = {name: tensor.repeat(10, *[1] * (tensor.dim() - 1)) for name, tensor in base.items()}
    train(stacked, what, rl, settings, [plan] * 10, list(range(10)), lambda _: False)
    train(base, what, rl, settings, [plan], [7], lambda _: False)
    assert all(torch.equal(stacked[name][7], base[name][0]) for name in base)


def test_gradients_are_clipped_model_by_model() -> None:
    # Adam's step does not depend on the scale of a constant gradient, so a tiny clip must leave the models as they
    # would be alone; and a clip changes something, since norms differ between steps
    clipped, _ = trained("sft", RATES[:2], (5, 6), max_grad_norm=1e-3)
    free, _ = trained("sft", RATES[:2], (5, 6))
    alone, _ = trained("sft", RATES[:1], (5,), max_grad_norm=1e-3)
    assert torch.equal(clipped["0.weight"][0], alone["0.weight"][0])
    assert not torch.equal(clipped["0.weight"], free["0.weight"])


def test_the_oracle_and_tilt_go_to_the_tilted_base_and_policy_gradient_does_not() -> None:
    """q* ∝ π0·R: after training, the ratio of the two right labels is that of the base for tilt and the oracle."""
    gaps = {}
    cases: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("oracle", "sft", {"oracle": True}),
        ("tilt", "tilt", {"num_generations": 16}),
        ("base", "tilt", {"samples_from": "base", "num_generations": 16}),
        ("one", "sft", {}),
    )
    for name, method, settings in cases:
        stacked, what = trained(method, [1e-2], [0], steps=600, **settings)
        q_NC = what.base_log_1NC[0].exp() * what.correct_NC
        q_NC = q_NC / q_NC.sum(-1, keepdim=True)
        gaps[name] = float((forward(member(stacked, 0), what.inputs_NF).softmax(-1) - q_NC).abs().sum(-1).mean() / 2)
    assert max(gaps["oracle"], gaps["tilt"], gaps["base"]) < 0.12
    assert gaps["one"] > 0.3


def test_a_penalty_on_the_kl_keeps_the_policy_nearer() -> None:
    def kl(model: Params, what: TaskTensors) -> float:
        log_NC = forward(model, what.inputs_NF).log_softmax(-1)
        return float((log_NC.exp() * (log_NC - what.base_log_1NC[0])).sum(-1).mean())

    free, what = trained("rl", [2e-2], [0], steps=200)
    held, _ = trained("rl", [2e-2], [0], steps=200, beta=1.0)
    assert kl(member(held, 0), what) < 0.5 * kl(member(free, 0), what)


def test_a_model_that_is_nan_leaves_the_others_alone() -> None:
    steps: list[StackStep] = []
    together, _ = trained("rl", (1e-3, 1e30), (5, 6), watch=steps)
    alone, _ = trained("rl", (1e-3,), (5,))
    assert torch.equal(together["0.weight"][0], alone["0.weight"][0])
    assert not torch.isfinite(together["0.weight"][1]).all() or not torch.isfinite(steps[-1].loss_M[1])


def test_the_watch_can_end_it_and_sees_rewards_and_rates() -> None:
    base = base_of_one()
    rl = method_of("rl")
    settings = settings_of("rl", max_steps=25, per_device_train_batch_size=8, learning_rate=1e-3)
    seen: list[StackStep] = []

    def after_step(step: StackStep) -> bool:
        seen.append(step)
        return step.number == 3

    plan = plan_for(rl, settings.objective, IMAGES)
    assert train(base, tensors(base_of_one()), rl, settings, [plan], [0], after_step) == 3
    assert [step.number for step in seen] == [1, 2, 3]
    assert seen[0].rates == (1e-3,)
    assert seen[0].reward_M is not None
    assert not base["0.weight"].requires_grad
