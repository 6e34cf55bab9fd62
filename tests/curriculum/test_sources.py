"""Task sources: layouts, disjointness, repeatability, and one clear error for every way a file can be wrong.

The samples are made up here in the shapes of SciKnowEval, MATH-500, ToolAlpaca and the hub's folders.
"""

import csv
import inspect
import json
import os
import random
import re
import subprocess
import sys
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from perdure.budget.errors import ConfigError, DataError
from perdure.curriculum.sources.build import build_task, check_task, learnable_by
from perdure.curriculum.sources.common import prompt_key
from perdure.curriculum.sources.config import TaskConfig
from perdure.curriculum.sources.verifier_guard import EVALUATED, PARSED, is_arithmetic, is_harmless, is_literal
from perdure.curriculum.task import Item, Task

CONFIG: TypeAdapter[Any] = TypeAdapter(TaskConfig)


def build(seed: int = 0, origin: Path | None = None, **config: Any) -> Task:
    return build_task(CONFIG.validate_python(config), name="stage", seed=seed, origin=origin)


def gym(dataset: str = "chain_sum", seed: int = 0, **more: Any) -> Task:
    return build(seed=seed, **{"type": "reasoning_gym", "dataset": dataset, "train": 20, "heldout": 10, **more})


def data(path: Path | str, seed: int = 0, origin: Path | None = None, **more: Any) -> Task:
    return build(seed=seed, origin=origin, **{"type": "dataset", "path": str(path), "train": 6, "heldout": 3, **more})


def assert_disjoint(task: Task) -> None:
    prompts = [prompt_key(item) for item in (*task.train, *task.heldout)]
    assert len(set(prompts)) == len(prompts)


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".json":
        path.write_text(json.dumps(rows))
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


SUMS = [{"question": f"{a}+1=?", "answer": str(a + 1)} for a in range(12)]
MATCH = {"type": "exact_match"}


# reasoning_gym


def test_gym_items_are_fresh_and_repeatable() -> None:
    task = gym()
    assert (len(task.train), len(task.heldout), task.name) == (20, 10, "stage")
    assert_disjoint(task)
    assert task.fingerprint() == gym().fingerprint()
    assert {prompt_key(item) for item in task.heldout} & {prompt_key(item) for item in gym(seed=1).heldout} == set()
    assert task.train[0].prompt[0]["role"] == "user"
    assert isinstance(gym(chat=False).train[0].prompt, str)


def test_gym_held_out_items_do_not_depend_on_how_many_are_trained_on() -> None:
    assert gym(train=5).heldout == gym(train=40).heldout


def test_gym_rewards_by_its_own_verifier() -> None:
    # spell_backward's verifier: 1 for the answer, partial credit for letters in place, 0 or little for another
    task = gym("letter_counting")
    items = task.heldout[:4]
    right = str(items[0].answer)
    assert task.reward is not None
    assert task.reward(items, [str(item.answer) for item in items]) == [1.0] * 4
    assert task.reward(items[:3], [f"<answer> {right} </answer> I say", f" {right}\n", "x"])[0] == 1.0
    assert task.reward(items[:1], [f" {right}\n"]) == [1.0]
    assert task.reward(items[:1], ["x"]) == [0.0]


def test_gym_success_turns_a_graded_score_into_right_or_wrong() -> None:
    # base verifier: the right answer within a longer response scores len(answer)/len(response)
    graded, binary, lenient = (gym("simple_equations", success=success) for success in (None, 1.0, 0.3))
    item = graded.heldout[0]
    answer = str(item.answer)
    response = answer + "." * len(answer)  # half of it is the answer
    scores = [task.reward([item], [response]) for task in (graded, binary, lenient) if task.reward is not None]
    assert scores == [[0.5], [0.0], [1.0]]


def test_gym_takes_another_reward_by_name() -> None:
    task = gym(reward={"type": "numeric"})
    assert task.reward is not None
    assert task.reward(task.heldout[:1], [f"It is {task.heldout[0].answer}."]) == [1.0]


def test_gym_verifier_that_fails_scores_nothing() -> None:
    task = gym("number_sorting", success=None)
    assert task.reward is not None
    assert task.reward(task.heldout[:2], ["[[[", '[{"a": 1}]']) == [0.0, 0.0]


def test_gym_levels_are_its_curriculum() -> None:
    # chain_sum: level 0 has at most 2 terms of at most 10 digits' range, the hardest level far more
    lengths = [max(len(item.prompt[0]["content"]) for item in gym(level=level).train) for level in (0, 3)]
    assert lengths[0] < lengths[1]
    narrow = gym(level=3, config={"min_terms": 2, "max_terms": 2})  # `config` wins
    assert all(len(re.findall(r" [-+] ", item.prompt[0]["content"])) == 1 for item in narrow.train)


def test_gym_leaves_the_global_generators_alone() -> None:
    random.seed(7)
    np.random.seed(7)
    before = (random.getstate(), np.random.get_state()[1].tolist())
    first = gym("pool_matrix", train=3, heldout=2)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before
    random.seed(8)
    assert gym("list_functions", train=5).fingerprint() == gym("list_functions", train=5).fingerprint()
    assert first.train


def test_gym_composite() -> None:
    parts = [{"name": "gcd", "weight": 1, "config": {}}, {"name": "lcm", "weight": 1, "config": {}}]
    task = gym("composite", config={"datasets": parts})
    assert {item.columns["entry"]["metadata"]["source_dataset"] for item in task.train} == {"gcd", "lcm"}
    assert task.reward is not None
    assert task.reward(task.train, [str(item.answer) for item in task.train]) == [1.0] * 20


def test_gym_tasks_without_answers_are_for_rl() -> None:
    task = gym("graph_color", train=3, heldout=2)
    assert learnable_by(task) == ("rl",)
    with pytest.raises(ConfigError, match=r"'sft' needs demonstrations, .* it can be learned by 'rl'"):
        check_task(task, "sft")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"dataset": "chainsum"}, "no such dataset; did you mean 'chain_sum'"),
        ({"config": {"min_term": 2}}, "no setting 'min_term'; did you mean 'min_terms'"),
        ({"config": {"min_terms": "two"}}, r"`config.min_terms`: .*integer.*not 'two'"),
        ({"config": {"min_terms": 5, "max_terms": 2}}, "refuses `config`: max_terms must be >= min_terms"),
        ({"config": {"min_terms": 0}}, "refuses `config`: min_terms must be positive"),
        ({"level": 99}, r"levels 0 to \d+, not 99"),
        ({"dataset": "composite", "level": 1, "config": {"datasets": []}}, "no difficulty levels"),
        ({"dataset": "composite"}, "Must specify at least one dataset"),
    ],
)
def test_gym_refuses(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        gym(**config)


def test_gym_says_how_many_items_there_are() -> None:
    # sums and differences of two one-digit numbers: 10 · 10 · 2 = 200 different prompts
    one_digit = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}
    with pytest.raises(DataError, match="gave only 200 different items"):
        gym(config=one_digit, train=1000)
    assert len(gym(config=one_digit, train=150).train) == 150


def test_gym_refuses_items_that_change_with_the_hash_seed() -> None:
    if os.environ.get("PYTHONHASHSEED", "random") != "random":
        pytest.skip("PYTHONHASHSEED is set")
    with pytest.raises(ConfigError, match="start perdure with PYTHONHASHSEED=0"):
        gym("word_ladder")


def test_every_verifier_that_evaluates_responses_is_guarded() -> None:
    from reasoning_gym.factory import DATASETS

    evaluates = re.compile(r"(?<![.\w])eval\((?!entry)|parse_expr\(|sympify\(|exec\(")
    found = {name for name, (kind, _) in DATASETS.items() if evaluates.search(inspect.getsource(kind.score_answer))}
    assert found == EVALUATED | PARSED


def test_guard_lets_answers_through_and_code_not(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    code = f"open({str(mark)!r}, 'w')"
    for name in ("spiral_matrix", "countdown"):
        task = gym(name, train=3, heldout=2, success=None)
        assert task.reward is not None
        assert task.reward(task.heldout, [str(item.answer) for item in task.heldout]) == [1.0, 1.0]
        assert task.reward(task.heldout, [code, code]) == [0.0, 0.0]
    assert not mark.exists()


@pytest.mark.parametrize("text", ["1 + 2*(3 - x)/4", "-x**2 + sin(2*x)**2", "2**x", "x**(-1/2)", "sqrt(pi) + C"])
def test_arithmetic(text: str) -> None:
    assert is_arithmetic(text)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "eval(x)",
        "x.y",
        "9**9**9",
        "(9**999)**999",
        "10**1000",
        "[1]",
        "'a'",
        "1; 2",
        "x" * 2000,
        "",
    ],
)
def test_not_arithmetic(text: str) -> None:
    assert not is_arithmetic(text)


def test_literals() -> None:
    assert is_literal("[[1, 2], ['a']]")
    assert not is_literal("[1] * 10**9")
    assert is_harmless("gcd", "exec('x')", {"answer": "1"})  # compared as text only


# dataset


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".csv", ".parquet"])
def test_files_of_every_kind_hold_the_same_task(tmp_path: Path, suffix: str) -> None:
    task = data(write_rows(tmp_path / f"sums{suffix}", SUMS), reward={"type": "numeric"})
    assert (len(task.train), len(task.heldout)) == (6, 3)
    assert_disjoint(task)
    first = task.train[0]
    number = int(first.prompt[0]["content"].removesuffix("+1=?"))
    assert first.answer == first.demonstration == str(number + 1)
    assert learnable_by(task) == ("sft", "rl", "chord")


def test_the_same_seed_gives_the_same_items(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "sums.jsonl", SUMS)
    copy = write_rows(tmp_path / "copy.json", SUMS)
    assert data(path).fingerprint() == data(path).fingerprint() == data(copy).fingerprint()
    assert data(path).fingerprint() != data(path, seed=1).fingerprint()
    assert data(path, train=2).heldout == data(path, train=9).heldout


def test_a_folder_in_the_hub_s_layout(tmp_path: Path) -> None:
    folder = tmp_path / "repo"
    write_rows(folder / "data" / "train.jsonl", SUMS)
    write_rows(folder / "data" / "exam.jsonl", [{"question": f"{a}+1=?", "answer": str(a + 1)} for a in range(8, 20)])
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: sums\n  data_files:\n  - split: train\n    path: data/train.jsonl\n"
        "  - split: test\n    path: data/exam.jsonl\n---\nSums.\n"
    )
    task = data(folder, name="sums", heldout_split="test", train=50, heldout=10)
    assert len(task.heldout) == 10
    assert_disjoint(task)  # of the 12 training rows, 8 to 11 are in the exam's split too
    assert 8 <= len(task.train) <= 11
    with pytest.raises(DataError, match=r"no split 'tset'; did you mean 'test'\? \(it has train, test\)"):
        data(folder, name="sums", split="tset")


def test_a_folder_that_save_to_disk_wrote(tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict

    DatasetDict({"train": Dataset.from_list(SUMS)}).save_to_disk(str(tmp_path / "saved"))
    assert len(data(tmp_path / "saved").train) == 6
    with pytest.raises(DataError, match="no split 'test'"):
        data(tmp_path / "saved", split="test")


def test_relative_paths_start_at_the_curriculum_then_here(tmp_path: Path) -> None:
    write_rows(tmp_path / "file" / "sums.jsonl", SUMS)
    write_rows(tmp_path / "here" / "other.jsonl", SUMS)
    (tmp_path / "here").mkdir(exist_ok=True)
    with chdir(tmp_path / "here"):
        assert data("sums.jsonl", origin=tmp_path / "file").train
        assert data("other.jsonl", origin=tmp_path / "file").train
        with pytest.raises(DataError, match=r"no file or folder 'none.jsonl' \(looked in .*file and .*here\)"):
            data("none.jsonl", origin=tmp_path / "file")


def test_too_few_rows_are_shared_out(tmp_path: Path) -> None:
    # 12 rows for 100 + 100: half are held out
    path = write_rows(tmp_path / "sums.jsonl", SUMS)
    task = data(path, train=100, heldout=100)
    assert (len(task.train), len(task.heldout)) == (6, 6)
    # 12 rows for 3 + 100: 3 are held out as asked, the rest is trained on
    task = data(path, train=100, heldout=3)
    assert (len(task.train), len(task.heldout)) == (9, 3)
    three = write_rows(tmp_path / "three.jsonl", SUMS[:3])
    assert len(data(three).heldout) == 2
    twice = write_rows(tmp_path / "twice.jsonl", SUMS[:2] * 3)
    with pytest.raises(DataError, match="has 2 different prompts; at least 3"):
        data(twice)


def test_prompt_and_completion_columns(tmp_path: Path) -> None:
    rows = [{"prompt": f"say {a}", "completion": f"I say {a}", "label": str(a)} for a in range(12)]
    task = data(write_rows(tmp_path / "rows.jsonl", rows), columns={"answer": "label"}, chat=False)
    item = task.train[0]
    assert item.prompt == f"say {item.answer}"
    assert item.demonstration == f"I say {item.answer}"
    assert item.columns == {"label": item.answer}


def test_conversations(tmp_path: Path) -> None:
    rows = [
        {
            "messages": [
                {"role": "system", "content": "Be short."},
                {"role": "user", "content": f"Double {a}"},
                {"role": "assistant", "content": str(2 * a)},
            ]
        }
        for a in range(12)
    ]
    item = data(write_rows(tmp_path / "rows.jsonl", rows), reward=MATCH).train[0]
    assert [message["role"] for message in item.prompt] == ["system", "user"]
    assert item.demonstration == item.answer == str(2 * int(item.prompt[1]["content"].removeprefix("Double ")))


def test_chat_prompt_with_chat_completion(tmp_path: Path) -> None:
    rows = [
        {
            "prompt": [{"role": "user", "content": f"Double {a}"}],
            "completion": [{"role": "assistant", "content": str(2 * a)}],
        }
        for a in range(12)
    ]
    item = data(write_rows(tmp_path / "rows.jsonl", rows)).train[0]
    assert item.demonstration == str(2 * int(item.prompt[0]["content"].removeprefix("Double ")))


def test_the_shape_of_sciknoweval(tmp_path: Path) -> None:
    rows = [
        {
            "prompt": {"default": "Choose."},
            "question": f"Which is {a}?",
            "choices": {"text": [str(a + 1), str(a), str(a + 2), "none"], "label": ["A", "B", "C", "D"]},
            "answerKey": "B",
            "answer": "",
        }
        for a in range(12)
    ]
    path = write_rows(tmp_path / "chem.jsonl", rows)
    mapping = {"answer": "answerKey", "choices": "choices"}
    task = data(
        path,
        template="{prompt.default}\n{question}\n{choices}\n{{}}",
        columns=mapping,
        reward={"type": "multiple_choice"},
    )
    item = task.train[0]
    text = item.prompt[0]["content"]
    a = int(re.findall(r"\d+", text)[0])
    assert text == f"Choose.\nWhich is {a}?\nA) {a + 1}\nB) {a}\nC) {a + 2}\nD) none\n{{}}"
    assert item.answer == item.demonstration == "B"
    assert task.reward is not None
    assert task.reward([item] * 3, ["(B)", str(a), "D"]) == [1.0, 1.0, 0.0]
    with_system = data(path, columns={**mapping, "question": "question", "system": "prompt.default"}).train[0]
    assert with_system.prompt[0] == {"role": "system", "content": "Choose."}
    with pytest.raises(
        DataError, match=r"column 'prompt' holds a map, not text; reach inside with a dot, one of default"
    ):
        data(path)
    with pytest.raises(DataError, match=r"no column 'defualt' in 'prompt'; did you mean 'default'"):
        data(path, columns={"prompt": "prompt.defualt"})


@pytest.mark.parametrize(
    ("choices", "answer"),
    [
        (["p", "q", "r"], 1),  # a place, from 0
        (["p", "q", "r"], "q"),  # the text
        ({"text": ["p", "q", "r"], "label": ["1", "2", "3"]}, "2"),  # a label that is no letter
        ({"text": ["p", "q", "r"], "label": ["A", "B", "C"]}, "B"),
    ],
)
def test_answers_to_multiple_choice_become_letters(tmp_path: Path, choices: Any, answer: Any) -> None:
    rows = [{"question": f"{a}?", "choices": choices, "gold": answer} for a in range(12)]
    task = data(write_rows(tmp_path / "mc.json", rows), columns={"answer": "gold"}, reward={"type": "multiple_choice"})
    assert {item.answer for item in task.train} == {"B"}


def test_the_shape_of_math_500(tmp_path: Path) -> None:
    rows = [
        {"prompt": [{"from": "user", "value": f"Halve {a}."}], "final_answer": rf"\frac{{{a}}}{{2}}"} for a in range(12)
    ]
    path = write_rows(tmp_path / "math.json", rows)
    inside = data(path, columns={"prompt": "prompt.0.value", "answer": "final_answer"}, reward={"type": "math_verify"})
    as_messages = data(path, columns={"answer": "final_answer"}, reward={"type": "math_verify"})
    assert inside.fingerprint() == as_messages.fingerprint()
    item = inside.train[0]
    a = int(re.findall(r"\d+", item.prompt[0]["content"])[0])
    assert inside.reward is not None
    assert inside.reward([item] * 2, [rf"It is ${a}/2$.", rf"It is $({a}+1)/2$."]) == [1.0, 0.0]


def test_the_shape_of_tool_alpaca(tmp_path: Path) -> None:
    rows = [
        {
            "Name": name,
            "NLDocumentation": f"{name}One: does one. {name}Two: does two.",
            "Instructions": [f"do {which} with {name}, case {case}" for which in ("one", "two") for case in range(2)],
            "Golden_Answers": [
                [{"Action": f"{name}{which}", "Action_Input": '{"a": 1}'}] for which in ("One", "Two") for _ in range(2)
            ],
        }
        for name in ("cat", "dog", "eel")
    ]
    path = write_rows(tmp_path / "tools.json", rows)
    options: dict[str, Any] = {
        "explode": ["Instructions", "Golden_Answers"],
        "template": "{NLDocumentation}\n{Instructions}",
    }
    task = data(path, **options, columns={"answer": "Golden_Answers.0.Action"}, reward=MATCH, train=9)
    assert (len(task.train), len(task.heldout)) == (9, 3)  # 3 tools with 4 requests
    item = task.train[0]
    which, name = re.findall(r"do (\w+) with (\w+)", item.prompt[0]["content"])[0]
    assert item.answer == f"{name}{which.capitalize()}"
    whole = data(path, **options, columns={"answer": "Golden_Answers"}).train[0]
    assert json.loads(str(whole.answer))[0]["Action_Input"] == '{"a": 1}'  # lists and maps as JSON
    with pytest.raises(DataError, match="no column 'Instruction' to explode; did you mean 'Instructions'"):
        data(path, explode=["Instruction"], template="{Name}")
    with pytest.raises(DataError, match="'Name' must be lists of equal length"):
        data(path, explode=["Instructions", "Name"], template="{Name}")


def test_without_a_reward_a_dataset_can_only_be_imitated(tmp_path: Path) -> None:
    task = data(write_rows(tmp_path / "sums.jsonl", SUMS))
    assert learnable_by(task) == ("sft",)
    for method in ("rl", "chord"):
        with pytest.raises(ConfigError, match=f"method '{method}' needs .* it can be learned by 'sft'"):
            check_task(task, method)  # type: ignore[arg-type]
    check_task(task, "sft")


def test_without_answers_a_dataset_can_only_be_rewarded(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "asks.jsonl", [{"prompt": f"Say a word with {a}"} for a in "abcdefghij"])
    task = data(path, reward={"type": "regex", "pattern": "^[a-z]+$"})
    assert learnable_by(task) == ("rl",)
    assert task.reward is not None
    assert task.reward(task.heldout[:2], ["word", "two words"]) == [1.0, 0.0]
    with pytest.raises(DataError, match="'exact_match' compares with the answer, and 9 of 9 items have none"):
        data(path, reward=MATCH)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"columns": {"question": "quesiton"}}, "no column 'quesiton'; did you mean 'question'"),
        ({"columns": {"answer": "solution"}}, r"no column 'solution'.* \(there are question, answer, n, empty, chat\)"),
        ({"template": "{qestion}"}, "`template`: no column 'qestion'; did you mean 'question'"),
        ({"columns": {"question": "n"}}, "column 'n' holds a number, not text"),
        ({"columns": {"messages": "chat"}}, "column 'chat': a message needs `role` and `content`"),
        ({"columns": {"messages": "question"}}, "column 'question' holds text, not a list of chat messages"),
        ({"columns": {"question": "empty"}}, "column 'empty' is empty"),
        ({"columns": {"answer": "empty"}}, "column 'empty' is empty, and `columns.answer` names it"),
        ({"columns": {"choices": "n"}}, "column 'n' is no list of up to 10 options"),
        (
            {"columns": {"answer": "question"}, "reward": {"type": "multiple_choice"}},
            "finds no option's letter or text",
        ),
        ({"heldout_split": "test"}, "`heldout_split` goes with a folder or a hub id"),
        ({"data_files": "rows.jsonl"}, "`data_files` goes with a folder or a hub id"),
        ({"where": {"n": 99}}, "no row is as `where` says; in the rows n is 0, 1, 10, 11, 2"),
        ({"where": {"m": 99}}, r"`where`: no column 'm'"),
    ],
)
def test_data_that_is_not_as_the_file_says(tmp_path: Path, more: dict[str, Any], message: str) -> None:
    rows = [{**row, "n": number, "empty": "", "chat": [{"who": "me"}]} for number, row in enumerate(SUMS)]
    with pytest.raises(DataError, match=message):
        data(write_rows(tmp_path / "rows.jsonl", rows), **more)


def test_where_chooses_rows(tmp_path: Path) -> None:
    rows = [{**row, "details": {"level": f"L{number % 3}"}, "n": number} for number, row in enumerate(SUMS)]
    path = write_rows(tmp_path / "rows.jsonl", rows)
    one = data(path, where={"details.level": "L1"})
    assert {item.columns["n"] % 3 for item in (*one.train, *one.heldout)} == {1}
    both = data(path, where={"details.level": ["L0", "L1"], "n": [0, 1, 2, 3]})
    assert sorted(item.columns["n"] for item in (*both.train, *both.heldout)) == [0, 1, 3]


def test_readers_of_datasets_in_place_of_a_path(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "sums.jsonl", SUMS)
    assert data("json", data_files=str(path)).fingerprint() == data(path).fingerprint()
    assert data(path, split="exam").fingerprint() == data(path).fingerprint()  # a file is whatever split is asked for
    with pytest.raises(DataError, match=r"nobody.json is not there or cannot be reached; download it"):
        data("http://127.0.0.1:9/nobody.json")
    with pytest.raises(DataError, match="say which by `data_files`"):
        data("json")


def test_a_dataset_without_a_prompt(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [{"text": str(a)} for a in range(12)])
    with pytest.raises(DataError, match=r"no column `prompt`, `question` or `messages`: .* there are text"):
        data(path)


def test_numeric_answers_must_hold_a_number(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [{"question": str(a), "answer": "none"} for a in range(12)])
    with pytest.raises(DataError, match="reward 'numeric' finds no number in the answer 'none'"):
        data(path, reward={"type": "numeric"})


@pytest.mark.parametrize("name", ["empty.json", "empty.jsonl", "empty.csv"])
def test_empty_files(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    with pytest.raises(DataError, match=r"is empty|cannot be loaded"):
        data(tmp_path / name)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file or folder './none'"):
        data("./none")
    with pytest.raises(DataError, match="no file or folder"):
        data(tmp_path / "none.jsonl")
    (tmp_path / "notes.docx").write_text("x")
    with pytest.raises(DataError, match=r"a file must end in .json"):
        data(tmp_path / "notes.docx")
    (tmp_path / "broken.json").write_text('[{"question": ')
    with pytest.raises(DataError, match="cannot be loaded"):
        data(tmp_path / "broken.json")


def test_an_unreachable_hub_is_named_at_once() -> None:
    code = (
        "import time, perdure.curriculum.sources.build as build\n"
        "from perdure.budget.errors import PerdureError\n"
        "from perdure.curriculum.sources.config import Dataset\n"
        "import datasets\n"
        "start = time.monotonic()\n"
        "try:\n    build.build_task(Dataset(type='dataset', path='perdure-tests/none'), name='a', seed=0)\n"
        "except PerdureError as error:\n    print(error)\n"
        "assert time.monotonic() - start < 10\n"
    )
    nobody_listens = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=nobody_listens, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "the hub cannot be reached for 'perdure-tests/none'" in done.stdout
    assert "--set stages.N.task.path=FOLDER" in done.stdout


# python, and demonstrations

OWN = """
from perdure.curriculum.task import Item, Task

def echo(*, seed, train, heldout, word="hi"):
    items = tuple(Item(f"{seed} {word} {n}", answer=str(n)) for n in range(train + heldout))
    return Task("their name", items[:train], items[train:], None)

def leaky(*, seed, train, heldout):
    return Task("t", (Item("a"),), (Item("a"), Item("b")), None)

def number(*, seed, train, heldout):
    return 3

def short(*, seed, train, heldout):
    return Task("t", (), (Item("a"),), None)

def broken(*, seed, train, heldout):
    raise KeyError("oops")

def show(item):
    return f"The number is {item.answer}."

def show_nothing(item):
    return None
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The name of a user's own module, in the current directory."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own_tasks_for_test.py").write_text(OWN)
    (folder / "own_broken_for_test.py").write_text("import nothing_like_this\n")
    with chdir(folder):
        yield "own_tasks_for_test"
    sys.path[:] = [entry for entry in sys.path if entry != str(folder)]


def python(path: str, **more: Any) -> Task:
    return build(**{"type": "python", "path": path, "train": 4, "heldout": 2, **more})


def test_python_tasks(own: str) -> None:
    task = python(f"{own}:echo", args={"word": "ho"}, seed=5)
    assert task.name == "stage"
    assert [item.prompt for item in task.heldout] == ["5 ho 4", "5 ho 5"]
    assert learnable_by(task) == ()
    rewarded = python(f"{own}:echo", reward=MATCH)
    assert learnable_by(rewarded) == ("rl",)
    with pytest.raises(ConfigError, match="it cannot be learned at all"):
        check_task(task, "rl")


def test_demonstrations_by_a_function(own: str) -> None:
    task = python(f"{own}:echo", demonstrations=f"{own}:show", reward={"type": "numeric"})
    assert task.train[1].demonstration == "The number is 1."
    assert task.heldout[0].demonstration == "The number is 4."
    assert learnable_by(task) == ("sft", "rl", "chord")
    sums = gym(demonstrations=f"{own}:show")
    assert sums.train[0].demonstration == f"The number is {sums.train[0].answer}."
    with pytest.raises(ConfigError, match="show_nothing' returned NoneType; it must return text"):
        python(f"{own}:echo", demonstrations=f"{own}:show_nothing")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (":leaky", "1 held-out prompts are also trained on"),
        (":number", "returned int; it must return a perdure.curriculum.task.Task"),
        (":short", "returned 0 training and 1 held-out items"),
        (":broken", r"failed: KeyError: 'oops' \(.*own_tasks_for_test.py, line \d+\)"),
        (":eco", "has no 'eco'; did you mean 'echo'"),
        (":OWN_CONSTANT", "has no 'OWN_CONSTANT'"),
    ],
)
def test_python_refuses(own: str, path: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        python(own + path)


def test_python_names_what_cannot_be_imported(own: str) -> None:
    with pytest.raises(
        ConfigError, match="no module 'nothing_of_that_name'; it must be installed or lie in the current"
    ):
        python("nothing_of_that_name:task")
    with pytest.raises(
        ConfigError, match="importing 'own_broken_for_test' failed: No module named 'nothing_like_this'"
    ):
        python("own_broken_for_test:task")
    with pytest.raises(ConfigError, match=r"no task 'nothing' in the entry-point group 'perdure.tasks'"):
        python("nothing")
    with pytest.raises(ConfigError, match="unexpected keyword argument 'wrd'"):
        python(f"{own}:echo", args={"wrd": "ho"})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"type": "reasoning_gym", "dataset": "gcd", "config": {"seed": 3}}, "`config.seed` is set by perdure"),
        ({"type": "python", "path": "a:b", "args": {"train": 3}}, "`args.train` is given by perdure"),
        ({"type": "dataset", "path": "x", "reward": {"type": "source"}}, "has no verifier of its own"),
        ({"type": "dataset", "path": "x", "template": "{a}", "columns": {"prompt": "p"}}, "keep one"),
        ({"type": "dataset", "path": "x", "columns": {"prompt": "p", "question": "q"}}, "keep one"),
        ({"type": "dataset", "path": "x", "chat": False, "columns": {"system": "s"}}, "plain text prompts"),
        ({"type": "dataset", "path": "x", "split": "a", "heldout_split": "a"}, "leave it out to cut"),
        ({"type": "dataset", "path": "x", "trust_remote_code": True}, "Extra inputs are not permitted"),
    ],
)
def test_what_a_task_may_not_say(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CONFIG.validate_python(config)


def test_items_keep_what_the_source_knows() -> None:
    item = gym("gcd").train[0]
    assert isinstance(item, Item)
    assert item.columns["entry"]["metadata"]["source_dataset"] == "gcd"
