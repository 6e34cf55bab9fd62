"""Weights and autocast have formats of their own, and all that is computed is computed in the same ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from perdure.agent.worlds.language.base_loss import Base
from perdure.agent.worlds.language.base_texts import sample_base_texts
from perdure.agent.worlds.language.loading import load_policy
from perdure.agent.worlds.language.policy import LanguagePolicy
from perdure.agent.worlds.language.precision import Precision, precision_of, seconds_of_product, slow_bfloat16
from perdure.agent.worlds.language.world import LanguageWorld
from perdure.budget.errors import ModelError
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.worlds.language.model import CausalModel
from perdure.eval.scorecard import _weights
from tests.agent.worlds.language.jobs import job_of, settings_of, update
from tests.agent.worlds.language.tiny_world import BASE_GROUPS, NEW, tiny_lora_policy, tiny_policy_parts
from tests.agent.worlds.language.toy import toy_task

FULL, HALF, BRAIN = torch.float32, torch.float16, torch.bfloat16
ON = {"autocast": "bfloat16"}
LORA = {"lora": {"r": 4}}


@pytest.mark.parametrize(
    ("fields", "gpu", "cpu"),
    [
        ({}, (FULL, BRAIN), (FULL, None)),
        (LORA, (BRAIN, BRAIN), (FULL, None)),
        ({"dtype": "bfloat16"}, (BRAIN, BRAIN), (BRAIN, None)),
        ({"dtype": "float32"}, (FULL, None), (FULL, None)),
        ({"dtype": "float16"}, (HALF, None), (HALF, None)),
        ({"autocast": "none"}, (FULL, None), (FULL, None)),
        ({"dtype": "float32"} | LORA | ON, (FULL, BRAIN), (FULL, BRAIN)),
    ],
)
def test_auto_trains_float32_weights_and_freezes_bfloat16_ones(fields: dict[str, Any], gpu: Any, cpu: Any) -> None:
    config = CausalModel.model_validate({"model_name_or_path": "x"} | fields)
    assert precision_of(config, on_gpu=True, has_bfloat16=True) == Precision(*gpu)
    assert precision_of(config, on_gpu=False, has_bfloat16=False) == Precision(*cpu)


def test_an_old_gpu_is_in_float32_and_float16_is_for_a_gpu() -> None:
    config = CausalModel(model_name_or_path="x")
    assert precision_of(config, on_gpu=True, has_bfloat16=False) == Precision(FULL)
    half = config.model_copy(update={"autocast": "float16"})
    assert precision_of(half, on_gpu=True, has_bfloat16=False) == Precision(FULL, HALF)
    with pytest.raises(ModelError, match=r"model\.autocast: float16 is for a GPU; use bfloat16, or none"):
        precision_of(half, on_gpu=False, has_bfloat16=False)


def test_a_base_is_named_by_its_precision_unless_that_is_float32(tmp_path: Path) -> None:
    model, tokenizer = tiny_policy_parts()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)

    def world(**fields: Any) -> LanguageWorld:
        section = {"model_name_or_path": str(tmp_path), "device": "cpu"} | fields
        stages = [{"name": "first", "task": {"type": "python", "path": "m:f"}}]
        rest = {"budget": {"kl": 1}, "strategy": {"type": "fixed", "method": "sft"}, "stages": stages}
        return LanguageWorld(Curriculum.model_validate({"model": section} | rest))

    plain, cast, brain = world(), world(**ON), world(dtype="bfloat16")
    assert plain.base_id == plain.policy.fingerprint()
    assert cast.base_id == f"float32 weights, bfloat16 autocast: {plain.base_id}"
    assert brain.base_id == f"bfloat16 weights: {brain.policy.fingerprint()}"
    assert "autocast" not in plain.resolved and cast.resolved["autocast"] == "torch.bfloat16"
    assert (cast.resolved["dtype"], brain.resolved["dtype"]) == ("torch.float32", "torch.bfloat16")
    assert cast.policy.fingerprint() == plain.policy.fingerprint(), "the same weights"
    assert _weights(cast.policy) != _weights(plain.policy), "scores are not shared"
    weights = sum(one.numel() for one in cast.policy.model.parameters())
    assert (plain.sizes.held, cast.sizes.held, brain.sizes.held) == (0, 2 * weights, 0)


def a_policy(autocast: torch.dtype | None, *, lora: bool = False, weights: torch.dtype = FULL) -> LanguagePolicy:
    if lora:
        one = tiny_lora_policy()
        return LanguagePolicy(one.model.to(weights), one.tokenizer, autocast)
    model, tokenizer = tiny_policy_parts()
    return LanguagePolicy(model.to(weights), tokenizer, autocast)


@contextmanager
def formats(policy: LanguagePolicy) -> Iterator[set[torch.dtype]]:
    """The formats in which the products of an inner layer are computed, inside."""
    seen: set[torch.dtype] = set()
    inner = next(one for name, one in policy.model.named_modules() if name.endswith("layers.0.mlp.up_proj"))
    handle = inner.register_forward_hook(lambda _module, _inputs, output: seen.add(output.dtype))
    try:
        yield seen
    finally:
        handle.remove()


def with_texts(policy: LanguagePolicy) -> LanguagePolicy:
    prompts = {name: ["say a", "say something"] for name in BASE_GROUPS}
    policy.base = Base(sample_base_texts(policy, prompts, max_completion_length=5, batch_size=4, seed=3))
    return policy


@pytest.mark.parametrize(
    ("method", "more", "lora"),
    [("sft+ewc+kl", {}, False), ("rl", {"beta": 0.1}, False), ("rl", {"beta": 0.1}, True), ("sdft", {}, True)],
)
def test_all_is_computed_under_one_autocast(method: str, more: dict[str, Any], lora: bool, tmp_path: Path) -> None:
    """Texts, readings, answers, samples, losses, their KL terms and Fisher information."""
    policy = a_policy(BRAIN, lora=lora)
    policy.load_base = lambda: a_policy(None).model
    before = {name: one.clone() for name, one in policy.model.named_parameters()}
    settings = settings_of(
        method,
        max_steps=1,
        learning_rate=1e-3,
        warmup_steps=0,
        per_device_train_batch_size=8,
        num_generations=4,
        max_completion_length=4,
        **more,
    )
    with formats(policy) as seen:
        with_texts(policy)
        policy.respond(["a"], max_completion_length=2, batch_size=1)
        assert seen == {BRAIN}
        update(job_of(method, policy, toy_task(16), tmp_path, settings, texts=(NEW,)))
        assert policy.base.texts.measure([NEW]).kl_base_to_policy[0].sums[0] > 0
    assert seen == {BRAIN}
    after = dict(policy.model.named_parameters())
    assert {one.dtype for one in after.values()} == {FULL}
    assert any(not torch.equal(after[name], before[name]) for name in before)


def test_a_reading_inside_a_trainer_is_the_one_after_it(tmp_path: Path) -> None:
    """accelerate puts the model under an autocast of its own, and takes it back."""
    policy, read = with_texts(a_policy(BRAIN)), []
    assert policy.base.texts.measure([NEW]).kl_base_to_policy[0].sums == (0, 0)
    settings = settings_of("sft", max_steps=2, learning_rate=1e-2, per_device_train_batch_size=8)
    update(
        job_of(
            "sft",
            policy,
            toy_task(16),
            tmp_path,
            settings,
            watch=lambda _: read.append(policy.base.texts.measure([NEW])) or False,  # type: ignore[func-returns-value]
        )
    )
    assert read[-1] == policy.base.texts.measure([NEW]) != read[0]


def moved(weights: torch.dtype, autocast: torch.dtype | None, folder: Path) -> float:
    """The share of the weights of a layer that one step at 1e-5 changes."""
    policy = a_policy(autocast, weights=weights)
    layer = policy.model.model.layers[0].mlp.up_proj.weight
    before = layer.detach().clone()
    settings = settings_of("sft", max_steps=1, learning_rate=1e-5, warmup_steps=0, lr_scheduler_type="constant")
    update(job_of("sft", policy, toy_task(16), folder, settings))
    return float((layer != before).float().mean())


def test_a_small_step_moves_float32_weights_under_autocast_and_few_bfloat16_ones(tmp_path: Path) -> None:
    assert moved(FULL, BRAIN, tmp_path / "cast") > 0.95
    assert moved(BRAIN, None, tmp_path / "brain") < 0.2


def test_autocast_changes_what_is_read_by_rounding_alone() -> None:
    plain, cast = a_policy(None), a_policy(BRAIN)
    ids = torch.tensor([plain.encode("say something")])
    exact = plain.model(input_ids=ids).logits.detach()
    with cast.autocast():
        rounded = cast.model(input_ids=ids).logits
    assert rounded.dtype == BRAIN and cast.model(input_ids=ids).logits.equal(exact)
    difference = float((rounded.detach().float() - exact).abs().max() / exact.abs().max())
    assert 1e-5 < difference < 2e-2


def test_a_model_is_loaded_with_its_autocast(tmp_path: Path) -> None:
    model, tokenizer = tiny_policy_parts()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    config = {"model_name_or_path": str(tmp_path), "device": "cpu"} | ON
    assert load_policy(CausalModel.model_validate(config), seed=0).precision == Precision(FULL, BRAIN)


@pytest.mark.parametrize("times", [0.2, 1.0, 1.4])
def test_a_cpu_with_bfloat16_is_not_spoken_of(times: float) -> None:
    assert slow_bfloat16(times, 1.0) is None


def test_a_cpu_without_bfloat16_is_named_with_its_factor() -> None:
    assert (slow_bfloat16(0.14, 0.002) or "").startswith(
        "this CPU multiplies in bfloat16 70 times slower than in float32"
    )


def test_a_product_is_only_timed_where_a_cpu_is_asked_for_bfloat16() -> None:
    assert seconds_of_product(torch.float32) > 0
    assert [Precision(*one).has_bfloat16 for one in ((FULL, None), (FULL, BRAIN), (BRAIN, None), (HALF, None))] == [
        False,
        True,
        True,
        False,
    ]
