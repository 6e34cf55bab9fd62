"""The shipped benchmarks load from anywhere, run offline on the built-in model, and can be written again."""

import json
from pathlib import Path

import pytest
from lm_eval import evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from perdure.agent.worlds.language.builtin_model.benchmarks import SHIPPED, write_benchmarks
from perdure.agent.worlds.language.builtin_model.scores import load
from perdure.curriculum.worlds.language.skills.skills import is_held_out

TINY = SHIPPED.parents[1] / "agent/worlds/language/builtin_model/tiny"
METRICS = {
    "perdure_spell": "exact_match,none",
    "perdure_letters": "exact_match,none",
    "perdure_largest": "acc,none",
    "perdure_calendar": "acc,none",
}


def test_the_files_are_what_the_command_writes(tmp_path: Path) -> None:
    write_benchmarks(tmp_path)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (SHIPPED / path.name).read_bytes()


@pytest.mark.parametrize("name", METRICS)
def test_questions_are_different_and_held_out_from_pretraining(name: str) -> None:
    rows = [json.loads(line) for line in (SHIPPED / f"{name}.jsonl").read_text().splitlines()]
    questions = {row["question"] for row in rows}
    assert len(questions) == len(rows) == 100
    assert all(is_held_out(question) for question in questions)


def test_the_built_in_model_scores_on_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the YAML must not depend on where one stands
    model, tokenizer = load(TINY)
    tasks = TaskManager(include_path=str(SHIPPED), include_defaults=False).load(list(METRICS))
    lm = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=100)
    results = evaluate(lm=lm, task_dict=tasks, apply_chat_template=True, bootstrap_iters=0)["results"]
    for name, metric in METRICS.items():
        assert results[name][metric] >= 0.85
