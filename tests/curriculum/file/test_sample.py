"""The sample curricula work as they are, and with everything that is off switched on."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from perdure.budget.errors import ConfigError
from perdure.curriculum.file.reader import read_curriculum
from perdure.curriculum.file.sample import sample_curriculum
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.worlds.language.tasks import PythonTask, ReasoningGym
from perdure.curriculum.worlds.registry import worlds


def read(folder: Path, text: str) -> Curriculum:
    file = folder / "sample.yaml"
    file.write_text(text, encoding="utf-8")
    return read_curriculum(file).curriculum


def switched_on(text: str) -> str:
    return re.sub(r"^( *)#(?! )|^( *)#(?=  +\S)", r"\1\2", text, flags=re.MULTILINE)


def test_it_is_good_as_it_is(tmp_path: Path) -> None:
    curriculum = read(tmp_path, sample_curriculum())
    assert [stage.name for stage in curriculum.stages] == ["even_number", "chain_sum"]
    assert curriculum.model.lora is None


def test_it_is_good_with_all_that_is_off_switched_on(tmp_path: Path) -> None:
    (tmp_path / "questions.jsonl").write_text('{"question": "1+1?", "answer": "2"}\n')
    curriculum = read(tmp_path, switched_on(sample_curriculum()))
    assert [stage.name for stage in curriculum.stages] == ["even_number", "chain_sum", "my_questions"]
    assert curriculum.model.lora is not None
    assert curriculum.train.rl.trl == {"top_p": 0.95}


@pytest.mark.parametrize("world", worlds())
def test_those_of_every_world_are_good_as_they_are_and_with_all_switched_on(tmp_path: Path, world: str) -> None:
    (tmp_path / "questions.jsonl").write_text('{"question": "1+1?", "answer": "2"}\n')
    curriculum = read(tmp_path, sample_curriculum(world))
    everything = read(tmp_path, switched_on(sample_curriculum(world)))
    assert curriculum.world == everything.world == world
    assert everything != curriculum


@pytest.mark.parametrize("world", worlds())
def test_every_section_is_there_and_explained(world: str) -> None:
    text = sample_curriculum(world)
    for name, field in Curriculum.model_fields.items():
        assert field.description
        assert re.search(rf"# {re.escape(field.description)}\n#?{name}:", text)


@pytest.mark.parametrize("world", worlds())
def test_the_minimal_one_has_at_most_25_lines_and_is_good(tmp_path: Path, world: str) -> None:
    text = sample_curriculum(world, minimal=True)
    assert len(text.splitlines()) <= 25 and max(map(len, text.splitlines())) <= 120
    curriculum = read(tmp_path, text)
    assert curriculum.world == world and len(curriculum.stages) == len(curriculum.benchmarks) == 1


def test_editors_find_the_schema_by_the_first_line() -> None:
    for minimal in (False, True):
        first, *_ = sample_curriculum(minimal=minimal).splitlines()
        assert first == "# yaml-language-server: $schema=perdure.schema.json"


def test_an_unknown_world_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no sample of a world 'contrl'; did you mean 'control'\?"):
        sample_curriculum("contrl")


def test_its_tasks_and_benchmarks_exist(tmp_path: Path) -> None:
    curriculum = read(tmp_path, sample_curriculum())
    own, gym = (stage.task for stage in curriculum.stages)
    assert isinstance(own, PythonTask)
    assert isinstance(gym, ReasoningGym)
    module, _, function = own.path.partition(":")
    assert callable(getattr(import_module(module), function))
    from perdure import eval as rooms

    shipped = {file.stem for file in (Path(str(rooms.__file__)).parent / "shipped").glob("*.yaml")}
    assert {benchmark.tasks for benchmark in curriculum.benchmarks} <= shipped
