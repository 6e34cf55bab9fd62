"""What a file names is looked up before a model is loaded: each fault at its place, with near names."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from perdure.curriculum.file.faults import CurriculumError
from perdure.curriculum.file.reader import read_curriculum
from perdure.curriculum.sweeps.reader import read_sweep
from perdure.eval.look_up import LookUp, look_up

ROWS = [{"q": "1 + 1", "a": "2", "kind": "sum"}, {"q": "2 + 2", "a": "4", "kind": "sum"}]
COLUMNS = {"question": "q", "answer": "a"}


def looked_up(folder: Path, **sections: Any) -> list[str]:
    """The faults of a curriculum with these sections, without the folder; none if it is good."""
    stages = [{"name": "one", "task": sections.pop("task", {"type": "reasoning_gym", "dataset": "chain_sum"})}]
    base = {
        "model": {"model_name_or_path": "builtin:tiny"},
        "budget": {"kl": 1},
        "strategy": {"type": "fixed", "method": "sft"},
    }
    file = folder / "mine.yaml"
    file.write_text(json.dumps(base | {"stages": stages} | sections))
    try:
        look_up(read_curriculum(file))
    except CurriculumError as error:
        return [line.partition(": ")[2] for line in str(error).replace(f"{folder}/", "").splitlines()]
    return []


def written(folder: Path, rows: list[dict[str, Any]], suffix: str) -> str:
    """A data file of the rows."""
    file = folder / f"data{suffix}"
    if suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), file)
    elif suffix == ".json":
        file.write_text(json.dumps(rows))
    elif suffix == ".jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        between = {".csv": ",", ".tsv": "\t"}[suffix]
        lines = [between.join(rows[0]), *(between.join(map(str, row.values())) for row in rows)]
        file.write_text("\n".join(lines) + "\n")
    return file.name


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".tsv", ".parquet"])
def test_columns_of_local_files(tmp_path: Path, suffix: str) -> None:
    task = {"type": "dataset", "path": written(tmp_path, ROWS, suffix), "reward": {"type": "numeric"}}
    assert looked_up(tmp_path, task=task | {"columns": COLUMNS}) == []
    (fault,) = looked_up(tmp_path, task=task | {"columns": COLUMNS | {"answer": "as"}})
    assert fault.startswith("stages[0].task.columns.answer: the data, ")
    assert fault.endswith("no column 'as'; did you mean 'a'? (there are q, a, kind)")
    (fault,) = looked_up(tmp_path, task=task)
    assert fault.startswith("stages[0].task.path: the data has no column `prompt`, `question` or `messages`: map one")


@pytest.mark.parametrize(
    ("rows", "settings", "said"),
    [
        ([*ROWS, {"q": " ", "a": "1"}], {}, "path: the data, data.jsonl:3, column 'q' is empty"),
        ([*ROWS, {"q": 7, "a": "1"}], {}, "path: the data, data.jsonl:3, column 'q' holds a number, not text"),
        (
            [*ROWS, {"q": "x", "a": "many"}],
            {"reward": {"type": "numeric"}},
            "reward: the data, data.jsonl:3: reward 'numeric' finds no number in the answer 'many'",
        ),
        (ROWS, {"where": {"kind": "product"}}, "where: the data: no row is as `where` says; in the rows kind is sum"),
        (ROWS, {"explode": ["b"]}, "explode[0]: the data: no column 'b' to explode (there are q, a, kind)"),
        (ROWS, {"columns": {}, "template": "{b}"}, "path: the data, data.jsonl:1: `template`: no column 'b' (there"),
    ],
)
def test_the_first_row_that_cannot_be_read(
    tmp_path: Path, rows: list[dict[str, Any]], settings: dict[str, Any], said: str
) -> None:
    path = written(tmp_path, rows, ".jsonl")
    (fault,) = looked_up(tmp_path, task={"type": "dataset", "path": path, "columns": COLUMNS} | settings)
    assert fault.startswith(f"stages[0].task.{said}")


def test_a_long_file_is_read_from_its_beginning(tmp_path: Path) -> None:
    many = [{"q": f"{number} {'x' * 3000}", "a": "1"} for number in range(1200)]  # 3.6 MB: longer than is read
    task = {"type": "dataset", "path": written(tmp_path, [*many, {"q": ""}], ".jsonl"), "columns": COLUMNS}
    assert looked_up(tmp_path, task=task) == []
    assert looked_up(tmp_path, task=task | {"where": {"a": "2"}}) == []  # a later row may be so
    (fault,) = looked_up(tmp_path, task=task | {"columns": {"prompt": "p"}})
    assert fault.startswith("stages[0].task.columns.prompt: the data, data.jsonl:1: no column 'p'")
    csv = {"type": "dataset", "path": written(tmp_path, many, ".csv"), "columns": COLUMNS}
    assert looked_up(tmp_path, task=csv) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"dataset": "chain_sums"}, "dataset: reasoning_gym 'chain_sums': reasoning-gym has no such dataset; did you"),
        ({"config": {"min_term": 2}}, "config.min_term: reasoning_gym 'chain_sum' has no setting 'min_term'; did you"),
        ({"config": {"min_terms": "two"}}, "config.min_terms: reasoning_gym 'chain_sum': `config.min_terms`: Input"),
        ({"config": {"min_terms": 9}}, "config: reasoning_gym 'chain_sum': reasoning-gym refuses `config`: max_terms"),
        ({"level": 99}, "level: reasoning_gym 'chain_sum' has levels 0 to 10, not 99"),
    ],
)
def test_names_and_settings_of_reasoning_gym(tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    good = {"type": "reasoning_gym", "dataset": "chain_sum", "config": {"min_terms": 3}, "level": 1}
    assert looked_up(tmp_path, task=good) == []
    (fault,) = looked_up(tmp_path, task=good | settings)
    assert fault.startswith(f"stages[0].task.{said}")


def test_names_of_lm_eval(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/mine.yaml").write_text("task: my_quiz\ntag: my_tag\n")
    own, task = (
        {"include_path": "own"},
        {"type": "dataset", "path": written(tmp_path, ROWS, ".csv"), "columns": COLUMNS},
    )
    good = [{"tasks": "my_quiz"} | own, {"tasks": "my_tag"} | own, {"tasks": "arc_easy"} | own, {"tasks": "mmlu"}]
    assert looked_up(tmp_path, task=task, benchmarks=good) == []
    bad = [{"tasks": "arc_eazy"}, {"tasks": "my_quizz"} | own, {"tasks": "perdure_spel", "include_path": "builtin"}]
    assert looked_up(tmp_path, task=task, benchmarks=bad) == [
        "benchmarks[0].tasks: benchmark 'arc_eazy': no such task among those of lm-eval; did you mean 'arc_easy'?",
        "benchmarks[1].tasks: benchmark 'my_quizz': no such task in own or among those of lm-eval; did you mean "
        "'my_quiz'?",
        "benchmarks[2].tasks: benchmark 'perdure_spel': no such task in builtin or among those of lm-eval; did you "
        "mean 'perdure_spell'?",
    ]


def test_general_prompts(tmp_path: Path) -> None:
    task = {"type": "dataset", "path": written(tmp_path, ROWS, ".csv"), "columns": COLUMNS}
    (tmp_path / "general.jsonl").write_text('{"prompt": "Hello"}\n{"promt": "Bye"}\n')
    budget = {"kl": 1, "prompts": "generic", "generic": "general.jsonl"}
    assert looked_up(tmp_path, task=task, budget=budget) == [
        "budget.generic: general.jsonl:2: every line must be a JSON object with `prompt`; did you mean 'promt'?"
    ]


def test_environments_that_are_registered_without_the_users_code(tmp_path: Path) -> None:
    def with_tasks(*ids: dict[str, Any]) -> dict[str, Any]:
        first, *others = ({"type": "gymnasium", **one} for one in ids)
        return {
            "model": {"type": "control", "path": "."},
            "strategy": {"type": "fixed", "method": "rl"},
            "task": first,
            "benchmarks": [{"type": "task", "name": f"b{n}", "task": one} for n, one in enumerate(others)],
        }

    good = [{"id": "CartPole-v1"}, {"id": "BabyAI-GoToObj-v0"}, {"id": "rails:Rail-v0"}]
    (tmp_path / "rails.py").write_text("raise SystemExit('executed')\n")
    assert looked_up(tmp_path, **with_tasks(*good)) == []
    assert looked_up(tmp_path, **with_tasks({"id": "CartPole-v7"}, {"id": "BabyAI-GoToObject-v0"})) == [
        "stages[0].task.id: gymnasium has no environment 'CartPole-v7'; did you mean 'CartPole-v1'?; `module:Name-v0` "
        "imports the module that registers it",
        "benchmarks[0].task.id: gymnasium has no environment 'BabyAI-GoToObject-v0'; did you mean "
        "'BabyAI-GoToObj-v0'?; `module:Name-v0` imports the module that registers it",
    ]


@pytest.mark.parametrize(
    ("starts", "which"),
    [
        ({"grid": [2, 2]}, "all places of a grid"),
        ([{"seed": 1}, {"seed": 2}], "the listed starts before the held-out ones"),
    ],
)
def test_a_number_of_starts_beside_those_that_are_given_is_refused(tmp_path: Path, starts: Any, which: str) -> None:
    model, fixed = {"type": "control", "path": "."}, {"type": "fixed", "method": "rl"}
    task = {"type": "gymnasium", "id": "rails:Rail-v0", "starts": starts}
    (tmp_path / "rails.py").write_text("")
    assert looked_up(tmp_path, task=task, model=model, strategy=fixed) == []
    assert looked_up(tmp_path, task=task | {"train": 4}, model=model, strategy=fixed) == [
        f"stages[0].task.train: has no effect here: {which} are trained on; leave it out"
    ]


def test_a_sweep_over_bins_or_holds_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bins.yaml"
    axis = "{path: model.bins, values: [11, 21]}"
    file.write_text(f"curriculum: babyai\naxes:\n  - {axis}\n")
    with pytest.raises(CurriculumError, match=r"bins.yaml:2:1: cells measure KL at different settings .*bins 11 .*21"):
        read_sweep(file)
    file.write_text(f"curriculum: babyai\naxes:\n  - {axis.replace('[11, 21]', '[11]')}\n")
    assert len(read_sweep(file).cells) == 1


def test_tasks_of_meta_world(tmp_path: Path) -> None:
    pytest.importorskip("metaworld", reason="the extra `robots` is not installed")
    model, fixed = {"type": "control", "path": "."}, {"type": "fixed", "method": "rl"}
    task = {"type": "gymnasium", "id": "Meta-World/MT1", "env_name": "reach-v3"}
    assert looked_up(tmp_path, task=task, model=model, strategy=fixed) == []
    (fault,) = looked_up(tmp_path, task=task | {"env_name": "reach"}, model=model, strategy=fixed)
    assert fault.startswith("stages[0].task.env_name: Meta-World has no task 'reach'; did you mean 'reach-v3'?")


def test_what_could_not_be_looked_into_is_named(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "model: {model_name_or_path: builtin:tiny}\nbudget: {kl: 1}\nstrategy: {type: fixed, method: sft}\n"
        "stages: [{name: a, task: {type: dataset, path: org/data}}, {name: b, task: {type: dataset, path: org/data}}]\n"
    )
    assert LookUp()(read_curriculum(file).curriculum).unseen == ("the rows of org/data",)


def lacking(folder: Path, **sections: Any) -> list[str]:
    model = {"model_name_or_path": "org/name"}
    return looked_up(folder, **{"model": model, "strategy": {"type": "fixed", "method": "rl"}} | sections)


@pytest.mark.skipif(find_spec("bitsandbytes") is not None, reason="is about machines without bitsandbytes")
def test_packages_for_quantized_weights_and_optimisers_are_looked_for(tmp_path: Path) -> None:
    model = {"model_name_or_path": "org/name", "quantization": "4bit", "lora": {}}
    assert lacking(tmp_path, model=model) == [
        "model.quantization: 4bit needs bitsandbytes, which is not installed: pip install 'perdure[quantization]', or "
        "leave `quantization` out"
    ]
    needs = "optim 'adamw_8bit' needs bitsandbytes, which is not installed: pip install 'perdure[quantization]'"
    assert lacking(tmp_path, train={"trl": {"optim": "adamw_8bit"}}) == [f"train.trl.optim: {needs}"]
    assert lacking(tmp_path, train={"rl": {"trl": {"optim": "adamw_8bit"}}}) == [f"train.rl.trl.optim: {needs}"]
    read = read_curriculum(tmp_path / "mine.yaml")
    assert all(one.package for one in LookUp()(read.curriculum).faults)
    # a weaker layer, and a method that no stage comes to use
    overridden = {"trl": {"optim": "adamw_8bit"}, "rl": {"trl": {"optim": "sgd"}}, "sft": {"trl": {"optim": "lomo"}}}
    assert lacking(tmp_path, train=overridden) == []


@pytest.mark.skipif(find_spec("vllm") is not None, reason="is about machines without vllm")
def test_vllm_is_looked_for_where_it_would_be_in_this_process(tmp_path: Path) -> None:
    (fault,) = lacking(tmp_path, train={"rl": {"trl": {"use_vllm": True}}})
    assert fault.startswith("train.rl.trl.use_vllm: vllm_mode 'colocate' needs vllm in this environment")
    for given in ({"use_vllm": True, "vllm_mode": "server"}, {"use_vllm": False}):
        assert lacking(tmp_path, train={"rl": {"trl": given}}) == []


def test_an_environment_needs_a_template_with_tools(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"prompt": "p"}\n')
    (tmp_path / "mine.py").write_text("class Env:\n    def reset(self, **row): ...\n    def ask(self): ...\n")
    task = {"type": "environment", "path": "mine:Env", "data": "rows.jsonl"}
    (fault,) = lacking(tmp_path, task=task, model={"model_name_or_path": "builtin:tiny"})
    assert fault.startswith("stages[0].task.type: an environment is played with tools, and the model's chat template")
    folder = tmp_path / "model"
    folder.mkdir()
    local = {"model_name_or_path": str(folder)}
    assert lacking(tmp_path, task=task, model=local) == []  # as an adapter without a tokenizer
    for template, faults in (("{{ messages }}", 1), ("{% if message.tool_calls %}", 0)):
        (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
        assert len(lacking(tmp_path, task=task, model=local)) == faults
    assert lacking(tmp_path, task=task) == []  # on the hub
