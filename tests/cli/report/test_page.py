"""The page of a run: one file, nothing in it is executed, and a real browser shows it."""

import json
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from perdure.agent.run.steps import FIGURES
from perdure.budget.errors import RunError
from perdure.cli.commands.report import report_command
from perdure.cli.report.page import run_page
from perdure.eval.scorefile import ItemResult, make_score, write_scores
from tests.cli.journals import long_run, whole_run, write_run, write_steps

HOSTILE = "</script></pre><img src=x onerror=\"document.title='taken over'\">\x1b[31m\u202e{{ 7 * 7 }}"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def details(number: int, text: str) -> dict[str, Any]:
    return {"prompt": f"say {number} {text}", "expected": text, "completion": text}


def hostile_run(folder: Path) -> Path:
    """`whole_run` with hostile texts in the journal, in its curriculum and in what was answered to `even`."""
    events = whole_run()
    events[0] |= {"curriculum": {"model": HOSTILE, "seed": 3}, "versions": {"torch": HOSTILE}, "base_id": "b" * 64}
    for event in events:
        if event["event"] == "decision":
            event |= {"reason": HOSTILE, "candidates": [{"method": "sft", "figures": {"value": 0.25}}]}
    run = write_run(folder, events)
    for stage, right in ((0, 21), (3, 68)):
        items = [ItemResult(str(n), float(n < right), details(n, HOSTILE)) for n in range(100)]
        write_scores(run / f"scores/{stage}-even.jsonl", make_score("even", "task", items), {}, items)
    return run


class Elements(HTMLParser):
    """The names of all elements, and addresses that a browser would fetch."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def test_what_a_model_says_is_text_and_nothing_is_fetched(tmp_path: Path) -> None:
    page = run_page(hostile_run(tmp_path / "r"))
    found = Elements(page)
    assert not found.names & {"script", "img", "iframe", "link", "object"}
    assert found.handlers == []
    assert all(address.startswith("#") for address in found.addresses)
    assert "&lt;/script&gt;&lt;/pre&gt;&lt;img src=x onerror=" in page
    assert "\\x1b[31m\\u202e{{ 7 * 7 }}" in page
    assert "\x1b" not in page


def test_the_page_has_all_of_a_run(tmp_path: Path) -> None:
    run = hostile_run(tmp_path / "r")
    write_steps(run, 1, [{"loss": 2.0}, {"loss": 1.0}])
    page = run_page(run)
    for heading in ("Retention", "KL against the cap", "New accuracy against retention", "Training",
                    "Decisions", "Answers before and after", "Curriculum", "Versions"):  # fmt: skip
        assert f"<h2>{heading}</h2>" in page
    assert '<small class="marked">+51▲</small>' in page
    assert "rolled back to step 40: KL 0.610 above the cap 0.5 nats a token" in page
    assert "even: 0 lost, 47 gained of 100 items" in page  # 21 right, then 68
    assert page.count('<div class="item gained">') >= 20
    assert "<code>stages/03-chain/policy</code>" in page
    assert "finished: 3 of 3 stages are done" in page
    assert "seed: 3" in page
    assert "value 0.250" in page


@pytest.mark.parametrize("count", [1, 2, 7, 9, 20])
def test_an_unfinished_run_says_so(tmp_path: Path, count: int) -> None:
    page = run_page(write_run(tmp_path / "r", whole_run()[:count]))
    assert "stages are done, and it is not running. This page shows the run so far." in page


def test_a_damaged_score_file_is_named_and_nothing_is_lost(tmp_path: Path) -> None:
    run = hostile_run(tmp_path / "r")
    (run / "scores/3-sort.jsonl").write_text("half a li")
    write_steps(run, 1, [{"loss": 2.0}]).write_bytes(b"half a ta")
    before = sorted(path.name for path in run.rglob("*"))
    page = run_page(run)
    assert page.count("steps.parquet is not what was written (its SHA-256 differs). Put it back from a copy;") == 1
    assert page.count("3-sort.jsonl is missing or damaged; its answers cannot be shown. All other figures") == 1
    assert "even: 0 lost, 47 gained of 100 items" in page
    assert sorted(path.name for path in run.rglob("*")) == before


def test_a_long_run_is_below_five_megabytes(tmp_path: Path) -> None:
    events = long_run(12, 10)
    run = write_run(tmp_path / "r", [])
    (run / "journal.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    for event in events:
        if event["event"] == "score":
            texts = details(0, "a long answer with & and < " * 40)  # longer than a page shows
            items = [ItemResult(str(n), float(n < round(event["value"] * 24)), texts) for n in range(24)]
            write_scores(run / event["file"], make_score(event["name"], event["kind"], items), {}, items)
    values = np.random.default_rng(0).random((12, 1000, len(FIGURES)))
    for stage, rows in enumerate(values.tolist(), 1):
        write_steps(run, stage, [dict(zip(FIGURES, row, strict=True)) for row in rows], before=1000 * (stage - 1))
    page = run_page(run)
    assert len(page.encode()) < 5_000_000
    assert "Of each 20 optimiser steps the least and the greatest value are drawn; nothing is smoothed." in page


def test_the_file_is_written_whole_or_the_place_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "r", whole_run())
    report_command(run, None)
    assert capsys.readouterr().out == f"report: {run}/report.html\n"
    assert (run / "report.html").read_text().startswith("<!DOCTYPE html>")
    with pytest.raises(RunError, match=r"cannot be written: .*; choose another place with --output"):
        report_command(run, tmp_path / "nowhere" / "report.html")
    with pytest.raises(RunError, match="has written nothing yet"):
        report_command(write_run(tmp_path / "empty", []), None)


@pytest.mark.skipif(BROWSER is None, reason="no chromium or chrome on this machine, to open the page in")
def test_a_browser_shows_the_page_and_executes_nothing(tmp_path: Path) -> None:
    report_command(hostile_run(tmp_path / "r"), tmp_path / "report.html")
    address, picture = (tmp_path / "report.html").as_uri(), tmp_path / "page.png"
    assert BROWSER is not None
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={tmp_path}/user"]
    command = [BROWSER, *options, "--window-size=1100,1600", f"--screenshot={picture}", "--dump-dom", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "<title>demo: perdure report</title>" in done.stdout  # not what the hostile answer would make of it
    seen = imread(picture)
    assert seen.shape[:2] == (1600, 1100)
    assert len(np.unique(seen.reshape(-1, seen.shape[-1]), axis=0)) > 100  # texts, a heat map and a plot
