"""Reading a sweep: what its cells are, and every fault at its line and column."""

import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from math import prod
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.curriculum.file.faults import CurriculumError
from perdure.curriculum.sweeps.points import count_cells, sweep_points
from perdure.curriculum.sweeps.reader import ReadSweep, read_sweep
from perdure.curriculum.sweeps.schema import Axis, Logspace, Sweep
from perdure.curriculum.worlds.contract import LookedUp, LookUpFault

BASE = """\
model: {model_name_or_path: builtin:tiny}
budget: {kl: 0.5}
strategy: {type: fixed, method: rl}
stages:
  - name: even
    task: {type: reasoning_gym, dataset: chain_sum}
"""
GRID = """\
curriculum: base.yaml
seeds: [3, 4]
axes:
  - name: arm
    cells:
      rl: {strategy.method: rl, train.rl.beta: 0.1}
      chord: {strategy.method: rl, stages.even.name: odd}
  - {path: train.learning_rate, values: [1e-5, 1e-4]}
"""
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    (tmp_path / "base.yaml").write_text(BASE)

    def to_file(text: str) -> Path:
        (tmp_path / "grid.yaml").write_text(text)
        return tmp_path / "grid.yaml"

    return to_file


def faults(file: Path, *overrides: str) -> list[str]:
    """The lines of the error, without the folder of the file."""
    with pytest.raises(CurriculumError) as raised:
        read_sweep(file, overrides)
    return str(raised.value).replace(f"{file.parent}/", "").splitlines()


def column(read: ReadSweep, axis: str) -> list[Any]:
    return [cell.values[axis] for cell in read.cells]


def test_every_value_meets_every_other_and_seeds_are_fastest(write: Write) -> None:
    read = read_sweep(write(GRID))
    assert read.name == "grid"
    assert [cell.id for cell in read.cells] == [f"000{number}" for number in range(1, 9)]
    assert [cell.seed for cell in read.cells] == [3, 4] * 4
    assert column(read, "arm") == ["rl"] * 4 + ["chord"] * 4
    assert column(read, "learning_rate") == [1e-5, 1e-5, 1e-4, 1e-4] * 2
    first, last = read.cells[0].curriculum, read.cells[-1].curriculum
    assert (first.train.learning_rate, first.train.rl.beta, first.stages[0].name, first.seed) == (1e-5, 0.1, "even", 3)
    assert (last.train.learning_rate, last.train.rl.beta, last.stages[0].name, last.seed) == (1e-4, None, "odd", 4)


@pytest.mark.parametrize(
    ("workers", "package", "refused"),
    [
        ("2", True, True),
        ("{type: ray, address: local}", True, True),
        ("{type: ray}", True, False),
        ("{type: ray, address: 'head:6379'}", True, False),
        ("{type: ray}", False, True),
    ],
)
def test_packages_are_left_to_workers_on_other_machines(
    write: Write, workers: str, package: bool, refused: bool
) -> None:
    fault = LookUpFault(("model", "quantization"), "4bit needs bitsandbytes", package=package)
    file = write(f"{GRID}workers: {workers}\n")
    with pytest.raises(CurriculumError, match="needs bitsandbytes") if refused else nullcontext():
        assert len(read_sweep(file, look_up=lambda curriculum: LookedUp((fault,))).cells) == 8


def test_zipped_axes_go_side_by_side(write: Write) -> None:
    read = read_sweep(write(GRID.replace("axes:", "combine: zip\naxes:")))
    assert list(zip(column(read, "arm"), column(read, "learning_rate"), strict=True)) == [
        *[("rl", 1e-5)] * 2,
        *[("chord", 1e-4)] * 2,
    ]


def test_without_seeds_or_axes_there_is_the_curriculums_own_run(write: Write) -> None:
    (cell,) = read_sweep(write("curriculum: base.yaml\n"), ["seed=7"]).cells
    assert (cell.seed, cell.curriculum.seed, dict(cell.values), cell.arm) == (7, 7, {}, None)


def test_a_ratio_between_two_ends() -> None:
    # 1, 10, 100: the ratio is (100 / 1) ** (1 / 2).
    assert Logspace(low=1, high=100, num=3).values == [1, 10, 100]
    assert Logspace(low=3e-6, high=1e-3, num=2).values == [3e-6, 1e-3]


def test_overrides_hold_in_all_cells_and_seeds_can_be_replaced(write: Write) -> None:
    read = read_sweep(write(GRID), ["budget.kl=2"], seeds=[9])
    assert {cell.curriculum.budget.kl for cell in read.cells} == {2.0}
    assert [cell.seed for cell in read.cells] == [9] * 4


# On the left what is put in place of a line of GRID.
OWN = {
    "key": ("seeds: [3, 4]", "seds: [3]", "grid.yaml:2:1: seds: unknown key; did you mean 'seeds'?"),
    "word": (
        "seeds: [3, 4]",
        "combine: zp",
        "grid.yaml:2:10: combine: must be 'product' or 'zip'; got 'zp'; did you mean 'zip'?",
    ),
    "seed twice": ("[3, 4]", "[3, 3]", "grid.yaml:2:12: seeds[1]: 3 is given twice"),
    "seed range": ("[3, 4]", "[-1]", "grid.yaml:2:9: seeds[0]: must be at least 0; got -1"),
    "workers": (
        "seeds: [3, 4]",
        "workers: 0",
        "grid.yaml:2:10: workers: must be at least 1 or 'auto' or a map of keys; got 0",
    ),
    "no values": (
        ", values: [1e-5, 1e-4]",
        "",
        "grid.yaml:8:12: axes[1].path: `path` needs one of `values` and `logspace`",
    ),
    "both kinds": (
        "values: [1e-5, 1e-4]",
        "cells: {a: {seed: 1}}",
        "grid.yaml:8:12: axes[1].path: an axis has either `cells`, or a `path` with its values",
    ),
    "nothing": (
        "path: train.learning_rate, values: [1e-5, 1e-4]",
        "name: rate",
        "grid.yaml:8:5: axes[1]: an axis needs a `path` with `values` or `logspace`, or else `cells`",
    ),
    "value twice": ("[1e-5, 1e-4]", "[1, 2, 1]", "grid.yaml:8:48: axes[1].values[2]: 1 is given twice"),
    "ends": (
        "values: [1e-5, 1e-4]",
        "logspace: {low: 2, high: 1, num: 3}",
        "grid.yaml:8:58: axes[1].logspace.high: must be above `low`; got 1",
    ),
    "names": (
        "- {path",
        "- {name: arm, path",
        "grid.yaml:8:12: axes[1].name: two axes are called 'arm'; give one another `name`",
    ),
    "lengths": (
        "values: [1e-5, 1e-4]}",
        "values: [1e-5]}\ncombine: zip",
        "grid.yaml:9:10: combine: `zip` needs axes of equal length; here: arm 2, learning_rate 1",
    ),
    "curriculum": (
        "base.yaml",
        "dmo",
        "grid.yaml:1:13: curriculum: no such file (dmo), and no shipped curriculum has this name; did you mean 'demo'?",
    ),
}


@pytest.mark.parametrize("mistake", OWN)
def test_each_mistake_of_the_sweeps_own_has_its_place_and_remedy(write: Write, mistake: str) -> None:
    before, after, message = OWN[mistake]
    assert before in GRID
    assert faults(write(GRID.replace(before, after, 1))) == [message]


def test_faults_of_many_cells_are_all_told_and_each_once(write: Write) -> None:
    text = GRID.replace("train.rl.beta: 0.1", "train.rl.bta: 0.1").replace("stages.even.name", "stages.evn.name")
    text = text.replace("[1e-5, 1e-4]", "[1e-5, fast, -1]")
    assert faults(write(text + "  - {path: budgt.kl, values: [1, 2]}\n")) == [
        "grid.yaml:6:33: train.rl.bta: unknown path; did you mean 'beta'?",
        "grid.yaml:7:36: stages: there is no entry named 'evn'; did you mean 'even'?",
        "grid.yaml:8:48: train.learning_rate: must be a number; got 'fast'",
        "grid.yaml:8:54: train.learning_rate: must be greater than 0; got -1",
        "grid.yaml:9:12: budgt: unknown path; did you mean 'budget'?",
    ]


def test_a_fault_of_the_curriculum_says_in_which_cells(write: Write, tmp_path: Path) -> None:
    file = write(GRID.replace("{strategy.method: rl, train", "{strategy.method: sft, train"))
    (tmp_path / "base.yaml").write_text(BASE.replace("reasoning_gym, dataset: chain_sum", "dataset, path: org/x"))
    assert faults(file) == [
        "base.yaml:6:11: stages[0].task: method 'rl' needs a reward, and the task has no reward (give it a `reward`); "
        "it can be learned by 'sft', 'sdft', 'eaft', 'sft_kl', 'low_lr_sft', 'replay', 'ewc', 'l2' or 'lora' (where "
        "arm is 'chord')"
    ]


@pytest.mark.parametrize(
    ("axis", "overrides", "message"),
    [
        ("{path: seed, values: [1]}", [], "grid.yaml:9:12: seed: seeds are no axis; list them under `seeds`"),
        (
            "{name: b, path: train.rl, values: [{beta: 1}]}",
            [],
            "grid.yaml:9:21: train.rl: the axis 'b' sets this, and so does the axis 'arm'; let only one of them",
        ),
        (
            "{path: budget.kl, values: [1]}",
            ["budget.kl=2"],
            "grid.yaml:9:12: budget.kl: the axis 'kl' sets this, and so does `--set`; let only one of them",
        ),
    ],
)
def test_nothing_is_set_twice(write: Write, axis: str, overrides: list[str], message: str) -> None:
    assert faults(write(f"{GRID}  - {axis}\n"), *overrides) == [message]


def test_paths_are_relative_to_the_file_that_names_them(write: Write, tmp_path: Path) -> None:
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps" / "model").mkdir()
    file = tmp_path / "sweeps" / "models.yaml"
    write(GRID)
    file.write_text("curriculum: ../base.yaml\naxes:\n  - {path: model.model_name_or_path, values: [./model, org/x]}\n")
    models = [cell.curriculum.model.model_name_or_path for cell in read_sweep(file).cells]  # type: ignore[union-attr]
    assert models == [str(tmp_path / "sweeps" / "model"), "org/x"]


def test_too_many_cells_are_refused_before_they_are_made(write: Write) -> None:
    values = ", ".join(map(str, range(1, 201)))
    axes = "".join(f"  - {{name: a{n}, path: train.max_steps, values: [{values}]}}\n" for n in range(4))
    (fault,) = faults(write(f"curriculum: base.yaml\naxes:\n{axes}"))
    assert fault == "grid.yaml:3:3: the sweep has 1600000000 cells; at most 20000 are possible"


def test_values_of_one_cell_are_not_those_of_another(write: Write) -> None:
    axes = "axes:\n  - {path: train.trl, values: [{top_k: 3}]}\n  - {path: train.max_steps, values: [1, 2]}\n"
    one, other = read_sweep(write(f"curriculum: base.yaml\n{axes}")).cells
    assert one.curriculum.train.trl == other.curriculum.train.trl == {"top_k": 3}
    assert one.curriculum.train.trl is not other.curriculum.train.trl


AXES = st.lists(st.integers(1, 4), max_size=4)


@given(lengths=AXES, seeds=st.integers(1, 3), combine=st.sampled_from(["product", "zip"]))
def test_there_are_as_many_points_as_the_lengths_say(lengths: list[int], seeds: int, combine: str) -> None:
    if combine == "zip":
        lengths = [lengths[0]] * len(lengths) if lengths else []
    axes = [{"name": f"a{n}", "path": "x", "values": list(range(length))} for n, length in enumerate(lengths)]
    sweep = Sweep.model_validate({"curriculum": "c", "axes": axes, "seeds": list(range(seeds)), "combine": combine})
    found = sweep_points(sweep)
    expected = prod(lengths) if combine == "product" else (lengths or [1])[0]
    assert len(found) == expected
    assert count_cells(sweep) == expected * seeds
    assert len({tuple(point.values.items()) for point in found}) == expected


def test_an_axis_may_cross_a_switch_with_what_hangs_on_it(write: Write) -> None:
    """`penalty` has no effect beside `stop`, and a product of both is run all the same."""
    before, _, _ = GRID.partition("axes:")
    text = before + (
        "axes:\n  - {path: budget.enforce, values: [stop, [penalty, project]]}\n"
        "  - {path: budget.penalty.controller, values: [dual_ascent, proportional]}\n"
    )
    assert len(read_sweep(write(text)).cells) == 2 * 2 * 2  # two seeds
    alone = before + "axes:\n  - {path: budget.penalty.weight, values: [2]}\n"
    (line,) = faults(write(alone))
    assert line.endswith("budget.penalty: has no effect here: `enforce` does not list `penalty`")


def test_nothing_heavy_is_imported(write: Write) -> None:
    heavy = ("torch", "numpy", "scipy", "pyarrow", "transformers")
    code = "import sys; from perdure.curriculum.sweeps.reader import read_sweep; read_sweep(sys.argv[1]); "
    code += f"print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code, str(write(GRID))], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_example_in_the_documents_is_valid(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "sweeps.md").read_text()
    sweep, curriculum, *_ = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "even.yaml").write_text(curriculum)
    (tmp_path / "sweep.yaml").write_text(sweep)
    assert len(read_sweep(tmp_path / "sweep.yaml").cells) == 18


def test_the_documents_name_every_key() -> None:
    text = (Path(__file__).parents[2] / "docs" / "sweeps.md").read_text()
    for key in (*Sweep.model_fields, *Axis.model_fields, *Logspace.model_fields):
        assert f"`{key}" in text or f"{key}:" in text, key
