"""Overrides: `--set path=value`."""

import pytest

from perdure.curriculum.file.reader import read_curriculum
from tests.curriculum.file.written import GOOD, Write, faults


def test_overrides_reach_everything(write: Write) -> None:
    overrides = [
        "stages.0.train.rl.learning_rate=1e-5",
        "stages[1].train.max_steps=3",
        "stages.v1.2.method=sft",
        "stages.even.train.rl.trl.top_p=0.9",
        "model.lora={r: 4}",
        "seed=1",
        "seed=2",
    ]
    curriculum = read_curriculum(write(GOOD), overrides).curriculum
    even, other = curriculum.stages
    assert (even.train.rl.learning_rate, even.train.rl.trl) == (1e-5, {"top_p": 0.9})
    assert (other.train.max_steps, other.method) == (3, "sft")
    assert curriculum.model.lora is not None
    assert (curriculum.model.lora.r, curriculum.seed) == (4, 2)


def test_overrides_may_change_the_kind_of_a_section(write: Write) -> None:
    text = GOOD.replace("{type: fixed, method: rl}", "{type: rule}")
    changed = read_curriculum(write(text), ["strategy.method=sft", "strategy.type=fixed"]).curriculum.strategy
    assert (changed.type, getattr(changed, "method", None)) == ("fixed", "sft")


def test_overrides_reach_lists_of_words(write: Write) -> None:
    text = GOOD.replace("{kl: 0.5}", "{kl: 0.5, enforce: [penalty, rollback]}")
    changed = read_curriculum(write(text), ["budget.enforce.1=project", "budget.penalty.weight=2"]).curriculum
    assert (changed.budget.enforced, changed.budget.penalty.weight) == (("penalty", "project"), 2)
    changed = read_curriculum(write(text), ["budget.enforce=stop"]).curriculum
    assert changed.budget.enforced == ("stop",)
    changed = read_curriculum(write(GOOD), ["budget.enforce=[penalty]", "train.ewc.ewc_lambda=3"]).curriculum
    assert (changed.budget.enforced, changed.train.ewc.ewc_lambda) == (("penalty",), 3)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed", "--set seed: write it as `--set path=value`, such as `--set seed=1`"),
        ("=1", "--set =1: write it as `--set path=value`, such as `--set seed=1`"),
        ("seed=x", "--set seed: must be a whole number; got 'x'"),
        ("seed=[1", "--set seed: not valid YAML: expected ',' or ']', but got '<stream end>'"),
        ("sed=1", "--set sed: unknown path; did you mean 'seed'?"),
        ("stages.0.nme=x", "--set stages.0.nme: unknown path; did you mean 'name'?"),
        ("stages.2.name=x", "--set stages.2.name: stages: there is no entry 2; entries here: 0 to 1"),
        ("stages.-1.name=x", "--set stages.-1.name: stages: there is no entry -1; entries here: 0 to 1"),
        ("stages.evn.name=x", "--set stages.evn.name: stages: there is no entry named 'evn'; did you mean 'even'?"),
        ("budget.kl.x=1", "--set budget.kl.x: budget.kl: is 0.5, so there is no 'x' in it"),
        ("budget.kl=0", "--set budget.kl: must be greater than 0; got 0"),
        ("budget..kl=0", '--set budget..kl: budget."": unknown path; known here: kl'),
        (
            "budget.enforce=[stop, halt]",
            "--set budget.enforce: budget.enforce[1]: must be 'observe', 'stop', 'rollback', 'penalty', 'project' or "
            "'recover'; got 'halt'",
        ),
        ("budget.enforce.0=stop", '--set budget.enforce.0: budget.enforce."0": unknown path'),
        ("train.rl={beta: x}", "--set train.rl: train.rl.beta: must be a number; got 'x'"),
    ],
)
def test_overrides_that_cannot_be(write: Write, override: str, message: str) -> None:
    (line,) = faults(write(GOOD), override)
    assert line.startswith(message)
