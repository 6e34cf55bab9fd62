"""Tasks of lm-eval that need packages, data or a sandbox: told before a model is loaded, and met by a folder."""

import json
from pathlib import Path
from typing import Any

import pytest

from perdure.budget.errors import ConfigError, DataError
from perdure.curriculum.evaluation import Benchmark
from perdure.eval.lm_eval.benchmark import LmBenchmark, prepare_lm_benchmark
from perdure.eval.lm_eval.names import shipped_names
from perdure.eval.lm_eval.requirements import IFEVAL, TaskNeeds, missing_packages, task_needs
from perdure.eval.lm_eval.tasks import TaskLibrary
from tests.eval.lm_task_files import WORDS
from tests.eval.test_look_up import looked_up

ASKED = [
    {"key": n, "prompt": f"Say {word}.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    for n, word in enumerate(WORDS[:4])
]
SENTENCES = {
    "instruction_id_list": ["length_constraints:number_sentences"],
    "kwargs": [{"num_sentences": 2, "relation": "at least"}],
}


def folder_of(path: Path, dataset: str, rows: list[dict[str, Any]], split: str = "train") -> Path:
    """A dataset's folder below `path`, as the hub lays it out."""
    place = path / dataset
    place.mkdir(parents=True)
    (place / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def with_punkt(path: Path) -> Path:
    """nltk's `punkt_tab` with nothing learned: every full stop ends a sentence."""
    place = path / "nltk_data" / "tokenizers" / "punkt_tab" / "english"
    place.mkdir(parents=True)
    for name in ("collocations.tab", "sent_starters.txt", "abbrev_types.txt", "ortho_context.tab"):
        (place / name).write_text("")
    return path


def prepared(**settings: Any) -> LmBenchmark:
    return prepare_lm_benchmark(Benchmark(**settings), TaskLibrary(Path()))


def shipped(name: str) -> TaskNeeds:
    return task_needs(shipped_names().paths[name])


def test_needs_are_read_from_the_files_of_a_task() -> None:
    assert shipped("ifeval").packages >= IFEVAL  # its module imports another, which imports these
    assert shipped("ifeval").punkt and shipped("ifeval").datasets == ("google/IFEval",)
    assert shipped("humaneval").runs_code and not shipped("humaneval").punkt
    plain = [shipped(name) for name in ("hellaswag", "truthfulqa_mc2", "winogrande")]
    plain.append(task_needs(shipped_names().paths["hellaswag"].parents[1] / "mmlu/default/mmlu_virology.yaml"))
    assert [(one.runs_code, one.missing) for one in plain] == [(False, ())] * 4
    assert [one.datasets[0] for one in plain] == [
        *("Rowan/hellaswag", "truthfulqa/truthful_qa", "allenai/winogrande", "cais/mmlu")
    ]


def test_a_package_that_is_missing_is_named_with_what_brings_it() -> None:
    needs = TaskNeeds(frozenset({"json", "perdure_has_no_such", "nor_this"}), punkt=False, runs_code=False)
    assert missing_packages("mine", needs) == (
        "benchmark 'mine' needs 'nor_this' and 'perdure_has_no_such', not installed: pip install nor_this "
        "perdure_has_no_such"
    )


def test_validate_tells_what_a_benchmark_lacks(tmp_path: Path) -> None:
    (fault,) = looked_up(tmp_path, benchmarks=[{"tasks": "humaneval"}])
    assert fault.startswith("benchmarks[0].tasks: benchmark 'humaneval' executes code that the model writes")
    (tmp_path / "data").mkdir()
    (fault,) = looked_up(tmp_path, benchmarks=[{"tasks": "winogrande", "data_path": "./data"}])
    assert "has no folder 'allenai/winogrande', the dataset that the task reads: hf download" in fault
    folder_of(tmp_path / "data", "google/IFEval", ASKED)
    (fault,) = looked_up(tmp_path, benchmarks=[{"tasks": "ifeval", "data_path": "./data"}])
    assert "splits sentences with nltk's tokenizers/punkt_tab, which is in neither" in fault
    (tmp_path / "code.py").write_text("import perdure_has_no_such\n")
    (tmp_path / "odd.yaml").write_text("task: odd\nprocess_results: !function code.process\n")
    (fault,) = looked_up(tmp_path, benchmarks=[{"tasks": "odd", "include_path": "."}])
    assert "needs 'perdure_has_no_such', not installed: pip install perdure_has_no_such" in fault


def test_a_dataset_comes_from_a_folder(tmp_path: Path) -> None:
    rows = [
        {"sentence": f"The {word} met the _.", "option1": word, "option2": "cow", "answer": "2", "qID": word}
        for word in WORDS
    ]
    folder_of(tmp_path, "allenai/winogrande", rows, "validation")
    with pytest.raises(DataError, match=r"data_path .* has no folder 'Rowan/hellaswag'"):
        prepared(tasks="hellaswag", data_path=str(tmp_path))
    (tmp_path / "allenai/winogrande/README.md").write_text(
        "---\nconfigs:\n- config_name: winogrande_xl\n  data_files:\n  - split: validation\n"
        "    path: validation.jsonl\n  - split: train\n    path: validation.jsonl\n---\n"
    )
    (task,) = prepared(tasks="winogrande", data_path=str(tmp_path)).tasks
    assert [row["option1"] for row in task.eval_docs] == list(WORDS)


def test_ifeval_needs_nothing_but_its_folder(tmp_path: Path) -> None:
    for package in sorted(IFEVAL):
        pytest.importorskip(package, reason="the extra `ifeval` brings it")
    folder_of(tmp_path, "google/IFEval", [*ASKED, {**ASKED[0], "key": 9, "prompt": "Say two.", **SENTENCES}])
    found = prepared(tasks="ifeval", data_path=str(with_punkt(tmp_path)))
    assert (found.metric, len(found.tasks)) == ("prompt_level_strict_acc", 1)
    task = found.tasks[0]
    scores = [
        task.process_results(row, [said])["prompt_level_strict_acc"]
        for row, said in zip(task.eval_docs, ["ant", "a bee, two", "cat", "dog", "One. Two."], strict=True)
    ]
    assert scores == [True, False, True, True, True]  # no comma, but for the second; two sentences


def test_without_its_packages_ifeval_is_refused_in_one_line() -> None:
    if not shipped("ifeval").missing:
        pytest.skip("the extra `ifeval` is installed")
    with pytest.raises(ConfigError, match=r"needs .*'langdetect'.*: pip install 'perdure\[ifeval\]'$"):
        prepared(tasks="ifeval")
