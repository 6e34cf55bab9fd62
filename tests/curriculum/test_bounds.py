"""Every number of a curriculum is finite and has an upper bound; other values that no setting can have are refused."""

from collections.abc import Iterator
from math import inf, nan
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from perdure.curriculum.file import schema_paths
from perdure.curriculum.file.faults import CurriculumError
from perdure.curriculum.file.reader import read_curriculum
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.sweeps.schema import Sweep
from perdure.curriculum.worlds.vision.model import MlpModel


def numbers(section: type[BaseModel], path: str = "", seen: tuple[type, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every field that takes a number or a list of them, with its whole annotation."""
    for name, field in section.model_fields.items():
        here = f"{path}.{name}".strip(".")
        kinds = schema_paths.members(field.annotation)
        inner = [one for kind in kinds if schema_paths.origin_of(kind) is list for one in get_args(kind)]
        if {int, float} & {each for one in (*kinds, *inner) for each in schema_paths.members(one)}:
            yield here, field
        for held in schema_paths.held_sections(field.annotation):
            if held not in seen:
                yield from numbers(held, here, (*seen, held))


@pytest.mark.parametrize("root", [Curriculum, Sweep])
def test_every_number_is_finite_and_bounded_above(root: type[BaseModel]) -> None:
    found = dict(numbers(root))
    assert len(found) > (100 if root is Curriculum else 5)
    for path, field in found.items():
        taken = TypeAdapter(field.rebuild_annotation(), config={"strict": True, "allow_inf_nan": False})
        for value in (inf, nan, 2.0**1022, 2**1022, [2**1022]):
            try:
                taken.validate_python(value)
            except ValidationError:
                continue
            pytest.fail(f"{path} takes {value}")
    assert all(one.model_config["allow_inf_nan"] is False for one in (root, MlpModel))


GOOD = """\
model: {model_name_or_path: builtin:tiny}
budget: {kl: 0.5}
strategy: {type: fixed, method: sft}
stages: [{name: a, task: {type: reasoning_gym, dataset: chain_sum, config: {x: 1}}}]
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("x: 1", "x: .inf", "mine.yaml:4:80: stages[0].task.config.x: must be a finite number; got inf"),
        ("x: 1", "x: [1, {y: .nan}]", "stages[0].task.config.x[1].y: must be a finite number; got nan"),
        ("x: 1", "x: 10000000000000000000", "must be a whole number of at most 9223372036854775807"),
        ("x: 1", f"x: 0x{'f' * 4000}", "mine.yaml:4:80: a whole number of more than 300 digits"),
        ("x: 1", f"x: {'9' * 5000}", "mine.yaml:4:80: cannot read '999999"),
        ("0.5", ".inf", "budget.kl: must be a finite number; got inf"),
        (":tiny}", ":tiny, threads: 0}", "model.threads: must be at least 1"),
        (":tiny}", ":tiny, threads: 1000000}", "model.threads: must be at most 1024"),
        (":tiny}", ":tiny, lora: {r: 1000000000}}", "model.lora.r: must be at most 16384"),
        (":tiny}", ":tiny, device: meta}", "must be `auto`, `cpu`, `cuda`, `cuda:N`, `mps` or `xpu`; got 'meta'"),
        ("stages", "train: {temperature: 1e-300}\nstages", "train.temperature: must be 0, or from 0.001 to 1000"),
        ("stages", "train: {trl: {dataloader_num_workers: 1000}}\nstages", "must be from -1000000000 to 64; got 1000"),
        ("stages", "train: {trl: {adam_beta1: .inf}}\nstages", "train.trl.adam_beta1: must be"),
        ("stages", "train: {trl: {adam_beta1: 7}}\nstages", "train.trl.adam_beta1: must be from 0 to 0.9999999; got 7"),
        ("x: 1", "max_digits: 1000000000", "`config.max_digits` must be at most 10000: making so large"),
        ("x: 1", "datasets: [{name: maze, config: {max_dist: 20000}}]", "`config.datasets.config.max_dist` must be"),
        ("stages", "seed: " + "7" * 200 + "\nstages", "seed: must be less than 4294967296; got 777"),
    ],
)
def test_numbers_that_no_setting_can_have_are_refused_in_one_short_line(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD.replace(old, new, 1))
    with pytest.raises(CurriculumError) as raised:
        read_curriculum(tmp_path / "mine.yaml")
    line = str(raised.value)
    assert said in line and "\n" not in line and len(line) < 500


def test_a_network_that_fits_in_no_memory_is_refused() -> None:
    # 785 * 30,000 + 30,000 * 30,000 weights and more
    with pytest.raises(ValidationError, match="this network has 923,910,010 weights; at most 100,000,000"):
        MlpModel(type="mlp", hidden_sizes=[30_000, 30_000])


def test_what_is_long_is_told_in_short(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    for text in (
        GOOD.replace("name: a", f"name: {'x' * 5000}"),
        GOOD.replace("x: 1}", f"x: 1}}, {'k' * 5000}: 1"),
        GOOD + "".join(f"key{number}: 1\n" for number in range(300)),
        GOOD + "".join(f"{'k' * 90}{number}: 1\n" for number in range(300)),
    ):
        file.write_text(text)
        with pytest.raises(CurriculumError) as raised:
            read_curriculum(file)
        assert len(str(raised.value)) < 12_000 and len(raised.value.faults) in (1, 300)
    for override in (f"seed={'1' * 4000}", f"{'a.' * 5000}b=1", f"stages.{'1' * 5000}.name=x", f"seed={'x' * 5000}"):
        file.write_text(GOOD)
        with pytest.raises(CurriculumError) as raised:
            read_curriculum(file, [override])
        assert len(str(raised.value)) < 500


def test_more_than_anybody_writes_is_refused_before_it_takes_long(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(GOOD + "benchmarks:\n" + "".join(f"  - {{tasks: t{number}}}\n" for number in range(1001)))
    with pytest.raises(CurriculumError, match="benchmarks: must have at most 1000 entries; got a list of 1001"):
        read_curriculum(file)
    file.write_text("a:\n" + "- 1\n" * 900_000)  # 3.6 MB
    with pytest.raises(CurriculumError, match=r"mine.yaml:499\d\d:\d+: more than 50,000 keys and values"):
        read_curriculum(file)
