"""The sample curriculum works as it is, and with everything that is off switched on."""

import re
from importlib import import_module
from pathlib import Path

from perdure.curriculum.file.reader import read_curriculum
from perdure.curriculum.file.sample import sample_curriculum
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.worlds.language.tasks import PythonTask, ReasoningGym


def read(folder: Path, text: str) -> Curriculum:
    file = folder / "sample.yaml"
    file.write_text(text, encoding="utf-8")
    return read_curriculum(file).curriculum


def test_it_is_good_as_it_is(tmp_path: Path) -> None:
    curriculum = read(tmp_path, sample_curriculum())
    assert [stage.name for stage in curriculum.stages] == ["even_number", "chain_sum"]
    assert curriculum.model.lora is None


def test_it_is_good_with_all_that_is_off_switched_on(tmp_path: Path) -> None:
    (tmp_path / "questions.jsonl").write_text('{"question": "1+1?", "answer": "2"}\n')
    curriculum = read(
        tmp_path, re.sub(r"^( *)#(?! )|^( *)#(?=  +\S)", r"\1\2", sample_curriculum(), flags=re.MULTILINE)
    )
    assert [stage.name for stage in curriculum.stages] == ["even_number", "chain_sum", "my_questions"]
    assert curriculum.model.lora is not None
    assert curriculum.train.rl.trl == {"top_p": 0.95}


def test_every_section_is_there_and_explained() -> None:
    text = sample_curriculum()
    for name, field in Curriculum.model_fields.items():
        assert field.description
        assert re.search(rf"# {re.escape(field.description)}\n#?{name}:", text)


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
