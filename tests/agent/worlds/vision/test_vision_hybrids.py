"""The variants of SFT and RL, and the modifiers: plain where the change says nothing, and another where it does."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from perdure.agent.worlds.replayed import replayed_items
from perdure.agent.worlds.schedule import Plan, plan_for
from perdure.agent.worlds.vision.changes import Changes
from perdure.agent.worlds.vision.methods import chord, ewc, gate, kl, l2, reinforce, replay, rl, sft, tilt
from perdure.agent.worlds.vision.methods.l2 import distance
from perdure.agent.worlds.vision.mlp import Params, forward, member, new_params, stack
from perdure.agent.worlds.vision.optimizers import LowRankAdam
from perdure.agent.worlds.vision.rngs import Rngs
from perdure.agent.worlds.vision.schedule import default
from perdure.agent.worlds.vision.task_tensors import StepIndex, TaskTensors
from perdure.agent.worlds.vision.training import descend, log_probabilities, train
from perdure.curriculum.settings import L2, Ewc, Kl
from perdure.curriculum.worlds.vision.spec import Reinforce, VisionChord, VisionGate, VisionRl, VisionSft, VisionTilt
from tests.agent.worlds.vision.test_vision_training import IMAGES, base_of_one, tensors, trained
from tests.curriculum.methods import ON_SFT, method_of, settings_of

CPU = torch.device("cpu")
MOMENT = StepIndex(0, 10)


def rows(correct: Sequence[Sequence[float]], targets: Sequence[Sequence[float]]) -> dict[str, torch.Tensor]:
    """One model, an image a row; the base knows nothing."""
    correct_MBC = torch.tensor([correct])
    return {
        "correct": correct_MBC,
        "targets": torch.tensor([targets]),
        "base_log": torch.full_like(correct_MBC, 1 / correct_MBC.shape[-1]).log(),
    }


def same(one: Params, other: Params) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def after(name: str, settings: Mapping[str, Any], what: TaskTensors | None = None, *, steps: int = 12) -> Params:
    """The base after a few steps."""
    base = base_of_one()
    full = {"max_steps": steps, "per_device_train_batch_size": 8, "learning_rate": 1e-2, **settings}
    method, given = method_of(name), settings_of(name, **full)
    plan = plan_for(method, given.objective, IMAGES)
    train(base, what or tensors(base_of_one()), method, given, [plan], [3], lambda _: False)
    return base


def test_the_gate_is_rl_where_every_image_has_a_right_sample() -> None:
    # every label is right, so that every group succeeds
    log_MBC = torch.randn(1, 5, 3).log_softmax(-1)
    what = rows([[1.0, 1.0, 1.0]] * 5, [[1.0, 0.0, 0.0]] * 5)
    for beta in (0.0, 0.3):
        mine, reward = gate.loss(log_MBC, what, VisionGate(beta=beta), Rngs([1], CPU), MOMENT)
        plain, plain_reward = rl.loss(log_MBC, what, VisionRl(beta=beta), Rngs([1], CPU), MOMENT)
        assert torch.equal(mine, plain) and reward is not None and plain_reward is not None
        assert torch.equal(reward, plain_reward)


@pytest.mark.parametrize(("method", "settings"), [(rl, VisionRl), (gate, VisionGate)])
def test_the_entropy_bonus_is_taken_off_the_loss(method: Any, settings: Any) -> None:
    log_MBC = torch.tensor([[[0.5, 0.5, 1e-30], [0.5, 0.5, 1e-30]]]).log()  # ln 2 an image
    what = rows([[1.0, 0.0, 0.0]] * 2, [[1.0, 0.0, 0.0]] * 2)
    plain, _ = method.loss(log_MBC, what, settings(), Rngs([1], CPU), MOMENT)
    mine, _ = method.loss(log_MBC, what, settings(entropy_coef=0.1), Rngs([1], CPU), MOMENT)
    assert (plain - mine).tolist() == pytest.approx([0.1 * math.log(2)])


def test_the_gate_is_sft_where_none_has() -> None:
    log_MBC = torch.randn(1, 5, 3).log_softmax(-1)
    targets = [[0.0, 1.0, 0.0]] * 5
    what = rows([[0.0, 0.0, 0.0]] * 5, targets)
    mine, reward = gate.loss(log_MBC, what, VisionGate(beta=0.3, sft_weight=0.5), Rngs([1], CPU), MOMENT)
    assert mine.tolist() == pytest.approx([-0.5 * float(log_MBC[0, :, 1].mean())])
    assert reward is not None and reward.tolist() == [0.0]


def test_the_gate_chooses_image_by_image() -> None:
    # The policy surely says 0, which is right for the first image and wrong for the second. The first image's group is
    # of one mind, so its advantages are 0; the second's loss is -ln p(1) = 20 and a little; the mean is half of it.
    log_MBC = torch.tensor([[[20.0, 0.0], [20.0, 0.0]]]).log_softmax(-1)
    what = rows([[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]])
    mine, reward = gate.loss(log_MBC, what, VisionGate(), Rngs([1], CPU), MOMENT)
    assert mine.tolist() == pytest.approx([10.0])
    assert reward is not None and reward.tolist() == [0.5]


SURE = torch.tensor([[[20.0, 0.0]] * 3 + [[0.0, 0.0]]]).log_softmax(-1)
"""Says 0 of three images and either of the fourth; with 8 samples of seed 1 both."""


@pytest.mark.parametrize(
    ("module", "settings", "counts"),
    [
        # groups: all right, all right, all wrong, mixed
        (rl, VisionRl(), {"equal_rewards": (3, 4)}),
        (chord, VisionChord(), {"equal_rewards": (3, 4)}),
        (gate, VisionGate(), {"equal_rewards": (2, 4)}),  # the wrong one is learned from its demonstration
        (reinforce, Reinforce(), {"no_success": (1, 4)}),
        (tilt, VisionTilt(), {"no_success": (1, 4)}),
    ],
)
def test_groups_of_samples_that_teach_nothing_are_counted(module: Any, settings: Any, counts: dict[str, Any]) -> None:
    right = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    what = rows(right, right) | {"rewards": torch.tensor([[1.0, 1.0, 0.0, 0.5]])}
    index = StepIndex(0, 10)
    module.loss(SURE, what, settings, Rngs([1], CPU), index)
    found = dict(index.idle.counts)
    if "equal_rewards" in counts:  # of 8 samples of each image: all of the wrong one's, and some of the mixed one's
        unrewarded, samples = found.pop("unrewarded")
        assert samples == 32 and 8 < unrewarded < 16
    assert found == counts
    module.loss(SURE, what, settings, Rngs([1], CPU), replace(index, step=1))
    twice = {name: (2 * count, 2 * of) for name, (count, of) in counts.items()}
    assert {name: index.idle.counts[name] for name in counts} == twice


def test_rl_kl_is_rl_at_that_beta() -> None:
    assert default("rl", settings_of("rl_kl").objective, "beta") == 0.1
    assert same(after("rl_kl", {}), after("rl", {"beta": 0.1}))
    assert not same(after("rl_kl", {}), after("rl", {}))


def test_sft_kl_is_sft_but_for_its_term() -> None:
    # a term of 1e-30 is lost beside a loss of about 1
    assert same(after("sft_kl", {"beta": 1e-30}), after("sft", {}))
    assert not same(after("sft_kl", {}), after("sft", {}))


def test_the_term_of_sft_kl_is_the_forward_kl_of_the_images_of_the_step() -> None:
    # base (1/2, 1/2), policy (3/4, 1/4): KL = 1/2 ln(2/3) + 1/2 ln 2 = 0.1438; cross-entropy to 0: -ln 3/4 = 0.2877
    log_MBC = torch.tensor([[[0.75, 0.25]]]).log()
    what = rows([[1.0, 0.0]], [[1.0, 0.0]])
    found, _ = sft.loss(log_MBC, what, VisionSft(), Rngs([1], CPU), MOMENT)
    (term,) = kl.modify(method_of("sft_kl"), Kl(beta=2.0), {}, Changes(tensors(base_of_one()))).terms
    found = found + term({}, 0, log_MBC, what)
    assert found.tolist() == pytest.approx([0.28768 + 2 * 0.14384], abs=1e-4)


def test_a_low_learning_rate_is_a_share_of_the_one_that_sft_has() -> None:
    def rate(name: str, **given: float) -> float:
        return plan_for(method_of(name), settings_of(name, **given).objective, 100).learning_rate

    assert rate("low_lr_sft") == pytest.approx(1e-5)
    assert rate("low_lr_sft", learning_rate_share=0.5) == 0.5e-4
    # one that is set has its share already
    assert rate("low_lr_sft", learning_rate=0.5) == 0.5
    assert rate("sft", learning_rate=0.5) == 0.5
    assert same(after("low_lr_sft", {"learning_rate": 5e-3}), after("sft", {"learning_rate": 5e-3}))


def test_the_first_step_of_eaft_is_that_of_sft_where_the_policy_knows_nothing() -> None:
    # A network of zeros finds all labels alike, so that every weight is 1.
    ends = []
    for name in ("eaft", "sft"):
        flat = {name: torch.zeros_like(tensor) for name, tensor in base_of_one().items()}
        method, given = method_of(name), settings_of(name, max_steps=1, per_device_train_batch_size=8)
        plan = plan_for(method, given.objective, IMAGES)
        train(flat, tensors(base_of_one()), method, given, [plan], [3], lambda _: False)
        ends.append(flat)
    assert all(torch.allclose(ends[0][name], ends[1][name], atol=1e-7) for name in ends[0])
    assert not same(after("eaft", {}), after("sft", {}))


def earlier(*, writes: bool = True, oracle: bool = False) -> TaskTensors:
    """Another task: the other labels are right, and its images tell themselves apart by a large first feature."""
    one = tensors(base_of_one(), oracle=oracle)
    inputs_NF = one.inputs_NF[:10].clone()
    inputs_NF[:, 0] = 100.0
    return TaskTensors(
        inputs_NF,
        1 - one.correct_NC[:10],
        None if oracle or not writes else 1 - one.correct_NC[:10],
        log_probabilities(base_of_one(), inputs_NF),
        writes=writes,
    )


def test_replay_without_an_earlier_task_is_sft() -> None:
    assert same(after("replay", {"replay_ratio": 0.5}), after("sft", {}))
    none = replace(tensors(base_of_one()), earlier=(earlier(writes=False),))
    assert same(after("replay", {"replay_ratio": 0.5}, none), after("sft", {})), "nobody wrote for it"
    some = replace(tensors(base_of_one()), earlier=(earlier(),))
    assert not same(after("replay", {"replay_ratio": 0.5}, some), after("sft", {}))


@pytest.mark.parametrize("oracle", [False, True])
def test_replay_mixes_the_images_with_their_own_writers_labels(oracle: bool) -> None:
    own = tensors(base_of_one(), oracle=oracle)
    mixed = replay.mixed(replace(own, earlier=(earlier(), earlier(writes=False), earlier(oracle=True))), written=True)
    assert (len(mixed.inputs_NF), mixed.replayed) == (IMAGES + 20, 20)
    writer_NC = mixed.writer_1NC()[0]
    assert torch.equal(writer_NC[:IMAGES], own.writer_1NC()[0])
    assert torch.equal(writer_NC[IMAGES:] > 0, mixed.correct_NC[IMAGES:] > 0), "right labels, and only they"
    assert mixed.base_log_1NC.shape == (1, IMAGES + 20, 4)


@pytest.mark.parametrize(("share", "whole"), [(0.01, 16), (0.1, 160), (0.5, 800), (0.999, 1575)])
def test_the_share_of_replay_is_kept_over_the_steps(share: float, whole: int) -> None:
    # 25 steps of 64 are 1600 images; a share of 0.999 leaves one image of its own in each step: 25 * 63 = 1575
    assert sum(replayed_items(step, share, 64) for step in range(25)) == whole


def test_a_step_of_replay_has_its_share_of_earlier_images() -> None:
    # A network of one layer whose loss is the share: the earlier images are those of a first feature of 100.
    what = replay.mixed(replace(tensors(base_of_one()), earlier=(earlier(),)), written=False)
    seen: list[float] = []

    class Counting:
        def begin_pass(self, *_: Any) -> dict[str, torch.Tensor]:
            return {"old": (what.inputs_NF[None, :, 0] == 100).float()}

        def loss(self, log_MBC: torch.Tensor, rows: Any, *_: Any) -> tuple[torch.Tensor, None]:
            seen.append(float(rows["old"].sum()))
            return log_MBC.mean((1, 2)), None

    plan = Plan(1e-3, "constant", 0, 9, 8, 0.0, 0.0)
    descend(base_of_one(), Changes(what, replay_ratio=0.25), Counting(), VisionSft(), [plan], [0], lambda _: False)
    assert seen == [2.0] * 9


def test_held_weights_move_less_the_more_they_are_held() -> None:
    def moved(method: str, **settings: float) -> float:
        start = base_of_one()
        return float(distance(after(method, settings, steps=40), start))

    assert moved("sft") > moved("l2", l2_lambda=0.3) > moved("l2", l2_lambda=30) > 0
    assert moved("sft") > moved("ewc", ewc_lambda=1e3) > moved("ewc", ewc_lambda=1e5) > 0


def test_the_distance_is_a_sum_over_weights_of_each_model() -> None:
    # two models; moved by (1, 2) and by (0, 3): 1 + 4 = 5 and 9; with F = (2, 1): 2 + 4 = 6 and 9
    start = {"0.weight": torch.zeros(2, 1, 2)}
    now = {"0.weight": torch.tensor([[[1.0, 2.0]], [[0.0, 3.0]]])}
    assert distance(now, start).tolist() == [5.0, 9.0]
    assert distance(now, start, {"0.weight": torch.tensor([[[2.0, 1.0]], [[2.0, 1.0]]])}).tolist() == [6.0, 9.0]


def test_the_terms_of_ewc_and_l2_are_nothing_at_the_start() -> None:
    base = base_of_one()
    changes = ewc.modify(method_of("ewc"), Ewc(ewc_lambda=1.0), base, Changes(tensors(base)))
    changes = l2.modify(method_of("l2"), L2(l2_lambda=1.0), base, changes)
    assert [float(term(base, 0, torch.empty(0), {})) for term in changes.terms] == [0, 0]


def test_ewc_remembers_pretraining_and_every_earlier_task_alike() -> None:
    known_NF = torch.arange(100.0)[:, None].expand(100, 6)
    own = replace(tensors(base_of_one()), known_NF=known_NF)
    first = ewc.remembered(own, 4)
    assert first[:, 0].tolist() == [0, 25, 50, 75]
    # a whole number apart that reaches nearly all stays: 3 · 32 = 96 of 100
    assert ewc.remembered(own, 32)[:, 0].tolist() == list(range(0, 96, 3))
    # of 60 half are of each half, digits and clothes; of more than there are all
    assert (ewc.remembered(own, 60)[:, 0] >= 50).sum() == 30
    assert ewc.remembered(own, 300)[:, 0].tolist() == list(range(100))
    later = ewc.remembered(replace(own, earlier=(earlier(), earlier())), 6)
    assert later[:, 0].tolist() == [0, 50, 100, 100, 100, 100]


def test_a_step_of_lora_is_the_one_that_autograd_takes_on_the_factors() -> None:
    """The chain rule by hand against autograd through W0 + scale · A B, for three steps of AdamW."""
    start = stack([new_params([5, 4, 3], torch.Generator().manual_seed(0))])
    inputs_BF, labels_B = torch.randn(7, 5, generator=torch.Generator().manual_seed(1)), torch.arange(7) % 3

    def loss(weights: Params) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(forward(member(weights, 0), inputs_BF), labels_B)

    stacked = {name: tensor.clone() for name, tensor in start.items()}
    plan = Plan(1e-2, "constant", 0, 3, 7, weight_decay=0.01, max_grad_norm=0.0)
    mine = LowRankAdam(stacked, [plan], Rngs([4], CPU), rank=2, scale=1.5)
    factors = {name: tensor.clone().requires_grad_() for name, tensor in mine.factors.items()}
    adam = torch.optim.AdamW(factors.values(), lr=1e-2, weight_decay=0.01)
    for step in range(3):
        mine.step(loss(mine.leaves)[None], step)
        changed = {
            name: tensor + 1.5 * factors[f"{name}.A"] @ factors[f"{name}.B"] if name.endswith("weight") else tensor
            for name, tensor in start.items()
        }
        adam.zero_grad()
        loss(changed).backward()
        adam.step()
    for name, factor in factors.items():
        assert torch.allclose(mine.factors[name], factor, atol=1e-6), name
    assert torch.equal(stacked["0.bias"], start["0.bias"])
    difference = (stacked["0.weight"] - start["0.weight"])[0]
    assert torch.linalg.matrix_rank(difference, rtol=1e-4) == 2


def test_lora_begins_where_the_stage_does() -> None:
    unmoved = after("lora", {"learning_rate": 1e-30}, steps=1)
    assert same(unmoved, base_of_one())


@pytest.mark.parametrize("method", ["gate", *ON_SFT])
def test_the_oracle_can_write_for_them(method: str) -> None:
    stacked, _ = trained(method, [1e-2], [0], steps=3, oracle=True)
    assert all(tensor.isfinite().all() for tensor in stacked.values())
