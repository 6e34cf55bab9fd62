"""Settings that have no meaning in a world are refused there, each with the reason."""

from pathlib import Path

import pytest

from tests.curriculum.file.two_worlds import LANGUAGE, VISION, faults, read

ONE_LABEL = "has no meaning with this model: a response is one label"


@pytest.mark.parametrize(
    ("settings", "messages"),
    [
        (
            "train: {trl: {top_p: 1}, max_completion_length: 3}",
            [
                "7:9: train.trl: has no meaning with this model: TRL trains language models, and this is a classifier "
                "of images",
                f"7:26: train.max_completion_length: {ONE_LABEL}",
            ],
        ),
        ("train: {sft: {max_length: 3}}", [f"7:15: train.sft.max_length: {ONE_LABEL}"]),
        (
            "train: {rl: {loss_type: grpo, temperature: 2}, chord: {sft_batch_size: 3}}",
            [
                "7:14: train.rl.loss_type: has no meaning with this model: every step is on fresh samples, where TRL's "
                "losses are the same",
                "7:31: train.rl.temperature: has no meaning with this model: labels are sampled at temperature 1",
                "7:56: train.chord.sft_batch_size: has no meaning with this model: both terms are of the same images",
            ],
        ),
        ("evaluation: {max_completion_length: 3}", [f"7:14: evaluation.max_completion_length: {ONE_LABEL}"]),
        (
            "evaluation: {batch_size: 3}",
            ["7:14: evaluation.batch_size: has no meaning with this model: all images are answered at once"],
        ),
        (
            "train: {lr_scheduler_type: cosin, rl: {scale_rewards: batch}}",
            [
                "7:28: train.lr_scheduler_type: must be 'constant', 'constant_with_warmup', 'linear' or 'cosine'; "
                "got 'cosin'; did you mean 'cosine'?",
                "7:55: train.rl.scale_rewards: must be 'none' or 'group'; got 'batch'",
            ],
        ),
        (
            "train: {top_p: 1}",
            [
                "7:9: train.top_p: unknown key; known here: learning_rate, max_steps, num_train_epochs, "
                "per_device_train_batch_size, lr_scheduler_type, warmup_steps, max_grad_norm, weight_decay, "
                "num_generations, beta, sft, rl, chord, gate, tilt, rl_kl, eaft, sft_kl, low_lr_sft, replay, ewc, l2, "
                "lora, grpo, dr_grpo, kl, low_rank, cpo, average, reinforce, simpo"
            ],
        ),
    ],
)
def test_settings_that_the_vision_world_does_not_have(tmp_path: Path, settings: str, messages: list[str]) -> None:
    assert faults(tmp_path, VISION + settings) == messages


def test_the_budget_and_stages_are_looked_at_too(tmp_path: Path) -> None:
    text = VISION.replace("{kl: 1}", "{kl: 1, max_completion_length: 3}") + "    train: {save_steps: 2}\n"
    assert faults(tmp_path, text) == [
        f"2:17: budget.max_completion_length: {ONE_LABEL}",
        "7:13: stages[0].train.save_steps: has no meaning with this model: an update takes seconds, and one that was "
        "killed starts again",
    ]


def test_rungs_in_seconds_need_checkpoints_inside_a_stage(tmp_path: Path) -> None:
    race = "{type: race, rung_seconds: [20]}"
    assert faults(tmp_path, VISION.replace("{type: fixed, method: rl}", race)) == [
        "3:24: strategy.rung_seconds: has no meaning with this model: its updates keep no checkpoints, so that a "
        "candidate makes its earlier steps again on the way to each rung; give `rungs` in steps"
    ]
    read(tmp_path, VISION.replace("{type: fixed, method: rl}", "{type: race, rungs: [2]}"))
    read(tmp_path, LANGUAGE.replace("{type: fixed, method: rl}", race))


@pytest.mark.parametrize(
    ("method", "where"), [("reinforce", "the vision and control worlds"), ("simpo", "the vision world")]
)
def test_sections_that_the_language_world_does_not_have(tmp_path: Path, method: str, where: str) -> None:
    assert faults(tmp_path, LANGUAGE + f"train: {{{method}: {{learning_rate: 1}}}}") == [
        f"7:9: train.{method}: has no meaning with this model: this method is of {where}; "
        "here there are `sft`, `rl`, `chord`, `gate`, `tilt`, `sdft`, `rl_kl`, `eaft`, `sft_kl`, `low_lr_sft`, "
        "`replay`, `ewc`, `l2`, `lora`, `grpo`, `dr_grpo`, `kl`, `low_rank`, `cpo`, `average`, "
        "`self_replay`"
    ]


def test_sections_that_the_vision_world_does_not_have(tmp_path: Path) -> None:
    text = VISION + "    train: {sdft: {teacher_decay: 1}, eaft: {top_k: 3, redraw: false}, gate: {temperature: 2}}\n"
    assert faults(tmp_path, text) == [
        "7:13: stages[0].train.sdft: has no meaning with this model: this method is of the language world; here there "
        "are `sft`, `rl`, `chord`, `gate`, `tilt`, `reinforce`, `simpo`, `rl_kl`, `eaft`, `sft_kl`, `low_lr_sft`, "
        "`replay`, `ewc`, `l2`, `lora`, `grpo`, `dr_grpo`, `kl`, `low_rank`, `cpo`, `average`",
        "7:46: stages[0].train.eaft.top_k: has no meaning with this model: there are ten labels, and the entropy is "
        "that of all of them",
        "7:79: stages[0].train.gate.temperature: has no meaning with this model: labels are sampled at temperature 1",
    ]


def test_redrawing_is_of_the_vision_world(tmp_path: Path) -> None:
    (line,) = faults(tmp_path, LANGUAGE + "train: {sft: {redraw: false}}")
    assert line.startswith(
        "7:15: train.sft.redraw: has no meaning with this model: this setting is of the vision world"
    )


def test_what_is_left_at_nothing_is_no_fault(tmp_path: Path) -> None:
    read(tmp_path, VISION + "train: {trl: {}, max_completion_length: null, rl: {scale_rewards: null}}\n")
    read(tmp_path, LANGUAGE + "train: {simpo: {}, sft: {redraw: null}, ewc: {redraw: null}}\n")


def test_every_setting_of_the_vision_world_is_taken(tmp_path: Path) -> None:
    settings = (
        "train:\n"
        "  {learning_rate: 1e-3, max_steps: 3, num_train_epochs: 2, per_device_train_batch_size: 5,\n"
        "  warmup_steps: 0.1, lr_scheduler_type: linear, max_grad_norm: 1, weight_decay: 0.1,\n"
        "  num_generations: 4, beta: 0.1,\n"
        "  sft: {redraw: false}, rl: {scale_rewards: group}, chord: {mu_start: 1, mu_end: 0, mu_decay_steps: 3, "
        "phi: true},\n"
        "  reinforce: {num_generations: 1}, simpo: {beta: 2, simpo_gamma: 1}, "
        "tilt: {samples_from: base, num_generations: 2},\n"
        "  gate: {success_reward: 1, sft_weight: 2, beta: 0.1}, eaft: {redraw: true}, "
        "sft_kl: {beta: 1}, rl_kl: {beta: 1},\n"
        "  low_lr_sft: {learning_rate_share: 0.2}, replay: {replay_ratio: 0.01}, "
        "ewc: {ewc_lambda: 1, fisher_items: 9},\n"
        "  l2: {l2_lambda: 1}, lora: {r: 2, lora_alpha: 4}, kl: {beta: 1}, low_rank: {r: 2}, grpo: {beta: 0.1}}\n"
    )
    assert read(tmp_path, VISION + settings).train.tilt.samples_from == "base"
