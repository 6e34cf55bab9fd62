"""From settings to TRL's configs: which settings win, and which are refused."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from perdure.agent.worlds.language.plugin import check
from perdure.agent.worlds.language.trl.config import build_config, check_alone
from perdure.budget.errors import ConfigError
from perdure.curriculum.worlds.language.settings import PERDURE_FIELDS
from perdure.curriculum.worlds.registry import spec_of
from tests.agent.worlds.language.jobs import method_of, settings_of
from tests.agent.worlds.language.toy import toy_task


def config_of(name: str, autocast: str = "None", **given: Any) -> Any:
    method, settings, there = method_of(name), settings_of(name, **given).objective, Path("there")
    return build_config(method, settings, folder=there, seed=7, device_type="cpu", autocast=autocast)


def test_defaults_are_those_of_the_paper() -> None:
    config = config_of("sft")
    assert (config.learning_rate, config.weight_decay, config.max_grad_norm, config.optim) == (
        1e-5,
        0.0,
        1.0,
        "adamw_torch_fused",
    )
    assert (config.max_steps, config.num_train_epochs, config.packing) == (-1, 1.0, False)
    rl = config_of("rl")
    assert (rl.loss_type, rl.scale_rewards, rl.beta, rl.temperature) == ("dr_grpo", "none", 0.0, 1.0)
    assert (rl.per_device_train_batch_size, rl.generation_batch_size, rl.num_generations) == (64, 64, 8)
    assert config_of("chord").loss_type == "dapo"


def test_the_batch_follows_the_generations() -> None:
    assert config_of("rl", num_generations=6).per_device_train_batch_size == 48  # 8 prompts
    given = config_of("rl", num_generations=6, per_device_train_batch_size=12, gradient_accumulation_steps=2)
    assert (given.per_device_train_batch_size, given.generation_batch_size) == (12, 24)


def test_which_settings_win() -> None:
    extra = {"adam_beta2": 0.9, "max_grad_norm": 3.0, "weight_decay": 0.5}
    config = config_of("sft", weight_decay=0.5, trl=extra)
    assert (config.weight_decay, config.adam_beta2, config.max_grad_norm) == (0.5, 0.9, 3.0)
    assert (config.output_dir, config.seed, config.save_strategy, config.report_to) == ("there", 7, "no", [])
    assert config.logging_nan_inf_filter is False
    assert config_of("sft", trl={"gradient_checkpointing": True}).activation_checkpointing is True


def test_precision_follows_autocast_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    plain, cast = config_of("sft"), config_of("sft", autocast="torch.bfloat16")
    assert (plain.bf16, plain.mixed_precision, plain.activation_checkpointing) == (False, "no", False)
    assert (cast.bf16, cast.mixed_precision) == (True, "bf16")


REFUSALS: list[tuple[str, dict[str, Any], str]] = [
    (
        "rl",
        {"num_generations": 5, "per_device_train_batch_size": 8},
        r"8\) must be divisible by num_generations \(5\)",
    ),
    ("sft", {"trl": {"lerning_rate": 1}}, "did you mean 'learning_rate'"),
    ("sft", {"trl": {"num_generations": 4}}, "SFTConfig of the installed TRL has no field 'num_generations'"),
    ("sft", {"trl": {"seed": 1}}, "trl.seed cannot be set"),
    ("rl", {"trl": {"sync_ref_model": True}}, "the original base"),
    ("sft", {"lr_scheduler_type": "cosin"}, "'cosine'"),
    ("sft", {"lr_scheduler_type": "warmup_stable_decay"}, "num_decay_steps"),
    ("sft", {"learning_rate": 1e-3, "trl": {"learning_rate": 1e-4}}, "keep one$"),
    ("sft", {"trl": {"optim": "sdg"}}, "'sgd'"),
    ("sft", {"trl": {"report_to": "nobody"}}, "nobody is not supported"),
    ("rl", {"rl": {"loss_type": "grop"}}, "dr_grpo"),
    ("chord", {"trl": {"mu_start": 1}}, "one level up"),
    ("sft", {"trl": {"bf16": True}}, "set with `model.autocast`"),
    ("rl", {"trl": {"generation_batch_size": 64, "steps_per_generation": 2}}, "at the same time"),
]


@pytest.mark.parametrize(("name", "given", "words"), REFUSALS, ids=lambda value: str(value)[:40])
def test_refused_with_the_method(name: str, given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=f"(?s)^train settings of `{name}`: .*{words}"):
        check(method_of(name), settings_of(name, **given), toy_task(), ())


def test_several_processes_are_refused() -> None:
    check_alone({})
    check_alone({"WORLD_SIZE": "1"})
    with pytest.raises(ConfigError, match="only `perdure run` and `perdure resume` train in several"):
        check_alone({"WORLD_SIZE": "2"})


def test_every_setting_is_carried_out() -> None:
    """Each typed setting is a field of TRL's config, has a default, or is one of ours."""
    for objective in spec_of("language").objectives.values():
        config = config_of(objective.name)
        for name in set(objective.settings.model_fields) - PERDURE_FIELDS:
            assert hasattr(config, name), name


def test_the_plugin_is_light_and_methods_import_only_their_own_trainer() -> None:
    """In a process of its own, since this one has imported everything."""
    program = (
        "import sys; from perdure.agent.worlds.language.plugin import import_method; "
        "from perdure.curriculum.worlds.registry import spec_of; method = spec_of('language').method; "
        "assert 'torch' not in sys.modules; "
        "import_method(method('sft')); assert 'trl.trainer.grpo_trainer' not in sys.modules; "
        "sys.modules.pop('trl.trainer.sft_trainer'); import_method(method('chord')); "
        "assert 'trl.trainer.sft_trainer' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
