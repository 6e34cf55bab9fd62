"""Every fault at its line and column, in plain words and with the remedy."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from perdure.curriculum.file.explain import PATTERN_MESSAGES
from perdure.curriculum.schema import Curriculum
from tests.curriculum.file.written import GOOD, Write, faults

# The left is what is put in place of a line of GOOD, the right the one line that must come back.
MISTAKES = {
    "unknown key": ("budget: {kl: 0.5, unti: token}", "mine.yaml:2:19: budget.unti: unknown key; did you mean 'unit'?"),
    "missing": ("budget: {unit: token}", "mine.yaml:2:9: budget.kl: required key is missing; for example `kl: 1.0`"),
    "range": ("budget: {kl: -1}", "mine.yaml:2:14: budget.kl: must be greater than 0; got -1"),
    "type": ("budget: {kl: much}", "mine.yaml:2:14: budget.kl: must be a number; got 'much'"),
    "quoted": ('budget: {kl: "2"}', "mine.yaml:2:14: budget.kl: must be a number; got '2'; did you mean 2.0?"),
    "truth": ("budget: {kl: true}", "mine.yaml:2:14: budget.kl: must be a number; got true"),
    "not a number": ("budget: {kl: .nan}", "mine.yaml:2:14: budget.kl: must be a finite number; got nan"),
    "fraction": (
        "budget: {kl: 1, every: 2.5}",
        "mine.yaml:2:24: budget.every: must be a whole number; got 2.5",
    ),
    "whole fraction": (
        "budget: {kl: 1, every: 2e1}",
        "mine.yaml:2:24: budget.every: must be a whole number; got 20.0; did you mean 20?",
    ),
    "word": (
        "budget: {kl: 1, enforce: rolback}",
        "mine.yaml:2:26: budget.enforce: must be 'observe', 'stop', 'rollback', 'penalty', 'project' or "
        "'recover', or a list of them; got 'rolback'; did you mean 'rollback'?",
    ),
    "word of a list": (
        "budget: {kl: 1, enforce: [penalty, projct]}",
        "mine.yaml:2:36: budget.enforce[1]: must be 'observe', 'stop', 'rollback', 'penalty', 'project' or "
        "'recover'; got 'projct'; did you mean 'project'?",
    ),
    "neither word nor list": (
        "budget: {kl: 1, enforce: 3}",
        "mine.yaml:2:26: budget.enforce: must be 'observe', 'stop', 'rollback', 'penalty', 'project' or 'recover', or "
        "a list of them; got 3",
    ),
    "empty list": (
        "budget: {kl: 1, enforce: []}",
        "mine.yaml:2:26: budget.enforce: must name at least one way to enforce, and none twice",
    ),
    "two ends": (
        "budget: {kl: 1, enforce: [penalty, stop, project]}",
        "mine.yaml:2:26: budget.enforce: `stop` and `project` treat the end of a stage in two ways; keep one of them",
    ),
    "zero": ("budget: {kl: 0}", "mine.yaml:2:14: budget.kl: must be greater than 0; got 0"),
    "empty": ("budget:", "mine.yaml:2:1: budget: must be a map of keys; got null; for example `budget: {kl: 1.0}`"),
    "list": ("budget: [1]", "mine.yaml:2:9: budget: must be a map of keys; got a list of 1"),
    "large": (
        "budget: {kl: 1}\nseed: 4294967296",
        "mine.yaml:3:7: seed: must be less than 4294967296; got 4294967296",
    ),
    "generic": (
        "budget: {kl: 1, prompts: generic, probe: false}",
        "mine.yaml:2:42: budget.probe: `prompts: generic` counts the generic probe, and `probe: false` leaves it out; "
        "keep one",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_has_its_line_column_and_remedy(write: Write, mistake: str) -> None:
    line, message = MISTAKES[mistake]
    assert faults(write(GOOD.replace("budget: {kl: 0.5}", line))) == [message]


def test_kinds_of_sections_are_told_without_pydantics_labels(write: Write) -> None:
    text = GOOD.replace("{type: fixed, method: rl}", "{type: fixd}")
    assert faults(write(text)) == [
        "mine.yaml:3:18: strategy.type: must be 'fixed', 'rule', 'probe', 'bandit', 'race' or 'python'; got 'fixd'; "
        "did you mean 'fixed'?"
    ]
    text = GOOD.replace("method: rl", "method: rl_").replace("dataset: chain_sum}\n  - ", "datset: a}\n  - ")
    assert faults(write(text)) == [
        "mine.yaml:3:33: strategy.method: there is no method 'rl_'; did you mean 'rl'?",
        "mine.yaml:6:11: stages[0].task.dataset: required key is missing",
        "mine.yaml:6:33: stages[0].task.datset: unknown key; did you mean 'dataset'?",
    ]
    text = GOOD.replace("type: reasoning_gym, ", "", 1)
    assert faults(write(text)) == [
        "mine.yaml:6:11: stages[0].task.type: required key is missing; "
        "it must be 'reasoning_gym', 'dataset', 'python', 'tool_alpaca', 'environment', 'images' or 'gymnasium'"
    ]


CANDIDATES = {
    "sft": "mine.yaml:3:37: strategy.candidates: must be a list; got 'sft'",
    "[sft, tlt]": "mine.yaml:3:43: strategy.candidates[1]: there is no method 'tlt'; did you mean 'tilt'?",
    "[sft, rl+replai]": "mine.yaml:3:43: strategy.candidates[1]: there is no modifier 'replai'; did you mean 'replay'?",
    "[sft, rl+chord]": "mine.yaml:3:43: strategy.candidates[1]: `chord` is an objective, and a method has one; `rl` is "
    "another",
    "[]": "mine.yaml:3:37: strategy.candidates: must have 1 or more entries; got a list of 0",
}


@pytest.mark.parametrize("written", CANDIDATES)
def test_candidates_of_a_strategy(write: Write, written: str) -> None:
    text = GOOD.replace("{type: fixed, method: rl}", f"{{type: probe, candidates: {written}}}")
    assert faults(write(text)) == [CANDIDATES[written]]


@pytest.mark.parametrize("path", [":choose", "mine:choose.it", "two words", ""])
def test_the_path_of_a_strategy_is_looked_at(write: Write, path: str) -> None:
    text = GOOD.replace("{type: fixed, method: rl}", f'{{type: python, path: "{path}"}}')
    assert faults(write(text)) == [
        f"mine.yaml:3:32: strategy.path: must be `module:name`, or the name of an entry point; got {path!r}"
    ]


def test_unions_of_plain_types_make_one_fault(write: Write) -> None:
    text = GOOD.replace("builtin:tiny}", "x, threads: many, lora: {target_modules: [a, 2]}}")
    assert faults(write(text)) == [
        "mine.yaml:1:41: model.threads: must be a whole number or 'auto'; got 'many'",
        "mine.yaml:1:74: model.lora.target_modules[1]: must be text; got 2",
    ]


def test_keys_in_the_wrong_section_are_sent_to_the_right_one(write: Write) -> None:
    assert faults(write(GOOD + "train:\n  max_length: 3\n  top_p: 0.9\n")) == [
        "mine.yaml:10:3: train.max_length: unknown key; it belongs in `train.sft`",
        "mine.yaml:11:3: train.top_p: unknown key; TRL's own fields go under `train.trl`",
    ]


def test_rules_across_fields_point_at_the_offender(write: Write) -> None:
    twice = GOOD.replace("v1.2", "even")
    message = "two stages or benchmarks are called 'even'; every name must be unique"
    assert faults(write(twice)) == [f"mine.yaml:7:11: stages[1].name: {message}"]
    imitated = GOOD.replace("{type: reasoning_gym, dataset: chain_sum}\n  -", "{type: dataset, path: org/name}\n  -")
    reward = (
        "method 'rl' needs a reward, and the task has no reward (give it a `reward`); it can be learned by 'sft', "
        "'sdft', 'eaft', 'sft_kl', 'low_lr_sft', 'replay', 'ewc', 'l2' or 'lora'"
    )
    assert faults(write(imitated)) == [f"mine.yaml:6:11: stages[0].task: {reward}"]
    own = imitated.replace("  - name: v1.2", "    method: rl\n  - name: v1.2")
    assert faults(write(own)) == [f"mine.yaml:7:13: stages[0].method: {reward}"]


def test_every_pattern_of_the_schema_is_in_plain_words() -> None:
    def patterns(annotation: Any) -> Iterator[str]:
        text = json.dumps(Curriculum.model_json_schema())
        yield from (part.split('"')[0] for part in text.split('"pattern": "')[1:])

    found = {json.loads(f'"{pattern}"') for pattern in patterns(Curriculum)}
    # That of methods is for editors alone: `method_name` refuses in its own words.
    assert {one for one in found if not one.startswith("^ *(sft|")} == set(PATTERN_MESSAGES)
