"""The model says the world; what belongs to one world is refused in the other, at its place and with a remedy."""

from pathlib import Path

import pytest

from perdure.curriculum.file.candidate_methods import candidate_methods, strategy_methods
from perdure.curriculum.file.reader import read_curriculum
from perdure.curriculum.file.shipped import shipped
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.worlds.language.model import CausalModel
from perdure.curriculum.worlds.language.spec import LANGUAGE as LANGUAGE_SPEC
from perdure.curriculum.worlds.vision.model import MlpModel
from perdure.curriculum.worlds.vision.spec import VISION as VISION_SPEC
from perdure.curriculum.worlds.vision.tasks import Images
from tests.curriculum.file.two_worlds import LANGUAGE, VISION, faults, read

TEXT = "'reasoning_gym', 'dataset', 'python', 'tool_alpaca' or 'environment'"
RECIPES = "'rl_kl', 'eaft', 'sft_kl', 'low_lr_sft', 'replay', 'ewc', 'l2', 'lora', 'grpo', 'dr_grpo'"
MODIFIERS = "and add modifiers: +replay, +kl, +ewc, +l2, +low_rank, +cpo, +average"
HERE = f"choose one of 'sft', 'rl', 'chord', 'gate', 'tilt', 'sdft', {RECIPES}, {MODIFIERS}, +self_replay"
REWARDED = "it can be learned by 'rl', 'tilt', 'reinforce', 'simpo', 'rl_kl', 'grpo' or 'dr_grpo'"


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
        ("{type: mpl}", "1:15: model.type: must be 'causal_lm', 'mlp' or 'control'; got 'mpl'; did you mean 'mlp'?"),
        ("{type: 3}", "1:15: model.type: must be 'causal_lm', 'mlp' or 'control'; got 3"),
        ("{}", "1:8: model.model_name_or_path: required key is missing"),
        ("3", "1:8: model: must be a map of keys; got 3"),
        (
            "{type: mlp, lora: {r: 3}}",
            "1:20: model.lora: unknown key; known here: device, threads, type, hidden_sizes, data, pretrain, seed",
        ),
        ("{type: mlp, learning_rate: 1}", "1:20: model.learning_rate: unknown key; it belongs in `model.pretrain`"),
        ("{type: mlp, hidden_sizes: []}", "1:34: model.hidden_sizes: must have 1 or more entries; got a list of 0"),
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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            VISION.replace("{type: images, images: digits, rule: parity}", "{type: reasoning_gym, dataset: chain_sum}"),
            "6:18: stages[0].task.type: 'reasoning_gym' is for the language world (`model.type: causal_lm`); "
            "this model sees images; use 'images'",
        ),
        (
            LANGUAGE.replace(
                "{type: reasoning_gym, dataset: chain_sum}", "{type: images, images: digits, rule: prime}"
            ),
            "6:18: stages[0].task.type: 'images' is for the vision world (`model.type: mlp`); "
            f"a language model reads text; use {TEXT}",
        ),
        (
            LANGUAGE + "benchmarks:\n  - {type: task, name: b, task: {type: images, images: clothes, rule: label}}\n",
            "8:40: benchmarks[0].task.type: 'images' is for the vision world (`model.type: mlp`); "
            f"a language model reads text; use {TEXT}",
        ),
        (
            VISION + "benchmarks:\n  - {tasks: hellaswag}\n",
            "8:5: benchmarks[0]: lm-eval asks language models; here a benchmark is `type: task`",
        ),
        (
            LANGUAGE.replace("method: rl", "method: reinforce"),
            f"3:33: strategy.method: method 'reinforce' is of the vision and control worlds; {HERE}",
        ),
        (
            LANGUAGE + "    method: simpo\n",
            f"7:13: stages[0].method: method 'simpo' is of the vision world; {HERE}",
        ),
        (
            LANGUAGE.replace("{type: fixed, method: rl}", "{type: bandit, candidates: [sft, simpo]}"),
            f"3:44: strategy.candidates[1]: method 'simpo' is of the vision world; {HERE}",
        ),
        (
            VISION.replace("method: rl", "method: sdft"),
            "3:33: strategy.method: method 'sdft' is of the language world; choose one of 'sft', 'rl', 'chord', "
            f"'gate', 'tilt', 'reinforce', 'simpo', {RECIPES}, {MODIFIERS}",
        ),
        (
            VISION.replace("{kl: 1}", "{kl: 1, prompts: generic, generic: mine.yaml}"),
            "2:44: budget.generic: generic prompts of a file are text, and this model sees images; leave it out",
        ),
        (
            VISION.replace("rule: parity", "rule: parity, writer: none").replace("method: rl", "method: chord"),
            "6:11: stages[0].task: method 'chord' needs demonstrations and a reward, and the task has no "
            f"demonstrations (name a `writer`); {REWARDED}",
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


@pytest.mark.parametrize(
    ("text", "strategy", "methods"),
    [
        (LANGUAGE, "{type: fixed, method: gate}", ("gate",)),
        (LANGUAGE, "{type: rule}", ("sft", "rl", "chord")),
        (VISION, "{type: rule}", ("sft", "rl", "chord")),
        (VISION.replace("parity}", "parity, writer: none}"), "{type: rule}", ("rl",)),
        (VISION, "{type: probe}", VISION_SPEC.candidates),
        (VISION, "{type: rule, imitate: sft+replay, reinforce: rl_kl}", ("replay", "rl_kl", "chord")),
        (VISION.replace("parity}", "parity, writer: none}"), "{type: bandit}", ("rl_kl+replay", "tilt", "rl_kl")),
        (VISION, "{type: probe, candidates: [tilt, lora]}", ("tilt", "lora")),
        (VISION, "{type: python, path: 'mine:choose'}", VISION_SPEC.names),
        (VISION + "    method: ewc\n", "{type: rule}", ("ewc",)),
    ],
)
def test_what_a_strategy_may_choose(tmp_path: Path, text: str, strategy: str, methods: tuple[str, ...]) -> None:
    (tmp_path / "mine.py").write_text("def choose(): ...\n")
    curriculum = read(tmp_path, text.replace("{type: fixed, method: rl}", strategy))
    assert candidate_methods(curriculum, curriculum.stages[0]) == methods


def test_candidates_are_named_once_and_one_can_learn_each_task(tmp_path: Path) -> None:
    twice = VISION.replace("{type: fixed, method: rl}", "{type: probe, candidates: [rl, sft, rl]}")
    assert faults(tmp_path, twice) == ["3:47: strategy.candidates[2]: 'rl' is given twice"]
    unwritten = VISION.replace("parity}", "parity, writer: none}")
    imitating = unwritten.replace("{type: fixed, method: rl}", "{type: probe, candidates: [sft, gate]}")
    assert faults(tmp_path, imitating) == [
        "6:11: stages[0].task: none of the strategy's candidates can learn this task: method 'sft' needs "
        f"demonstrations, and the task has no demonstrations (name a `writer`); {REWARDED}"
    ]
    read(tmp_path, imitating + "    method: tilt\n")  # the strategy is not asked


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("imitate: sft+replai", "strategy.imitate: there is no modifier 'replai'"),
        ("imitate: rl", "strategy.imitate: `imitate` is for tasks that may have no reward, and 'rl' needs reward"),
        (
            "reinforce: chord",
            "strategy.reinforce: `reinforce` is for tasks that may have no demonstrations, and",
        ),
        ("both: sdft", "strategy.both: method 'sdft' is of the language world"),
    ],
)
def test_the_rule_can_be_followed(tmp_path: Path, rule: str, message: str) -> None:
    assert message in faults(tmp_path, VISION.replace("{type: fixed, method: rl}", f"{{type: rule, {rule}}}"))[0]


def test_the_candidates_of_ones_own_strategy_are_looked_at_too(tmp_path: Path) -> None:
    own = "{type: python, path: 'mine:choose', candidates: [rl, {}]}"
    other = VISION.replace("{type: fixed, method: rl}", own.replace("{}", "sdft"))
    assert "strategy.candidates[1]: method 'sdft' is of the language world" in faults(tmp_path, other)[0]
    twice = VISION.replace("{type: fixed, method: rl}", own.replace("{}", "rl"))
    assert faults(tmp_path, twice)[0].endswith("strategy.candidates[1]: 'rl' is given twice")


def test_an_adapter_is_not_offered_on_an_adapter(tmp_path: Path) -> None:
    own = "{type: python, path: 'mine:choose'}"
    (tmp_path / "mine.py").write_text("def choose(): ...\n")
    plain = read(tmp_path, LANGUAGE.replace("{type: fixed, method: rl}", own))
    assert "lora" in strategy_methods(plain)
    adapted = read(
        tmp_path, LANGUAGE.replace("{type: fixed, method: rl}", own).replace("{model_", "{lora: {r: 4}, model_")
    )
    assert strategy_methods(adapted) == tuple(method for method in LANGUAGE_SPEC.names if method != "lora")


def test_the_shipped_curricula_of_the_vision_world() -> None:
    stream, single = (read_curriculum(name).curriculum for name in ("parity-mnist", "parity-mnist-task"))
    assert {"parity-mnist", "parity-mnist-task"} <= set(shipped())
    assert [stream.world, single.world] == ["vision", "vision"]
    rules = [stage.task.rule for stage in stream.stages if isinstance(stage.task, Images)]
    assert rules == ["parity", "at_least_five", "multiple_of_three", "prime"]
    assert [one.title for one in stream.benchmarks] == ["fashion", "fashion_shifted", "fashion_noisy"]
    assert (len(single.stages), single.budget.enforce) == (1, "observe")
