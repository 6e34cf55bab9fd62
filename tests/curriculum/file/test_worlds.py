"""What belongs to one world is refused in the other, at its place and with a remedy."""

from pathlib import Path
from typing import Any

import pytest

from perdure.curriculum.file.faults import CurriculumError
from perdure.curriculum.file.possible import methods_of
from perdure.curriculum.file.reader import read_curriculum, shipped
from perdure.curriculum.models import CausalModel, MlpModel
from perdure.curriculum.schema import Benchmark, Curriculum, TaskBenchmark
from perdure.curriculum.sources import Images

VISION = """\
model: {type: mlp}
budget: {kl: 1}
strategy: {type: fixed, method: rl}
stages:
  - name: a
    task: {type: images, images: digits, rule: parity}
"""
LANGUAGE = """\
model: {model_name_or_path: org/name}
budget: {kl: 1}
strategy: {type: fixed, method: rl}
stages:
  - name: a
    task: {type: reasoning_gym, dataset: chain_sum}
"""


def read(folder: Path, text: str, *overrides: str) -> Curriculum:
    (folder / "mine.yaml").write_text(text)
    return read_curriculum(folder / "mine.yaml", overrides).curriculum


def faults(folder: Path, text: str, *overrides: str) -> list[str]:
    with pytest.raises(CurriculumError) as raised:
        read(folder, text, *overrides)
    return str(raised.value).replace(f"{folder}/mine.yaml:", "").splitlines()


def test_the_model_says_the_world(tmp_path: Path) -> None:
    vision, language = read(tmp_path, VISION), read(tmp_path, LANGUAGE)
    assert (vision.world, language.world) == ("vision", "language")
    assert isinstance(vision.model, MlpModel)
    assert isinstance(language.model, CausalModel)
    typed = read(tmp_path, LANGUAGE.replace("{model_", "{type: causal_lm, model_"))
    assert typed == language


def test_a_curriculum_that_was_written_out_is_the_same_again(tmp_path: Path) -> None:
    for text in (VISION, LANGUAGE):
        curriculum = read(tmp_path, text)
        assert Curriculum.model_validate(curriculum.model_dump(mode="json")) == curriculum


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("{type: mpl}", "1:15: model.type: must be 'causal_lm' or 'mlp'; got 'mpl'; did you mean 'mlp'?"),
        ("{type: 3}", "1:15: model.type: must be 'causal_lm' or 'mlp'; got 3"),
        ("{}", "1:8: model.model_name_or_path: required key is missing"),
        ("3", "1:8: model: must be a map of keys; got 3"),
        (
            "{type: mlp, lora: {r: 3}}",
            "1:20: model.lora: unknown key; known here: type, hidden_sizes, data, pretrain, device, threads, seed",
        ),
        ("{type: mlp, learning_rate: 1}", "1:20: model.learning_rate: unknown key; it belongs in `model.pretrain`"),
        ("{type: mlp, hidden_sizes: []}", "1:34: model.hidden_sizes: must have at least 1 entries; got a list of 0"),
        ("{type: mlp, hidden_sizes: [0]}", "1:35: model.hidden_sizes[0]: must be at least 1; got 0"),
        ("{type: mlp, data: ./x}", "1:26: model.data: no such folder: {}/x"),
        ("{type: mlp, pretrain: {images: 3}}", "1:39: model.pretrain.images: must be at least 10; got 3"),
    ],
)
def test_model_sections_that_are_wrong(tmp_path: Path, model: str, message: str) -> None:
    assert faults(tmp_path, VISION.replace("{type: mlp}", model))[0] == message.replace("{}/", f"{tmp_path}/")


def test_the_kind_of_a_model_can_be_changed_by_an_override(tmp_path: Path) -> None:
    lines = faults(tmp_path, LANGUAGE, "model.type=mlp", "model.hidden_sizes=[3]")
    assert lines[0].startswith("1:9: model.model_name_or_path: unknown key")
    changed = read(tmp_path, VISION, "model.pretrain.images=20", "stages.a.task.writer=two", "strategy.method=tilt")
    assert isinstance(changed.model, MlpModel)
    assert changed.model.pretrain.images == 20


# Tasks, methods and benchmarks of the other world


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            VISION.replace("{type: images, images: digits, rule: parity}", "{type: reasoning_gym, dataset: chain_sum}"),
            "6:18: stages[0].task.type: 'reasoning_gym' is for the language world; this model sees images: "
            "use `type: images`",
        ),
        (
            LANGUAGE.replace(
                "{type: reasoning_gym, dataset: chain_sum}", "{type: images, images: digits, rule: prime}"
            ),
            "6:18: stages[0].task.type: 'images' is for the vision world (`model.type: mlp`); "
            "a language model reads text",
        ),
        (
            LANGUAGE + "benchmarks:\n  - {type: task, name: b, task: {type: images, images: clothes, rule: label}}\n",
            "8:40: benchmarks[0].task.type: 'images' is for the vision world (`model.type: mlp`); "
            "a language model reads text",
        ),
        (
            VISION + "benchmarks:\n  - {tasks: hellaswag}\n",
            "8:5: benchmarks[0]: lm-eval asks language models; here a benchmark is `type: task`",
        ),
        (
            LANGUAGE.replace("method: rl", "method: tilt"),
            "3:33: strategy.method: method 'tilt' is of the vision world; with a language model use "
            "'sft' or 'rl' or 'chord'",
        ),
        (
            LANGUAGE + "    method: simpo\n",
            "7:13: stages[0].method: method 'simpo' is of the vision world; with a language model use "
            "'sft' or 'rl' or 'chord'",
        ),
        (
            VISION.replace("{kl: 1}", "{kl: 1, prompts: generic, generic: mine.yaml}"),
            "2:26: budget.prompts: generic prompts are text, and this model sees images; use `prompts: seen` or `task`",
        ),
        (
            VISION.replace("rule: parity", "rule: parity, writer: none").replace("method: rl", "method: chord"),
            "6:11: stages[0].task: method 'chord' needs demonstrations and this task has none; name a `writer`, or use "
            "'rl', 'reinforce', 'simpo' or 'tilt'",
        ),
        (
            VISION.replace("rule: parity", "rule: label, writer: two"),
            "6:63: stages[0].task.writer: `writer: two` needs three right labels, and `rule: label` has one",
        ),
        (
            VISION.replace("rule: parity", "rule: parity, reward: {type: source}"),
            "6:56: stages[0].task.reward: unknown key; known here: type, images, rule, writer, data, variant, train, "
            "heldout",
        ),
    ],
)
def test_what_is_of_the_other_world(tmp_path: Path, text: str, message: str) -> None:
    assert faults(tmp_path, text) == [message]


# Settings


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
                "7:9: train.top_p: unknown key; known here: num_generations, beta, learning_rate, max_steps, "
                "num_train_epochs, per_device_train_batch_size, lr_scheduler_type, warmup_steps, max_grad_norm, "
                "weight_decay, sft, rl, chord, reinforce, simpo, tilt"
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
        "killed begins again",
    ]


@pytest.mark.parametrize("method", ["reinforce", "simpo", "tilt"])
def test_sections_that_the_language_world_does_not_have(tmp_path: Path, method: str) -> None:
    assert faults(tmp_path, LANGUAGE + f"train: {{{method}: {{learning_rate: 1}}}}") == [
        f"7:9: train.{method}: has no meaning with this model: this method is of the vision world; "
        "use `sft`, `rl` or `chord`"
    ]


def test_redrawing_is_of_the_vision_world(tmp_path: Path) -> None:
    (line,) = faults(tmp_path, LANGUAGE + "train: {sft: {redraw: false}}")
    assert line.startswith(
        "7:15: train.sft.redraw: has no meaning with this model: this setting is of the vision world"
    )


def test_what_is_left_at_nothing_is_no_fault(tmp_path: Path) -> None:
    read(tmp_path, VISION + "train: {trl: {}, max_completion_length: null, rl: {scale_rewards: null}}\n")
    read(tmp_path, LANGUAGE + "train: {tilt: {}, sft: {redraw: null}}\n")


def test_every_setting_of_the_vision_world_is_taken(tmp_path: Path) -> None:
    settings = (
        "train:\n"
        "  {learning_rate: 1e-3, max_steps: 3, num_train_epochs: 2, per_device_train_batch_size: 5,\n"
        "  warmup_steps: 0.1, lr_scheduler_type: linear, max_grad_norm: 1, weight_decay: 0.1,\n"
        "  num_generations: 4, beta: 0.1,\n"
        "  sft: {redraw: false}, rl: {scale_rewards: group}, chord: {mu_start: 1, mu_end: 0, mu_decay_steps: 3, "
        "phi: true},\n"
        "  reinforce: {num_generations: 1}, simpo: {beta: 2, simpo_gamma: 1}, tilt: {samples_from: base}}\n"
    )
    assert read(tmp_path, VISION + settings).train.tilt.samples_from == "base"


# Which methods are possible


@pytest.mark.parametrize(
    ("text", "methods"),
    [
        (LANGUAGE, ("sft", "rl", "chord")),
        (VISION, ("sft", "rl", "chord", "reinforce", "simpo", "tilt")),
        (VISION.replace("parity}", "parity, writer: none}"), ("rl", "reinforce", "simpo", "tilt")),
    ],
)
def test_auto_may_choose_among_the_methods_of_its_world(tmp_path: Path, text: str, methods: tuple[str, ...]) -> None:
    curriculum = read(tmp_path, text.replace("{type: fixed, method: rl}", "{type: auto}"))
    assert methods_of(curriculum, curriculum.stages[0]) == methods


# Benchmarks of both kinds, and paths


def test_benchmarks_of_both_kinds(tmp_path: Path) -> None:
    text = LANGUAGE + (
        "benchmarks:\n  - {tasks: x}\n  - {type: lm_eval, tasks: y}\n"
        "  - {type: task, name: z, task: {type: reasoning_gym, dataset: chain_sum}}\n"
    )
    x, y, z = read(tmp_path, text).benchmarks
    assert isinstance(x, Benchmark)
    assert isinstance(y, Benchmark)
    assert isinstance(z, TaskBenchmark)
    assert [one.title for one in (x, y, z)] == ["x", "y", "z"]
    twice = faults(tmp_path, text.replace("name: z", "name: a"))
    assert twice == ["10:24: benchmarks[2].name: two stages or benchmarks are called 'a'; every name must be unique"]


@pytest.mark.parametrize(
    ("benchmark", "message"),
    [
        (
            "{type: tsk, name: a}",
            "8:12: benchmarks[0].type: must be 'lm_eval' or 'task'; got 'tsk'; did you mean 'task'?",
        ),
        ("{type: task, name: z, limit: 3}", "8:5: benchmarks[0].task: required key is missing"),
        ("{type: task, task: {type: images}}", "8:5: benchmarks[0].name: required key is missing"),
        ("{name: z}", "8:5: benchmarks[0].tasks: required key is missing"),
        ("{task: x}", "8:5: benchmarks[0].tasks: required key is missing"),
        ("x", "8:5: benchmarks[0]: must be a map of keys; got 'x'"),
    ],
)
def test_benchmarks_that_are_wrong(tmp_path: Path, benchmark: str, message: str) -> None:
    assert faults(tmp_path, VISION + f"benchmarks:\n  - {benchmark}\n")[0] == message


def test_paths_of_images_tasks_and_laws_are_relative_to_the_file(tmp_path: Path) -> None:
    for name in ("pictures", "others"):
        (tmp_path / name).mkdir()
    (tmp_path / "law.json").write_text("{}")
    text = (
        VISION.replace("{type: mlp}", "{type: mlp, data: pictures}")
        .replace("rule: parity", "rule: parity, data: ./others")
        .replace("{kl: 1}", "{kl: 1, law: law.json}")
        + "benchmarks:\n  - {type: task, name: b, task: {type: images, images: clothes, rule: label, data: others}}\n"
    )
    curriculum = read(tmp_path, text)
    assert isinstance(curriculum.model, MlpModel)
    tasks: list[Any] = [curriculum.stages[0].task, *(getattr(one, "task", None) for one in curriculum.benchmarks)]
    assert curriculum.model.data == str(tmp_path / "pictures")
    assert [task.data for task in tasks] == [str(tmp_path / "others")] * 2
    assert curriculum.budget.law == str(tmp_path / "law.json")
    assert faults(tmp_path, text.replace("law.json", "lew.json")) == [
        f"2:22: budget.law: no such file: {tmp_path}/lew.json"
    ]
    assert read(tmp_path, text.replace("law.json", "builtin:any")).budget.law == "builtin:any"
    for data in ("shipped", "full"):
        kept = read(tmp_path, text.replace("pictures", data)).model
        assert isinstance(kept, MlpModel)
        assert kept.data == data


def test_a_dataset_s_path_in_a_benchmark_is_looked_up_too(tmp_path: Path) -> None:
    text = LANGUAGE + "benchmarks:\n  - {type: task, name: b, task: {type: dataset, path: ./x.jsonl}}\n"
    assert faults(tmp_path, text) == [f"8:55: benchmarks[0].task.path: no such file or folder: {tmp_path}/x.jsonl"]


def test_the_shipped_curricula_of_the_vision_world() -> None:
    stream, single = (read_curriculum(name).curriculum for name in ("parity-mnist", "parity-mnist-task"))
    assert {"parity-mnist", "parity-mnist-task"} <= set(shipped())
    assert [stream.world, single.world] == ["vision", "vision"]
    rules = [stage.task.rule for stage in stream.stages if isinstance(stage.task, Images)]
    assert rules == ["parity", "at_least_five", "multiple_of_three", "prime"]
    assert [one.title for one in stream.benchmarks] == ["fashion", "fashion_shifted", "fashion_noisy"]
    assert (len(single.stages), single.budget.enforce) == (1, "observe")
