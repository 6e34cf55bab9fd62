"""What is said under `trl:` against the installed TRL."""

import dataclasses
from pathlib import Path

import pytest

from perdure.curriculum.file.faults import CurriculumError
from perdure.curriculum.file.reader import read_curriculum
from perdure.curriculum.settings import Common
from perdure.curriculum.worlds.language.spec import LANGUAGE
from perdure.curriculum.worlds.language.trl_fields import REFUSED_FIELDS, RESERVED_FIELDS, config_of
from perdure.curriculum.worlds.language.trl_source import fields_of, schedulers
from perdure.curriculum.worlds.vision.spec import Simpo

CONFIGS = sorted({config_of(LANGUAGE.method(name)) for name in LANGUAGE.names})

HEAD = """\
model: {model_name_or_path: org/name}
budget: {kl: 1}
stages:
  - name: a
    task: {type: reasoning_gym, dataset: chain_sum}
strategy: {type: rule}
"""


def faults(folder: Path, text: str) -> list[str]:
    file = folder / "mine.yaml"
    file.write_text(HEAD + text)
    try:
        read_curriculum(file)
    except CurriculumError as error:
        return str(error).replace(f"{folder}/mine.yaml:", "").splitlines()
    return []


@pytest.mark.parametrize("config", CONFIGS)
def test_the_source_files_tell_the_same_fields_as_the_classes(config: str) -> None:
    import trl

    found = {field.name for field in dataclasses.fields(getattr(trl, config)) if field.init}
    assert set(fields_of(config)) == found


def test_schedulers_are_those_of_transformers() -> None:
    from transformers import SchedulerType

    assert schedulers() == tuple(kind.value for kind in SchedulerType)


def test_losses_are_those_that_trl_lists() -> None:
    assert "dr_grpo" in fields_of("GRPOConfig")["loss_type"].choices
    assert "nll" in fields_of("SFTConfig")["loss_type"].choices


def test_every_field_that_perdure_owns_is_one_of_trl() -> None:
    assert set(RESERVED_FIELDS | REFUSED_FIELDS) <= {name for config in CONFIGS for name in fields_of(config)}


OWN: dict[str, set[str]] = {
    "sft": {"token_weight", "top_k", "learning_rate_share"},
    "chord": {"mu_start", "mu_end", "mu_decay_steps", "sft_batch_size", "phi"},
    "gate": {"success_reward", "sft_weight"},
    "tilt": {"samples_from"},
    "sdft": {"teacher_decay", "teacher_template"},
    "kl": {"beta", "prompts"},
    "replay": {"replay_ratio"},
    "ewc": {"ewc_lambda", "fisher_items"},
    "l2": {"l2_lambda"},
    "low_rank": {"r", "lora_alpha"},
    "cpo": {"protected", "cpo_lambda", "fisher_items"},
    "average": {"average_with", "average_share"},
    "self_replay": {"self_replay_weight", "num_texts", "prompts"},
}
"""Settings that TRL's config of the objective does not have, and all settings of the modifiers."""


@pytest.mark.parametrize("name", LANGUAGE.objectives)
def test_typed_settings_keep_trls_names(name: str) -> None:
    own = set(LANGUAGE.objectives[name].settings.model_fields)
    assert own - set(fields_of(config_of(LANGUAGE.method(name)))) == {"trl"} | OWN.get(name, set())


def test_every_setting_of_a_modifier_is_perdures_own() -> None:
    found = {name: set(one.settings.model_fields) for name, one in LANGUAGE.modifiers.items()}
    assert found == {name: own for name, own in OWN.items() if name not in LANGUAGE.objectives}


def test_the_settings_of_lora_have_the_names_of_peft() -> None:
    from peft import LoraConfig

    assert OWN["low_rank"] <= {field.name for field in dataclasses.fields(LoraConfig)}


@pytest.mark.filterwarnings("ignore:You are importing from 'trl.experimental'")
def test_the_settings_of_simpo_have_the_names_of_trls_cpo() -> None:
    from trl.experimental.cpo import CPOConfig

    own = set(Simpo.model_fields) - set(Common.model_fields)
    assert own <= {field.name for field in dataclasses.fields(CPOConfig)}


@pytest.mark.parametrize(
    "text",
    [
        "train: {trl: {report_to: none, logging_steps: 1, gradient_checkpointing: false}}",
        "train: {rl: {trl: {top_p: 0.9, use_vllm: true, delta: null, report_to: none}}}",
        "train: {sft: {trl: {packing: true, loss_type: dft}}}",
        "train: {lr_scheduler_type: cosine, rl: {loss_type: dapo, scale_rewards: false}}",
        "train: {chord: {scale_rewards: batch, trl: {epsilon: 1}}}",
    ],
)
def test_fields_of_trl_are_taken(tmp_path: Path, text: str) -> None:
    assert faults(tmp_path, text) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "train: {rl: {trl: {use_vlm: true}}}",
            "7:20: train.rl.trl.use_vlm: GRPOConfig of the installed TRL has no such field; did you mean 'use_vllm'?",
        ),
        (
            "train: {trl: {top_p: 0.5}}",
            "7:15: train.trl.top_p: SFTConfig of the installed TRL has no such field; "
            "write it under `train.rl.trl` or `train.chord.trl`",
        ),
        (
            "train: {sft: {trl: {output_dir: x}}}",
            "7:21: train.sft.trl.output_dir: perdure sets this field itself; "
            "the run folder is chosen with `--output-dir`",
        ),
        (
            "train: {trl: {learning_rate: 1}}",
            "7:15: train.trl.learning_rate: this setting has its own key; write it as `train.learning_rate`",
        ),
        (
            "train: {trl: {loss_type: x}}",
            "7:15: train.trl.loss_type: this setting has its own key; write it as `train.rl.loss_type`",
        ),
        (
            "train: {rl: {trl: {use_vllm: 'yes'}}}",
            "7:30: train.rl.trl.use_vllm: must be true or false; got 'yes'",
        ),
        ("train: {rl: {trl: {top_p: true}}}", "7:27: train.rl.trl.top_p: must be a number; got true"),
        ("train: {rl: {trl: {top_p: null}}}", "7:27: train.rl.trl.top_p: must be a number; got null"),
        (
            "train: {sft: {trl: {loss_type: nl}}}",
            "7:32: train.sft.trl.loss_type: must be 'nll', 'dft' or 'chunked_nll'; got 'nl'; did you mean 'nll'?",
        ),
        (
            "train: {rl: {scale_rewards: grup}}",
            "7:29: train.rl.scale_rewards: must be 'group', 'batch' or 'none'; got 'grup'; did you mean 'group'?",
        ),
    ],
)
def test_what_trl_does_not_have_is_refused(tmp_path: Path, text: str, message: str) -> None:
    assert faults(tmp_path, text) == [message]


def test_shared_fields_must_fit_only_the_methods_that_may_be_used(tmp_path: Path) -> None:
    shared = "train: {trl: {top_p: 0.5}}"
    text = HEAD.replace("type: rule", "type: fixed, method: rl") + shared
    (tmp_path / "rl.yaml").write_text(text)
    assert read_curriculum(tmp_path / "rl.yaml").curriculum.train.trl == {"top_p": 0.5}
    # A stage that names `sft` itself brings SFTConfig in, and only there.
    assert len(faults(tmp_path, shared)) == 1
    (tmp_path / "own.yaml").write_text(text.replace("chain_sum}", "chain_sum}\n    method: sft"))
    with pytest.raises(CurriculumError, match="SFTConfig of the installed TRL has no such field"):
        read_curriculum(tmp_path / "own.yaml")


def test_schedulers_and_losses_that_do_not_exist(tmp_path: Path) -> None:
    lines = faults(tmp_path, "train: {lr_scheduler_type: cosin, rl: {loss_type: dr_grp}}")
    assert [line.partition("; got ")[2] for line in lines] == [
        "'cosin'; did you mean 'cosine'?",
        "'dr_grp'; did you mean 'dr_grpo'?",
    ]


def test_faults_of_trl_and_of_the_schema_come_together(tmp_path: Path) -> None:
    lines = faults(tmp_path, "train: {trl: {nothing_like_it: 1}}\nseed: -1\n")
    assert [line.split(": ")[1] for line in lines] == ["train.trl.nothing_like_it", "seed"]
