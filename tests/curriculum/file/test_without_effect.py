"""Settings of the budget that another setting leaves without effect are refused, unless that came from outside."""

from pathlib import Path

import pytest

from tests.curriculum.file.two_worlds import LANGUAGE, faults, read


def budget(settings: str) -> str:
    return LANGUAGE.replace("{kl: 1}", f"{{kl: 1, {settings}}}")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            "penalty: {weight: 1}",
            "2:17: budget.penalty: has no effect here: `enforce` does not list `penalty`",
        ),
        (
            "recover: {every: 2}, enforce: [penalty, project]",
            "2:17: budget.recover: has no effect here: `enforce` does not list `recover`",
        ),
        (
            "probe: false, generic: ./mine.yaml",
            "2:31: budget.generic: has no effect here: it is for the generic probe, which `probe: false` leaves out, "
            "and for `enforce: recover`",
        ),
        ("fraction: 0.3", "2:17: budget.fraction: has no effect here: it is for `allocation: remaining`"),
        (
            "fraction: 0.3, allocation: even",
            "2:17: budget.fraction: has no effect here: it is for `allocation: remaining`",
        ),
        (
            "enforce: penalty, penalty: {horizon: 3}",
            "2:45: budget.penalty.horizon: has no effect here: it is for `controller: proportional`",
        ),
        (
            "enforce: penalty, penalty: {rate: 3, controller: proportional}",
            "2:45: budget.penalty.rate: has no effect here: it is for `controller: dual_ascent`",
        ),
    ],
)
def test_what_has_no_effect_is_refused(tmp_path: Path, settings: str, message: str) -> None:
    assert faults(tmp_path, budget(settings)) == [message]


@pytest.mark.parametrize(
    "settings",
    [
        "enforce: penalty, penalty: {rate: 0.1}",
        "enforce: [penalty, rollback], penalty: {controller: dual_ascent, rate: 0.1}",
        "generic: ./mine.yaml",
        "enforce: [recover, project], generic: ./mine.yaml, probe: false, recover: {max_steps: 3}",
        "enforce: [penalty, recover], generic: ./mine.yaml, penalty: "
        "{controller: proportional, horizon: 3}, recover: {every: 1}",
        "allocation: remaining, fraction: 0.3",
        "penalty: {}",
    ],
)
def test_what_has_an_effect_is_taken(tmp_path: Path, settings: str) -> None:
    read(tmp_path, budget(settings))


def test_an_override_may_turn_off_what_the_file_sets_and_not_set_what_is_off(tmp_path: Path) -> None:
    text = budget("enforce: [penalty, project], penalty: {horizon: 3, controller: proportional}")
    read(tmp_path, text, "budget.enforce=observe")
    read(tmp_path, text, "budget.penalty.controller=dual_ascent")
    recovering = budget("enforce: [recover, project], generic: ./mine.yaml")
    read(tmp_path, recovering, "budget.enforce=stop")
    read(tmp_path, LANGUAGE, "budget.penalty.weight=1", "budget.enforce=[penalty, stop]")
    assert faults(tmp_path, LANGUAGE, "budget.penalty.weight=1") == [
        "--set budget.penalty.weight: budget.penalty: has no effect here: `enforce` does not list `penalty`"
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("items: all, precision: 3", "evaluation.precision: has no effect here: `items: all` asks every item"),
        (
            "items: adaptive, temperature: 1",
            "evaluation.items: has no effect here: sampled answers (`temperature` above 0) are asked in full",
        ),
        ("precision: 0", "evaluation.precision: must be greater than 0; got 0"),
        ("items: some", "evaluation.items: must be 'auto', 'all' or 'adaptive'"),
    ],
)
def test_how_many_items_are_asked(tmp_path: Path, settings: str, message: str) -> None:
    (found,) = faults(tmp_path, f"{LANGUAGE}evaluation: {{{settings}}}\n")
    assert message in found


@pytest.mark.parametrize("settings", ["precision: 3", "items: adaptive, precision: 3", "items: all, temperature: 1"])
def test_how_many_items_are_asked_is_taken(tmp_path: Path, settings: str) -> None:
    read(tmp_path, f"{LANGUAGE}evaluation: {{{settings}}}\n")


def test_a_warm_up_of_a_schedule_that_has_none_is_refused(tmp_path: Path) -> None:
    (found,) = faults(tmp_path, f"{LANGUAGE}train: {{warmup_steps: 5, lr_scheduler_type: constant}}\n")
    assert "train.warmup_steps: has no effect here: `lr_scheduler_type: constant` has no warm-up" in found
    read(tmp_path, f"{LANGUAGE}train: {{warmup_steps: 0, lr_scheduler_type: constant}}\n")
    read(tmp_path, f"{LANGUAGE}train: {{warmup_steps: 5}}\n")
