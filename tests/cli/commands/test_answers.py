"""`perdure answers`: what was lost and gained, and nothing that a model says reaches the terminal as it is."""

import json
from pathlib import Path
from typing import Any

import pytest

from perdure.agent.run.answers import run_answers
from perdure.agent.run.find import read_run
from perdure.budget.errors import RunError
from perdure.cli.commands.answers import answers_command
from perdure.eval.scorefile import ItemResult, make_score, write_scores
from tests.cli.journals import whole_run, write_run

HOSTILE = "\x1b[31mred</script><img src=x onerror=alert(1)>\nsecond \u202eline"


def texts(number: int, answer: str) -> dict[str, Any]:
    return {"prompt": f"say {number}", "expected": str(number), "completion": answer}


def answered(folder: Path) -> Path:
    """`even` has four items: one stays right, one is lost, one is gained, one has no score; and its hostile answers."""
    run = write_run(folder, whole_run())
    for file, scores in (("0-even", (1, 1, 0, None)), ("3-even", (1, 0, 0.5, 1))):
        answer = "right" if file == "0-even" else HOSTILE
        items = [ItemResult(f"{n}:x", score, texts(n, answer)) for n, score in enumerate(scores)]
        write_scores(run / f"scores/{file}.jsonl", make_score("even", "task", items), {}, items)
    return run


def printed(run: Path, capsys: pytest.CaptureFixture[str], **options: Any) -> str:
    usual: dict[str, Any] = {"task": "even", "stage": None, "limit": 10, "changed": False, "json": False}
    answers_command(run, **usual | options)
    return capsys.readouterr().out


def test_what_was_lost_comes_first_and_is_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(answered(tmp_path / "r"), capsys)
    assert text.startswith(
        "even after stage 3 (chain): of 4 items 1 lost, 1 gained, 1 as before, 1 without a score\n"
        "  lost      score 1 -> 0\n"
        "    prompt    say 1\n"
        "    expected  1\n"
        "    base      right\n"
        "    stage 3   \\x1b[31mred</script><img src=x onerror=alert(1)>\n"
        "              second \\u202eline\n"
        "  gained    score 0 -> 0.500\n"
    )
    assert [line.split()[0] for line in text.splitlines() if "score " in line and line.startswith("  ")] == [
        *("lost", "gained", "same", "unscored"),
    ]


def test_changed_items_alone_and_no_more_than_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = answered(tmp_path / "r")
    assert printed(run, capsys, changed=True).count("-> ") == 2
    assert "1 more; see them with --limit 2" in printed(run, capsys, changed=True, limit=1)
    assert printed(run, capsys, stage=0).count("    stage") == 0


def test_json_has_every_text_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(printed(answered(tmp_path / "r"), capsys, json=True))
    (column,) = found["columns"]
    assert (found["stage"], column["lost"], column["gained"], column["same"], column["unscored"]) == (3, 1, 1, 1, 1)
    assert column["items"][0] == {
        **{"id": "1:x", "prompt": "say 1", "expected": "1", "base": "right", "answer": HOSTILE},
        **{"base_score": 1.0, "score": 0.0, "outcome": "lost"},
    }


def test_a_damaged_file_costs_its_own_column(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = answered(tmp_path / "r")
    (run / "scores/3-even.jsonl").write_text("{}\n")
    text = printed(run, capsys, task=None, limit=1)
    assert "3-even.jsonl is missing or damaged; its answers cannot be shown" in text
    assert "sort after stage 3 (chain): of 100 items 0 lost, 29 gained, 71 as before" in text  # 0.45 and 0.74
    assert "(this file of an older version does not hold it)" in text


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"task": "evn"}, "--task evn: the run has even, sort, chain, arith, copy; did you mean 'even'"),
        ({"stage": 7}, "--stage 7: no such stage is scored; scored are 0, 1, 2, 3"),
    ],
)
def test_what_the_run_has_not_is_refused(tmp_path: Path, settings: dict[str, Any], fault: str) -> None:
    record, _ = read_run(write_run(tmp_path / "r", whole_run()))
    with pytest.raises(RunError, match=fault):
        run_answers(record, tmp_path / "r", **settings)


def test_a_run_that_is_not_scored_says_so(tmp_path: Path) -> None:
    record, _ = read_run(write_run(tmp_path / "r", whole_run()[:1]))
    with pytest.raises(RunError, match="nothing of demo is scored yet"):
        run_answers(record, tmp_path / "r")
