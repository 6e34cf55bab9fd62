"""Who reads which prompts: the monitor, the KL terms, and the recovery."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from perdure.agent.worlds.base_prompts import RECOVER, TERM, base_prompts, needs_terms, sides, term_groups
from perdure.budget.errors import DataError
from perdure.budget.monitor import GENERIC
from perdure.curriculum.schema import Curriculum, Stage
from perdure.curriculum.task import Item, Task
from perdure.curriculum.train import Train
from tests.plugin.perdure_scalar.world import ScalarWorld


def curriculum(method: str = "sft", **budget: Any) -> Curriculum:
    return Curriculum.model_validate(
        {
            "model": {"model_name_or_path": "any"},
            "budget": {"kl": 1.0, "num_prompts": 4} | budget,
            "strategy": {"type": "fixed", "method": method},
            "stages": [{"name": "one", "task": {"type": "python", "path": "m:f"}}],
        }
    )


def vision(method: str, **budget: Any) -> Curriculum:
    images = {"type": "images", "images": "digits", "rule": "parity", "writer": "two"}
    return Curriculum.model_validate(
        {
            "model": {"type": "mlp"},
            "budget": {"kl": 1.0} | budget,
            "strategy": {"type": "fixed", "method": method},
            "stages": [{"name": "one", "task": images}],
        }
    )


def task(items: int) -> Task:
    return Task("one", tuple(Item(number, demonstration="x") for number in range(items)), (), None)


def file(folder: Path, lines: int) -> str:
    path = folder / "prompts.jsonl"
    path.write_text("".join(json.dumps({"prompt": str(number)}) + "\n" for number in range(lines)))
    return str(path)


@pytest.mark.parametrize(
    ("items", "read", "trained"),
    [
        (20, [0, 1, 2, 3], [4, 5, 6, 7]),
        (8, [0, 1, 2, 3], [4, 5, 6, 7]),
        (7, [0, 1, 2, 3], [4, 5, 6]),
        (6, [0, 1, 2], [3, 4, 5]),
        (5, [0, 1, 2], [3, 4]),
        (4, [0, 1], [2, 3]),
    ],
)
@pytest.mark.parametrize("with_terms", [{"enforce": ["penalty", "project"]}, {"method": "sft_kl"}, {"method": "ewc"}])
def test_a_term_never_has_what_the_monitor_reads(
    items: int, read: list[int], trained: list[int], with_terms: Any
) -> None:
    assert base_prompts(curriculum(**with_terms), [task(items)]) == {"one": read, TERM + "one": trained}


def test_a_term_has_nothing_that_the_monitor_reads_for_another_task() -> None:
    # the second task has the first one's items the other way round: 0 … 3 and 11 … 8 are read
    one = task(12)
    two = Task("two", one.train[::-1], (), None)
    stages = [{"name": name, "task": {"type": "python", "path": "m:f"}} for name in ("one", "two")]
    given = curriculum("sft_kl").model_copy(update={"stages": [Stage.model_validate(stage) for stage in stages]})
    assert base_prompts(given, [one, two]) == {
        "one": [0, 1, 2, 3],
        "two": [11, 10, 9, 8],
        TERM + "one": [4, 5, 6, 7],
        TERM + "two": [7, 6, 5, 4],
    }
    # of eight items 0 … 3 and 7 … 4 are read, and none is left
    few = [task(8), Task("two", task(8).train[::-1], (), None)]
    with pytest.raises(DataError, match="task 'one': the monitor reads all of its 8 prompts, here or for another task"):
        base_prompts(given, few)


@pytest.mark.parametrize("items", [2, 3, 5, 20])
def test_without_terms_the_monitor_reads_what_it_can(items: int) -> None:
    assert base_prompts(curriculum(), [task(items)]) == {"one": list(range(min(items, 4)))}


NEUTRAL = ScalarWorld()
"""A world whose neutral prompts are the numbers from 0."""


@pytest.mark.parametrize(
    ("given", "groups"),
    [
        # beside the task's four there are ceil(4 / 3) = 2; all four where the budget counts them
        ({}, {GENERIC: [0, 1]}),
        ({"num_prompts": 7}, {GENERIC: [0, 1, 2]}),
        ({"probe": False}, {}),
        ({"prompts": "both"}, {GENERIC: [0, 1, 2, 3]}),
        # what is trained on them comes after what is read, and is as many as a task's
        ({"enforce": ["recover", "rollback"]}, {GENERIC: [0, 1], RECOVER: [2, 3, 4, 5]}),
        ({"enforce": ["recover", "rollback"], "probe": False}, {RECOVER: [4, 5, 6, 7]}),
    ],
)
def test_the_probe_is_a_third_of_a_tasks_prompts(given: Any, groups: Any) -> None:
    own = {"one": list(range(given.get("num_prompts", 4)))}
    assert base_prompts(curriculum(**given), [task(20)], world=NEUTRAL) == own | groups


def test_a_term_has_other_neutral_prompts_than_the_monitor() -> None:
    both = curriculum(prompts="both", enforce=["penalty", "recover", "rollback"])
    assert base_prompts(both, [task(20)], world=NEUTRAL) == {
        "one": [0, 1, 2, 3],
        GENERIC: [0, 1, 2, 3],
        TERM + "one": [4, 5, 6, 7],
        TERM + GENERIC: [4, 5, 6, 7],
        RECOVER: [4, 5, 6, 7],
    }
    groups = term_groups(both, ["zero", "one"])
    assert groups == (TERM + "zero", TERM + "one", TERM + GENERIC)
    assert sides(groups) == [groups[:2], groups[2:]]
    assert sides(groups[:2]) == [groups[:2]]


@pytest.mark.parametrize("items", [1, 2, 3])
def test_a_task_that_cannot_be_halved_is_refused(items: int) -> None:
    with pytest.raises(DataError, match=f"task 'one': there are {items} prompts.* at least 4 are needed"):
        base_prompts(curriculum(enforce=["penalty", "rollback"]), [task(items)])


GENERAL: dict[str, Any] = {"prompts": "generic", "enforce": ["recover", "rollback"]}


@pytest.mark.parametrize(
    ("lines", "read", "trained"),
    [(20, "0123", "4567"), (6, "012", "345"), (5, "012", "34"), (4, "01", "23")],
)
def test_the_recovery_has_other_lines_than_the_monitor(tmp_path: Path, lines: int, read: str, trained: str) -> None:
    given = GENERAL | {"generic": file(tmp_path, lines)}
    assert base_prompts(curriculum(**given), [task(2)]) == {GENERIC: [*read], RECOVER: [*trained]}
    # a term has them too: it reads nothing
    both = given | {"enforce": ["recover", "penalty", "rollback"]}
    assert base_prompts(curriculum(**both), [task(2)]) == {
        GENERIC: [*read],
        TERM + GENERIC: [*trained],
        RECOVER: [*trained],
    }


def test_a_file_that_only_the_recovery_reads_is_all_its_own(tmp_path: Path) -> None:
    given = {"enforce": ["recover", "rollback"], "generic": file(tmp_path, 3), "probe": False}
    assert base_prompts(curriculum(**given), [task(6)]) == {"one": [0, 1, 2, 3], RECOVER: ["0", "1", "2"]}


def test_a_file_that_cannot_be_halved_is_refused(tmp_path: Path) -> None:
    given = GENERAL | {"generic": file(tmp_path, 3)}
    with pytest.raises(DataError, match=r"budget\.generic: there are 3 prompts"):
        base_prompts(curriculum(**given), [task(2)])
    assert base_prompts(curriculum(**(given | {"enforce": "rollback"})), [task(2)]) == {GENERIC: ["0", "1", "2"]}


@pytest.mark.parametrize("method", ["sft_kl", "sft+kl", "sft+self_replay"])
def test_a_modifier_may_ask_for_general_prompts(method: str) -> None:
    asking = {part: {"prompts": "generic"} for part in (method, method.partition("+")[2]) if part and "+" not in part}
    config = curriculum(method).model_copy(update={"train": Train.model_validate(asking)})
    groups = base_prompts(config, [task(20)], world=NEUTRAL)
    # of neutral prompts two are read, and the next four are trained on, beside what the task itself has for terms
    own = {"one": [0, 1, 2, 3], TERM + "one": [4, 5, 6, 7]}
    assert groups == own | {GENERIC: [0, 1], TERM + GENERIC: [2, 3, 4, 5]}
    assert base_prompts(curriculum(method), [task(20)], world=NEUTRAL) == own | {GENERIC: [0, 1]}


def test_in_the_vision_world_the_penalty_alone_needs_a_group() -> None:
    assert not any(needs_terms(vision(method)) for method in ("sft", "sft_kl", "ewc"))
    assert needs_terms(vision("sft", enforce=["penalty", "project"]))
    assert [needs_terms(curriculum(method)) for method in ("sft", "sft_kl", "ewc")] == [False, True, True]
    assert term_groups(vision("ewc"), ["one"]) == ()
    assert term_groups(vision("sft", enforce=["penalty", "project"]), ["one", "two"]) == (TERM + "one", TERM + "two")


@pytest.mark.parametrize("name", ["recover", "term", "generic", "recover.generic"])
def test_no_stage_is_called_as_a_group_that_is_trained_on(name: str, tmp_path: Path) -> None:
    life = curriculum(enforce=["recover", "penalty", "rollback"], generic=file(tmp_path, 8))
    stages = [life.stages[0].model_copy(update={"name": name})]
    groups = base_prompts(life.model_copy(update={"stages": stages}), [replace(task(8), name=name)])
    # a third of the four that a task has, but two at least, are read beside
    assert groups == {name: [0, 1, 2, 3], GENERIC: [*"01"], TERM + name: [4, 5, 6, 7], RECOVER: [*"2345"]}


@pytest.mark.parametrize("name", [RECOVER, TERM + "one"])
def test_the_names_of_groups_are_refused_as_names_of_stages(name: str) -> None:
    with pytest.raises(ValidationError, match="pattern"):
        Stage.model_validate({"name": name, "task": {"type": "python", "path": "m:f"}})
