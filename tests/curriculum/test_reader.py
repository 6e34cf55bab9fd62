"""Reading a curriculum: every fault at its line and column, overrides, local paths."""

import json
import string
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.budget.errors import ConfigError
from perdure.curriculum.file import schema_paths
from perdure.curriculum.file.explain import PATTERNS
from perdure.curriculum.file.faults import CurriculumError, Fault, show_path
from perdure.curriculum.file.reader import read_curriculum, shipped
from perdure.curriculum.schema import Curriculum

GOOD = """\
model: {model_name_or_path: builtin:tiny}
budget: {kl: 0.5}
strategy: {type: fixed, method: rl}
stages:
  - name: even
    task: {type: reasoning_gym, dataset: chain_sum}
  - name: v1.2
    task: {type: reasoning_gym, dataset: chain_sum}
"""
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(text: str) -> Path:
        file = tmp_path / "mine.yaml"
        file.write_text(text, encoding="utf-8")
        return file

    return to_file


def faults(file: Path, *overrides: str) -> list[str]:
    """The lines of the error, without the folder of the file."""
    with pytest.raises(CurriculumError) as raised:
        read_curriculum(file, overrides)
    return str(raised.value).replace(f"{file.parent}/", "").splitlines()


def test_a_good_file_comes_back_with_its_source_and_text(write: Write) -> None:
    file = write(GOOD)
    read = read_curriculum(str(file))
    assert (read.source, read.text) == (file, GOOD)
    assert [stage.name for stage in read.curriculum.stages] == ["even", "v1.2"]


@pytest.mark.parametrize(
    ("written", "number"), [("1e-5", 1e-5), ("1E-5", 1e-5), ("1.e-5", 1e-5), (".5", 0.5), ("1", 1.0), ("3E2", 300.0)]
)
def test_numbers_in_scientific_notation_are_numbers(write: Write, written: str, number: float) -> None:
    file = write(GOOD + f"train: {{learning_rate: {written}}}\n")
    assert read_curriculum(file).curriculum.train.learning_rate == number
    overridden = read_curriculum(write(GOOD), [f"train.learning_rate={written}"])
    assert overridden.curriculum.train.learning_rate == number


# The left is what is put in place of a line of GOOD, the right the one line that must come back.
MISTAKES = {
    "unknown key": ("budget: {kl: 0.5, unti: token}", "mine.yaml:2:19: budget.unti: unknown key; did you mean 'unit'?"),
    "missing": ("budget: {unit: token}", "mine.yaml:2:9: budget.kl: required key is missing"),
    "range": ("budget: {kl: -1}", "mine.yaml:2:14: budget.kl: must be greater than 0; got -1"),
    "type": ("budget: {kl: much}", "mine.yaml:2:14: budget.kl: must be a number; got 'much'"),
    "quoted": ('budget: {kl: "2"}', "mine.yaml:2:14: budget.kl: must be a number; got '2'; did you mean 2.0?"),
    "truth": ("budget: {kl: true}", "mine.yaml:2:14: budget.kl: must be a number; got true"),
    "not a number": ("budget: {kl: .nan}", "mine.yaml:2:14: budget.kl: must be greater than 0; got nan"),
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
        "mine.yaml:2:26: budget.enforce: must be 'observe', 'stop' or 'rollback'; got 'rolback'; "
        "did you mean 'rollback'?",
    ),
    "empty": ("budget:", "mine.yaml:2:1: budget: must be a map of keys; got null"),
    "list": ("budget: [1]", "mine.yaml:2:9: budget: must be a map of keys; got a list of 1"),
    "large": (
        "budget: {kl: 1}\nseed: 4294967296",
        "mine.yaml:3:7: seed: must be less than 4294967296; got 4294967296",
    ),
    "generic": (
        "budget: {kl: 1, prompts: generic}",
        "mine.yaml:2:26: budget.prompts: `budget.prompts: generic` and `budget.generic: FILE` go together",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_has_its_line_column_and_remedy(write: Write, mistake: str) -> None:
    line, message = MISTAKES[mistake]
    assert faults(write(GOOD.replace("budget: {kl: 0.5}", line))) == [message]


def test_kinds_of_sections_are_told_without_pydantics_labels(write: Write) -> None:
    text = GOOD.replace("{type: fixed, method: rl}", "{type: fixd}")
    assert faults(write(text)) == [
        "mine.yaml:3:18: strategy.type: must be 'fixed' or 'auto'; got 'fixd'; did you mean 'fixed'?"
    ]
    text = GOOD.replace("method: rl", "method: rl_").replace("dataset: chain_sum}\n  - ", "datset: a}\n  - ")
    assert faults(write(text)) == [
        "mine.yaml:3:33: strategy.method: must be 'sft', 'rl' or 'chord'; got 'rl_'; did you mean 'rl'?",
        "mine.yaml:6:11: stages[0].task.dataset: required key is missing",
        "mine.yaml:6:33: stages[0].task.datset: unknown key; did you mean 'dataset'?",
    ]
    text = GOOD.replace("type: reasoning_gym, ", "", 1)
    assert faults(write(text)) == [
        "mine.yaml:6:11: stages[0].task.type: required key is missing; "
        "it must be 'reasoning_gym', 'dataset' or 'python'"
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
    reward = "method 'rl' needs a reward and this task has none; it can only be learned by 'sft'"
    assert faults(write(imitated)) == [f"mine.yaml:6:11: stages[0].task: {reward}"]
    own = imitated.replace("  - name: v1.2", "    method: rl\n  - name: v1.2")
    assert faults(write(own)) == [f"mine.yaml:7:13: stages[0].method: {reward}"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "mine.yaml:1:1: a curriculum is a map of keys; the file is empty; `perdure sample` prints one"),
        ("# nothing\n", "mine.yaml:1:1: a curriculum is a map of keys; the file is empty; `perdure sample` prints one"),
        ("- 1\n", "mine.yaml:1:1: a curriculum is a map of keys; got a list of 1; `perdure sample` prints one"),
        ("model:\n\tx: 1\n", "mine.yaml:2:1: not valid YAML: a tab cannot indent; use spaces"),
        ("a: 1\nb: [2\n", "mine.yaml:3:1: not valid YAML: expected ',' or ']', but got '<stream end>' "),
        ("a: 1\n--- \nb: 2\n", "mine.yaml:2:1: not valid YAML: but found another document"),
        ("a: 1\nb: 2\na: 3\n", "mine.yaml:3:1: the key a is given twice; first at mine.yaml:1:1"),
        ("a: {b: 1, b: 2}\n", "mine.yaml:1:11: a: the key b is given twice; first at mine.yaml:1:5"),
        ("1: a\n", "mine.yaml:1:1: keys must be text; got '1'; write it in quotes"),
        (
            "a: !!python/object:os.system x\n",
            "mine.yaml:1:4: the tag 'tag:yaml.org,2002:python/object:os.system' is not",
        ),
        ("a: *b\n", "mine.yaml:1:4: not valid YAML: found undefined alias 'b'"),
        ("a: &a [*a]\n", "mine.yaml:1:4: aliases that contain themselves or grow without end"),
        ("a: 1\nb: \x00\n", "mine.yaml:2:4: not a text file: unprintable character '\\x00'"),
    ],
)
def test_what_is_no_curriculum_is_said_once_with_its_place(write: Write, text: str, message: str) -> None:
    (line,) = faults(write(text))
    assert line.startswith(message)


def test_aliases_that_explode_are_refused(write: Write) -> None:
    # Ten levels of ten aliases each would be 10**10 nodes.
    levels = ["a0: &a0 [x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 11)]
    (line,) = faults(write("\n".join(levels)))
    assert line.endswith("aliases that contain themselves or grow without end")


def test_deep_nesting_is_refused(write: Write) -> None:
    (line,) = faults(write("a: " + "[" * 1000))
    assert "nested too deeply" in line


def test_files_that_are_no_text(tmp_path: Path) -> None:
    binary = tmp_path / "mine.yaml"
    binary.write_bytes(b"a: 1\nb: \xff\xfe\n")
    assert faults(binary) == ["mine.yaml:2:4: not a text file in UTF-8"]
    binary.write_bytes(b"#" * (4 * 2**20 + 1))
    assert faults(binary) == ["mine.yaml: not a curriculum: larger than 4 MiB"]
    folder = tmp_path / "folder"
    folder.mkdir()
    assert faults(folder) == ["folder: a folder, not a file; give the YAML file in it"]
    with pytest.raises(ConfigError, match="no such file, and no shipped curriculum has this name"):
        read_curriculum(tmp_path / "missing.yaml")


def test_byte_order_marks_anchors_and_merge_keys_are_followed(write: Write) -> None:
    text = "\ufeff" + GOOD.replace("task: {type", "task: &sum {type", 1).replace(
        "v1.2\n    task: {type: reasoning_gym, dataset: chain_sum}", "v1.2\n    task: {<<: *sum, train: 7}"
    )
    tasks = [stage.task for stage in read_curriculum(write(text)).curriculum.stages]
    assert [(task.type, task.train) for task in tasks] == [("reasoning_gym", 500), ("reasoning_gym", 7)]
    assert faults(write(text.replace("dataset: chain_sum", "dataset: 3")))[-1].startswith(
        "mine.yaml:6:47: stages[1].task"
    )


def test_dates_and_yes_stay_text(write: Write) -> None:
    text = GOOD.replace("builtin:tiny}", "x, revision: 2024-01-02, device: no}")
    model = read_curriculum(write(text)).curriculum.model
    assert (model.revision, model.device) == ("2024-01-02", "no")


# Overrides


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
    text = GOOD.replace("{type: fixed, method: rl}", "{type: auto}")
    changed = read_curriculum(write(text), ["strategy.method=sft", "strategy.type=fixed"]).curriculum.strategy
    assert (changed.type, getattr(changed, "method", None)) == ("fixed", "sft")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed", "--set seed: write it as `--set path=value`, such as `--set seed=1`"),
        ("=1", "--set =1: write it as `--set path=value`, such as `--set seed=1`"),
        ("seed=x", "--set seed: seed: must be a whole number; got 'x'"),
        ("seed=[1", "--set seed: not valid YAML: expected ',' or ']', but got '<stream end>'"),
        ("sed=1", "--set sed: sed: unknown path; did you mean 'seed'?"),
        ("stages.0.nme=x", "--set stages.0.nme: stages[0].nme: unknown path; did you mean 'name'?"),
        ("stages.2.name=x", "--set stages.2.name: stages: there is no entry 2; entries here: 0 to 1"),
        ("stages.-1.name=x", "--set stages.-1.name: stages: there is no entry -1; entries here: 0 to 1"),
        ("stages.evn.name=x", "--set stages.evn.name: stages: there is no entry named 'evn'; did you mean 'even'?"),
        ("budget.kl.x=1", "--set budget.kl.x: budget.kl: is 0.5, so there is no 'x' in it"),
        ("budget.kl=0", "--set budget.kl: budget.kl: must be greater than 0; got 0"),
        ("budget..kl=0", '--set budget..kl: budget."": unknown path; known here: kl'),
        ("train.rl={beta: x}", "--set train.rl: train.rl.beta: must be a number; got 'x'"),
    ],
)
def test_overrides_that_cannot_be(write: Write, override: str, message: str) -> None:
    (line,) = faults(write(GOOD), override)
    assert line.startswith(message)


# Local paths


def with_task(task: str) -> str:
    head = GOOD.split("stages:", maxsplit=1)[0].replace("method: rl", "method: sft")
    return head + f"stages:\n  - name: a\n    task: {task}\n"


def test_paths_are_relative_to_the_file_and_come_out_absolute(tmp_path: Path, write: Write) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.jsonl").write_text("{}\n")
    (tmp_path / "models").mkdir()
    (tmp_path / "org" / "name").mkdir(parents=True)

    def task(text: str) -> Any:
        return read_curriculum(write(with_task(text))).curriculum.stages[0].task

    assert task("{type: dataset, path: ./data/x.jsonl}").path == str(tmp_path / "data/x.jsonl")
    assert task("{type: dataset, path: data/x.jsonl}").path == str(tmp_path / "data/x.jsonl")
    assert task("{type: dataset, path: data/../data/x.jsonl}").path == str(tmp_path / "data/x.jsonl")
    assert task("{type: dataset, path: org/name}").path == str(tmp_path / "org/name")
    assert task("{type: dataset, path: hub/name, data_files: x.jsonl}").path == "hub/name"
    assert task("{type: dataset, path: hub/name, data_files: x.jsonl}").data_files == "x.jsonl"
    assert task("{type: dataset, path: json, data_files: data/*.jsonl}").data_files == str(tmp_path / "data/*.jsonl")
    assert task("{type: dataset, path: json, data_files: [./data/x.jsonl]}").data_files == [
        str(tmp_path / "data/x.jsonl")
    ]
    url = "https://example.org/x.jsonl"
    assert task(f"{{type: dataset, path: json, data_files: {url}}}").data_files == url
    everything = (
        GOOD.replace("builtin:tiny", "./models").replace("kl: 0.5", "kl: 1, prompts: generic, generic: data/x.jsonl")
        + "benchmarks:\n  - {tasks: a, include_path: data}\n  - {tasks: b, include_path: builtin}\n"
    )
    curriculum = read_curriculum(write(everything)).curriculum
    assert curriculum.model.model_name_or_path == str(tmp_path / "models")
    assert curriculum.budget.generic == str(tmp_path / "data/x.jsonl")
    assert [one.include_path for one in curriculum.benchmarks] == [str(tmp_path / "data"), "builtin"]


def test_paths_of_overrides_are_relative_to_the_current_folder(tmp_path: Path, write: Write) -> None:
    here = Path.cwd()
    (tmp_path / "pyproject.toml").mkdir()  # in the file's folder a folder, in the current one nothing of that name
    path = read_curriculum(write(GOOD), ["model.model_name_or_path=./"]).curriculum.model.model_name_or_path
    assert path == str(here)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("{type: dataset, path: ./x}", "10:33: stages[0].task.path: no such file or folder: {}/x"),
        ("{type: dataset, path: x.csv}", "10:33: stages[0].task.path: no such file or folder: {}/x.csv"),
        ("{type: dataset, path: ~nobody-at-all/x}", "10:33: stages[0].task.path: no such user: ~nobody-at-all/x"),
        (
            "{type: dataset, path: csv, data_files: [x.csv]}",
            "10:51: stages[0].task.data_files[0]: no such file: {}/x.csv",
        ),
        ("{type: dataset, path: csv, data_files: ./*.csv}", "10:50: stages[0].task.data_files: no such file: {}/*.csv"),
    ],
)
def test_missing_files_are_refused_at_their_place(tmp_path: Path, task: str, message: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("#\n#\n#\n#\n" + with_task(task).replace("builtin:tiny", "hub/model"))
    with pytest.raises(CurriculumError) as raised:
        read_curriculum(file)
    assert str(raised.value) == f"{file}:" + message.format(tmp_path)


# Everything at once


@pytest.mark.parametrize("name", shipped())
def test_shipped_curricula_are_good_by_name_and_by_path(name: str) -> None:
    assert read_curriculum(name).curriculum == read_curriculum(shipped()[name]).curriculum


def test_unknown_names_list_the_shipped_ones() -> None:
    known = list(shipped())
    with pytest.raises(ConfigError) as raised:
        read_curriculum("no-curriculum-has-this-name")
    assert str(raised.value).endswith(f"shipped curricula: {', '.join(known) or 'none'}")


def test_every_pattern_of_the_schema_is_in_plain_words() -> None:
    def patterns(annotation: Any) -> Iterator[str]:
        text = json.dumps(Curriculum.model_json_schema())
        yield from (part.split('"')[0] for part in text.split('"pattern": "')[1:])

    assert {json.loads(f'"{pattern}"') for pattern in patterns(Curriculum)} == set(PATTERNS)


FULL: dict[str, Any] = {
    "model": {"model_name_or_path": "org/name", "lora": {"r": 2}},
    "budget": {"kl": 0.5},
    "strategy": {"type": "auto", "k": 2},
    "train": {"trl": {"logging_steps": 1}, "sft": {"trl": {}}, "rl": {"trl": {"top_p": 0.5}}, "chord": {"phi": True}},
    "stages": [
        {"name": "a", "task": {"type": "reasoning_gym", "dataset": "chain_sum"}, "train": {"rl": {"beta": 0.1}}},
        {"name": "b", "task": {"type": "dataset", "path": "org/data", "reward": {"type": "regex", "pattern": "x"}}},
        {"name": "c", "task": {"type": "dataset", "path": "org/data", "columns": {"prompt": "x"}}, "method": "sft"},
        {"name": "d", "task": {"type": "python", "path": "a:b"}, "train": {"chord": {"trl": {"top_k": 3}}}},
    ],
    "benchmarks": [{"tasks": "x"}, {"tasks": "y", "limit": 3}],
    "evaluation": {"batch_size": 2},
}


def maps(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        yield path
        for key, inner in value.items():
            yield from maps(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from maps(inner, (*path, index))


def inserted(value: Any, path: tuple[Any, ...], key: str, position: int) -> Any:
    """A copy with one key more in the map at `path`."""
    if not path:
        items = list(value.items())
        return dict([*items[:position], (key, None), *items[position:]])
    copy = list(value) if isinstance(value, list) else dict(value)
    copy[path[0]] = inserted(value[path[0]], path[1:], key, position)
    return copy


def test_the_full_curriculum_is_good(write: Write) -> None:
    assert len(read_curriculum(write(json.dumps(FULL))).curriculum.stages) == 4


WORDS = st.text(string.ascii_letters + string.digits + "_- .:#éß<'\"[{", max_size=12) | st.sampled_from(
    [
        "typ",
        "learning_rat",
        "max_length",
        "top_p",
        "kl",
        "stages",
        "reasoning_gym",
        "dataset",
        "output_dir",
        "rl",
        "name",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(list(maps(FULL))), WORDS, st.integers(0, 3), st.sampled_from([None, 1]))
def test_any_unknown_key_anywhere_is_refused_at_its_place(
    tmp_path_factory: pytest.TempPathFactory, path: tuple[Any, ...], key: str, position: int, indent: int | None
) -> None:
    is_trl = bool(path) and path[-1] == "trl"
    known = ("top_p", "logging_steps", "top_k") if is_trl else schema_paths.keys_of(schema_paths.at(path, FULL))
    if path[-1:] == ("columns",):
        known = ("prompt", "completion", "messages", "question", "answer", "choices", "system")
    if key in known or (is_trl and key == "max_length"):
        return
    text = json.dumps(inserted(FULL, path, key, position), indent=indent, ensure_ascii=False)
    file = tmp_path_factory.mktemp("curriculum") / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(CurriculumError) as raised:
        read_curriculum(file)
    assert [fault.path for fault in raised.value.faults] == [(*path, key)], str(raised.value)
    fault: Fault = raised.value.faults[0]
    written = text.splitlines()[(fault.place.line or 0) - 1][(fault.place.column or 0) - 1 :]
    assert written.startswith(json.dumps(key, ensure_ascii=False) + ":")


def test_paths_are_shown_as_they_are_written() -> None:
    assert show_path(("stages", 0, "train", "a b")) == 'stages[0].train."a b"'
