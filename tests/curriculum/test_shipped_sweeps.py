"""The sweeps that perdure ships."""

from itertools import pairwise
from pathlib import Path

import pytest

from perdure.curriculum.file.candidate_methods import candidate_methods
from perdure.curriculum.file.faults import CurriculumError
from perdure.curriculum.file.shipped import shipped_sweeps
from perdure.curriculum.strategies import FixedStrategy
from perdure.curriculum.sweeps.reader import Cell, read_sweep
from perdure.curriculum.worlds.learnable import task_refusal
from perdure.curriculum.worlds.registry import spec_of
from perdure.curriculum.worlds.vision.model import MlpModel
from tests.curriculum.methods import SYNONYMS
from tests.curriculum.test_sweep import column


# Arms, lengths; with 15 learning rates and 2 schedules that is 5 * 15 * 2 * 2 and 10 * 15 * 2 cells; one seed.
@pytest.mark.parametrize(
    ("name", "arms", "lengths"),
    [("parity-mnist", 5, 2), ("parity-mnist-methods", 10, 1), ("parity-mnist-redrawn", 10, 1)],
)
def test_the_shipped_sweeps_are_the_papers_grid(name: str, arms: int, lengths: int) -> None:
    read = read_sweep(name)
    assert len(read.cells) == 300
    assert [len(set(column(read, axis))) for axis in ("arm", "schedule", "epochs")] == [arms, 2, lengths]
    rates = sorted(set(column(read, "learning_rate")))
    assert (rates[0], rates[-1], len(rates)) == (3e-6, 1e-3, 15)
    assert all(later / before == pytest.approx(rates[1] / rates[0], rel=1e-4) for before, later in pairwise(rates))
    assert all(isinstance(cell.curriculum.strategy, FixedStrategy) for cell in read.cells)
    bases = {(model.pretrain.redraw, model.pretrain.num_train_epochs) for model in map(model_of, read.cells)}
    assert bases == {(True, 10) if name == "parity-mnist-redrawn" else (False, 100)}


def model_of(cell: Cell) -> MlpModel:
    assert isinstance(cell.curriculum.model, MlpModel)
    return cell.curriculum.model


STREAMS: dict[str, str] = {
    "stream-rules": "vision",
    "stream-labels": "vision",
    "stream-hard": "vision",
    "tiny-sayings": "language",
    "tiny-new": "language",
    "tiny-mixed": "language",
}


@pytest.mark.parametrize("stream", STREAMS)
def test_every_method_and_strategy_is_an_arm_of_a_shipped_stream(stream: str) -> None:
    """The named methods of the world (but `rl` by another name) and three strategies, at five seeds."""
    cells = read_sweep(f"{stream}-arms").cells
    spec = spec_of(STREAMS[stream])
    methods = [name for name in spec.names if name not in SYNONYMS]
    methods.sort(key=lambda name: name in ("reinforce", "simpo"))
    assert len(cells) == 5 * (len(methods) + 3)
    assert list(dict.fromkeys(cell.arm for cell in cells)) == [*methods, "rule", "probe", "bandit"]
    for cell in cells:
        strategy = cell.curriculum.strategy
        assert cell.arm == (strategy.method if isinstance(strategy, FixedStrategy) else strategy.type)
        assert all(
            stage.method is None and candidate_methods(cell.curriculum, stage) for stage in cell.curriculum.stages
        )
        for stage in cell.curriculum.stages:
            assert all(task_refusal(spec, spec.method(name), stage.task.facts) is None for name in methods)
    assert cells[0].curriculum.budget.enforced == ("rollback",)
    assert {len(cell.curriculum.benchmarks) for cell in cells} == {2 if STREAMS[stream] == "language" else 3}


def test_the_shipped_sweep_of_enforcement_holds_one_lesson_in_every_way() -> None:
    cells = read_sweep("enforcement").cells
    assert len(cells) == 8 * 5
    held = {cell.arm: cell.curriculum.budget for cell in cells}
    assert {arm: budget.enforced for arm, budget in held.items()} == {
        "stop": ("stop",),
        "rollback": ("rollback",),
        "project": ("project",),
        "recover-project": ("recover", "project"),
        "penalty-rollback": ("penalty", "rollback"),
        "penalty-project": ("penalty", "project"),
        "ziegler-rollback": ("penalty", "rollback"),
        "ziegler-project": ("penalty", "project"),
    }
    proportional = {arm for arm, budget in held.items() if budget.penalty.controller == "proportional"}
    assert proportional == {"ziegler-rollback", "ziegler-project"}
    assert {(cell.curriculum.budget.kl, cell.curriculum.train.learning_rate) for cell in cells} == {(0.5, 1e-3)}


def test_shipped_sweeps_are_found_by_name(tmp_path: Path) -> None:
    assert {"parity-mnist", "parity-mnist-methods"} <= set(shipped_sweeps())
    with pytest.raises(CurriculumError, match=r"no shipped sweep has this name; did you mean 'parity-mnist'\?"):
        read_sweep("parity-mnst")
