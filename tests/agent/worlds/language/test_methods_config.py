"""From settings to TRL's configs: whose word counts, and what is refused."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from perdure.agent.worlds.language.methods import METHODS, check_settings
from perdure.agent.worlds.language.trl.config import DEFAULTS, build_config, ours
from perdure.budget.errors import ConfigError
from perdure.curriculum.settings import ChordTrain, Common, RlTrain, SftTrain
from perdure.curriculum.train import SECTIONS
from perdure.curriculum.worlds.contract import METHODS as OF_THE_WORLD
from perdure.curriculum.worlds.contract import Method


def config_of(method: Method, settings: Common, device_type: str = "cpu", dtype: str = "float32") -> Any:
    return build_config(method, settings, folder=Path("there"), seed=7, device_type=device_type, dtype=dtype)


def test_defaults_are_those_of_the_paper() -> None:
    config = config_of("sft", SftTrain())
    assert (config.learning_rate, config.weight_decay, config.max_grad_norm, config.optim) == (
        1e-5,
        0.0,
        1.0,
        "adamw_torch_fused",
    )
    assert (config.max_steps, config.num_train_epochs, config.packing) == (-1, 1.0, False)
    rl = config_of("rl", RlTrain())
    assert (rl.loss_type, rl.scale_rewards, rl.beta, rl.temperature) == ("dr_grpo", "none", 0.0, 1.0)
    assert (rl.per_device_train_batch_size, rl.generation_batch_size, rl.num_generations) == (64, 64, 8)
    assert config_of("chord", ChordTrain()).loss_type == "dapo"


def test_the_batch_follows_the_generations() -> None:
    assert config_of("rl", RlTrain(num_generations=6)).per_device_train_batch_size == 48  # 8 prompts
    given = config_of("rl", RlTrain(num_generations=6, per_device_train_batch_size=12, gradient_accumulation_steps=2))
    assert (given.per_device_train_batch_size, given.generation_batch_size) == (12, 24)


def test_whose_word_counts() -> None:
    settings = SftTrain(weight_decay=0.5, trl={"adam_beta2": 0.9, "max_grad_norm": 3.0, "weight_decay": 0.5})
    config = config_of("sft", settings)
    assert (config.weight_decay, config.adam_beta2, config.max_grad_norm) == (0.5, 0.9, 3.0)
    assert (config.output_dir, config.seed, config.save_strategy, config.report_to) == ("there", 7, "no", [])
    assert config.logging_nan_inf_filter is False
    assert config_of("sft", SftTrain(trl={"gradient_checkpointing": True})).activation_checkpointing is True


def test_precision_follows_device_and_dtype() -> None:
    assert (config_of("sft", SftTrain()).bf16, config_of("sft", SftTrain()).activation_checkpointing) == (False, False)
    assert config_of("sft", SftTrain(), dtype="torch.bfloat16").bf16 is False


REFUSALS: list[tuple[Method, Common, str]] = [
    (
        "rl",
        RlTrain(num_generations=5, per_device_train_batch_size=8),
        r"8\) must be divisible by num_generations \(5\)",
    ),
    ("sft", SftTrain(trl={"lerning_rate": 1}), "did you mean 'learning_rate'"),
    ("sft", SftTrain(trl={"num_generations": 4}), "SFTConfig of the installed TRL has no field 'num_generations'"),
    ("sft", SftTrain(trl={"seed": 1}), "trl.seed cannot be set"),
    ("rl", RlTrain(trl={"sync_ref_model": True}), "the original base"),
    ("sft", SftTrain(lr_scheduler_type="cosin"), "'cosine'"),
    ("sft", SftTrain(lr_scheduler_type="warmup_stable_decay"), "num_decay_steps"),
    ("sft", SftTrain(learning_rate=1e-3, trl={"learning_rate": 1e-4}), "keep one of them"),
    ("sft", SftTrain(trl={"optim": "sdg"}), "'sgd'"),
    ("sft", SftTrain(trl={"report_to": "nobody"}), "nobody is not supported"),
    ("rl", RlTrain(loss_type="grop"), "dr_grpo"),
    ("chord", ChordTrain(trl={"mu_start": 1}), "one level up"),
    ("sft", SftTrain(trl={"bf16": True, "fp16": True}), "not both"),
    ("rl", RlTrain(trl={"generation_batch_size": 64, "steps_per_generation": 2}), "at the same time"),
]


@pytest.mark.parametrize(("method", "settings", "words"), REFUSALS, ids=lambda value: str(value)[:40])
def test_refused_with_the_place(method: Method, settings: Common, words: str) -> None:
    with pytest.raises(ConfigError, match=f"(?s)^stages.one.train: .*{words}"):
        check_settings(method, settings, "stages.one.train")


def test_every_setting_is_carried_out() -> None:
    """Each typed setting is a field of TRL's config, has a default, or is one of ours."""
    for method in METHODS:
        section = SECTIONS[method]
        config = config_of(method, section())
        for name in set(section.model_fields) - ours(method):
            assert hasattr(config, name), name
    assert set(DEFAULTS) == set(METHODS) == set(OF_THE_WORLD["language"])


def test_registry_is_light_and_methods_import_only_their_own_trainer() -> None:
    """In a process of its own, since this one has imported everything."""
    program = (
        "import sys; import perdure.agent.worlds.language.methods as methods; assert 'torch' not in sys.modules; "
        "methods.find_update('sft'); assert 'trl.trainer.grpo_trainer' not in sys.modules; "
        "sys.modules.pop('trl.trainer.sft_trainer'); methods.find_update('chord'); "
        "assert 'trl.trainer.sft_trainer' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
