"""What is measured of a stack: figures by hand on tiny networks, and agreement with one network at a time."""

import math

import pytest
import torch

from perdure.agent.worlds.vision.measures import Measures
from perdure.agent.worlds.vision.mlp import Params, forward, member, new_params, stack
from perdure.agent.worlds.vision.tensor_cache import EvalSet
from perdure.budget.divergence import divergences

FEATURES, CLASSES = 6, 4


def network(seed: int) -> Params:
    return new_params([FEATURES, 12, CLASSES], torch.Generator().manual_seed(seed))


def examination(name: str, seed: int, images: int = 30) -> EvalSet:
    generator = torch.Generator().manual_seed(seed)
    inputs_NF = torch.randn(images, FEATURES, generator=generator)
    correct_NC = (torch.rand(images, CLASSES, generator=generator) < 0.5).float()
    correct_NC[:, 0], correct_NC[:, 1] = 1, 0
    return EvalSet(name, inputs_NF, correct_NC)


NEW, OLD = examination("new", 1), examination("old", 2)
GENERIC = torch.rand(15, FEATURES, generator=torch.Generator().manual_seed(3))


def measures() -> Measures:
    return Measures(stack([network(0)]), NEW, [OLD], OLD.inputs_NF, GENERIC)


def test_the_base_itself_has_moved_nowhere() -> None:
    (figures,) = measures().take(stack([network(0)]))
    kls = ("kl_base_to_policy", "kl_base_to_policy_old", "kl_base_to_policy_generic", "kl_floor")
    for name in ("forgetting", *kls, "weight_l2", "activation_l2"):
        assert figures[name] == pytest.approx(0, abs=1e-6), name
    assert figures["mass"] == pytest.approx(figures["base_mass"])
    assert figures["activation_cknna"] == pytest.approx(0, abs=1e-5)


def test_figures_are_those_of_each_network_by_itself() -> None:
    models = [network(0), network(5), network(6)]
    table = measures().take(stack(models))
    for model, figures in zip(models, table, strict=True):
        (alone,) = measures().take(stack([model]))
        assert figures == pytest.approx(alone, abs=1e-5)
        log_NC, base_NC = forward(model, NEW.inputs_NF).log_softmax(-1), forward(models[0], NEW.inputs_NF)
        kl = divergences(base_NC, log_NC).kl_base_to_policy_N.mean()
        elsewhere = divergences(forward(models[0], GENERIC), forward(model, GENERIC)).kl_base_to_policy_N.mean()
        assert figures["kl_base_to_policy_generic"] == pytest.approx(float(elsewhere), abs=1e-5)
        right = NEW.correct_NC.gather(1, log_NC.argmax(-1, keepdim=True)).mean()
        assert figures["kl_base_to_policy"] == pytest.approx(float(kl), abs=1e-5)
        assert figures["accuracy"] == pytest.approx(float(right))
        assert figures["mass"] == pytest.approx(float((log_NC.exp() * NEW.correct_NC).sum(-1).mean()), abs=1e-5)
        assert figures["forgetting"] == pytest.approx(figures["base_score.old"] - figures["score.old"])
        assert figures["kl_base_to_policy"] >= figures["kl_floor"] - 1e-6  # the data-processing inequality


def test_the_floor_of_one_image_by_hand() -> None:
    # Biases alone: base (1/2, 1/4, 1/4, 0+), policy (1/8, 5/8, 1/8, 1/8), right {0, 3}. a = 1/2, b = 1/4:
    # 1/2 ln(1/2 / 1/4) + 1/2 ln(1/2 / 3/4) = 0.3466 - 0.2027 = 0.1438
    def constant(*p: float) -> Params:
        params = {name: torch.zeros_like(tensor) for name, tensor in network(0).items()}
        params["1.bias"] = torch.tensor(p).log()
        return params

    new = EvalSet("new", torch.zeros(20, FEATURES), torch.tensor([[1.0, 0, 0, 1]]).repeat(20, 1))
    base, policy = constant(0.5, 0.25, 0.25, 1e-30), constant(0.125, 0.625, 0.125, 0.125)
    (figures,) = Measures(stack([base]), new, [OLD], OLD.inputs_NF, GENERIC).take(stack([policy]))
    assert figures["kl_floor"] == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3), abs=1e-5)
    # Of the right labels the base gives 0 all: no entropy of at most ln 2. With right {1, 2}, it is indifferent: ln 2
    assert figures["base_entropy"] == pytest.approx(0, abs=1e-5)
    assert figures["base_entropy_most"] == pytest.approx(math.log(2))
    other = EvalSet("new", new.inputs_NF, 1 - new.correct_NC)
    (figures,) = Measures(stack([base]), other, [OLD], OLD.inputs_NF, GENERIC).take(stack([policy]))
    assert figures["base_entropy"] == pytest.approx(math.log(2), abs=1e-5)


def test_without_changes_the_other_figures_are_the_same() -> None:
    stacked = stack([network(5), network(6)])
    every, fewer = measures().take(stacked), measures().take(stacked, changes=False)
    left_out = {name for name in every[0] if name.startswith(("weight", "update", "activation"))}
    assert len(left_out) == 6 + 2 * 3
    assert fewer == [{name: one[name] for name in one if name not in left_out} for one in every]


def test_quantiles_are_over_images() -> None:
    (figures,) = measures().take(stack([network(5)]))
    logits = [forward(network(seed), NEW.inputs_NF) for seed in (0, 5)]
    kl = sorted(divergences(*logits).kl_base_to_policy_N.tolist())  # of 30 images: the median is between two
    assert figures["kl_base_to_policy_median"] == pytest.approx((kl[14] + kl[15]) / 2, abs=1e-5)
    assert figures["kl_base_to_policy_q90"] == pytest.approx(kl[26] + 0.1 * (kl[27] - kl[26]), abs=1e-5)


def test_a_network_that_is_nan_has_figures_that_are_nan_and_spoils_no_other() -> None:
    broken = {name: tensor.clone() for name, tensor in network(5).items()}
    broken["0.weight"][0, 0] = torch.nan
    first, second = measures().take(stack([broken, network(6)]))
    (alone,) = measures().take(stack([network(6)]))
    assert all(math.isnan(value) for value in first.values())
    assert second == pytest.approx(alone, abs=1e-5)


def test_without_benchmarks_there_is_no_forgetting_and_few_items_have_fewer_neighbours() -> None:
    few = examination("few", 3, images=6)
    (figures,) = Measures(stack([network(0)]), few, [], few.inputs_NF, GENERIC).take(stack([network(5)]))
    assert math.isnan(figures["forgetting"])
    assert not any(name.endswith("_old") for name in figures)
    assert 0 <= figures["activation_cknna"] <= 1


def test_sampled_accuracy_is_the_expected_one() -> None:
    # At temperature 1 the expected accuracy of one sample is the mass of right answers
    sampled = Measures(stack([network(0)]), NEW, [OLD], OLD.inputs_NF, GENERIC, temperature=1.0)
    (figures,) = sampled.take(stack([network(5)]))
    assert figures["accuracy"] == pytest.approx(figures["mass"], abs=1e-6)


def test_a_member_shares_memory_with_its_stack() -> None:
    stacked = stack([network(0), network(1)])
    member(stacked, 1)["0.bias"].zero_()
    assert stacked["0.bias"][1].abs().sum() == 0
