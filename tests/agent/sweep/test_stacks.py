"""Cells trained together: how they are grouped, and what one bad cell does to the others."""

from collections import Counter, deque
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.agent.sweep.contract import FailedCell, FinishedCell
from perdure.agent.sweep.pools import LocalPool
from perdure.agent.sweep.stacks import StackExecutor, Trainer, _parts
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.sweeps.reader import Cell
from tests.agent.sweep.doubles import BAD, BROKEN, DEADLY, SWEEP, TRAINER, key, provenance, read, train


def test_each_cell_comes_back_once_with_its_own_rows(tmp_path: Path) -> None:
    cells = read(tmp_path).cells
    found = list(StackExecutor(TRAINER, 2, LocalPool(2, tmp_path / "log"), stack_size=5).run(cells))
    assert Counter(outcome.cell.id for outcome in found) == Counter(cell.id for cell in cells)
    for outcome in found:
        assert isinstance(outcome, FinishedCell)
        rate = outcome.cell.values["learning_rate"]
        # Steps 2 and 4 of 4; the number is rate * step and the KL its square.
        assert [row["kl_base_to_policy"] for row in outcome.rows] == [(rate * 2) ** 2, (rate * 4) ** 2]
        assert outcome.provenance["base_id"] == "zero"


def test_a_bad_cell_fails_alone(tmp_path: Path) -> None:
    text = SWEEP.replace("[0.1, 0.2, 0.4]", f"[0.1, {BAD}, {BROKEN}, {DEADLY}]").replace("[0, 1]", "[0]")
    found = {
        o.cell.values["learning_rate"]: o
        for o in StackExecutor(TRAINER, 2, LocalPool(2, tmp_path / "log")).run(read(tmp_path, text).cells)
    }
    assert isinstance(found[0.1], FinishedCell) and isinstance(found[BROKEN], FinishedCell)
    bad, deadly = found[BAD], found[DEADLY]
    assert isinstance(bad, FailedCell) and bad.reason == "there is no such data"
    assert isinstance(deadly, FailedCell) and "SIGKILL" in deadly.reason


@given(length=st.integers(1, 60), most=st.integers(1, 12))
def test_parts_are_few_and_equal(length: int, most: int) -> None:
    parts = _parts(list(range(length)), most)  # type: ignore[arg-type]
    sizes = [len(part) for part in parts]
    assert [one for part in parts for one in part] == list(range(length))  # type: ignore[comparison-overlap]
    assert len(parts) == (length + most - 1) // most
    assert max(sizes) <= most and max(sizes) - min(sizes) <= 1


def stacks_of(path: Path, text: str, trainer: Trainer, stack_size: int) -> list[tuple[Cell, ...]]:
    return list(
        StackExecutor(trainer, 2, LocalPool(1, path / "log"), stack_size=stack_size)._stacks(read(path, text).cells)
    )


def test_kinds_of_cells_take_turns_and_are_not_mixed(tmp_path: Path) -> None:
    text = SWEEP.replace("tied: {train.rl.beta: 0.1}", "imitating: {strategy.method: sft}")
    stacks = stacks_of(tmp_path, text, TRAINER, stack_size=4)
    # 6 cells of each method, at most 4 together: two stacks of 3 each, and the methods take turns.
    assert [{str(cell.arm) for cell in stack} for stack in stacks] == [{"plain"}, {"imitating"}] * 2
    assert [len(stack) for stack in stacks] == [3] * 4


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_no_process_makes_a_base_twice(tmp_path: Path, workers: int) -> None:
    # Six seeds, each a base of its own, and two methods of six cells a seed: 12 kinds of two stacks each.
    text = SWEEP.replace("tied: {train.rl.beta: 0.1}", "imitating: {strategy.method: sft}")
    text = text.replace("[0, 1]", "[0, 1, 2, 3, 4, 5]").replace("[0.1, 0.2, 0.4]", "[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]")
    by_seed = Trainer(lambda curriculum: (key(curriculum), curriculum.seed), _seed, train, provenance)
    stacks = stacks_of(tmp_path, text, by_seed, stack_size=3)
    assert sorted(cell.id for stack in stacks for cell in stack) == [f"{number:04d}" for number in range(1, 73)]
    assert {cell.arm for stack in stacks[:2] for cell in stack} == {"plain", "imitating"}, "both kinds early on"
    made: list[list[int]] = [[] for _ in range(workers)]
    kept: list[deque[int]] = [deque(maxlen=4) for _ in range(workers)]
    for number, stack in enumerate(stacks):  # handed out in turn; each process keeps the four bases that it used last
        mine, seed = number % workers, stack[0].seed
        made[mine] += [] if seed in kept[mine] else [seed]
        if seed in kept[mine]:
            kept[mine].remove(seed)
        kept[mine].append(seed)
    assert all(len(seeds) == len(set(seeds)) for seeds in made)


def _seed(curriculum: Curriculum) -> int:
    return curriculum.seed
