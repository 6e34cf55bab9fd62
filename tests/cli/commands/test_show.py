import io
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from perdure.agent.run.find import read_run
from perdure.agent.run.lock import is_held
from perdure.agent.run.report import metric_estimates
from perdure.budget.errors import RunError
from perdure.cli.commands.show import show_command
from perdure.cli.console import print_lines, symbols_and_width
from perdure.cli.views.run_report import run_report
from perdure.cli.views.state import State, with_events
from perdure.cli.views.svg import main as picture
from perdure.cli.views.symbols import UNICODE
from perdure.cli.views.wrapped import hanging
from tests.cli.drawn import seen
from tests.cli.journals import Line, estimate, long_run, progress, whole_run, write_run

HEAVY = ("torch", "transformers", "trl", "datasets", "lm_eval", "scipy", "reasoning_gym")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "demo", whole_run())


def shown(run: Path, capsys: pytest.CaptureFixture[str], *, as_json: bool = False) -> str:
    show_command(run, as_json)
    return capsys.readouterr().out


def strictly(text: str) -> object:
    def refuse(name: str) -> object:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_piped_text_is_plain_and_whole(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(run, capsys)
    assert text.isascii()
    assert "\x1b" not in text
    lines = [line.split() for line in text.splitlines()]
    assert ["1", "even", "rl", "0.213", "72", "+51*", "46", "+1", "0", "0", "|", "86", "-2", "97", "0"] in lines
    assert "  method    rl: pass@8 0.62, 100 % of the budget left" in text
    assert "  evidence  pass@8 0.620 +/- 0.050, demonstrations yes, budget left 1.000" in text
    # 0.26 nats a token and 20 tokens a sequence.
    assert "  KL        0.260 +/- 0.010 of 0.500 nats/token; 5.200 +/- 0.200 nats/sequence" in text
    assert "  readings  start 0.100, 20: 0.180, 40: 0.260, 60: 0.610 above the cap, end (step 40) 0.260" in text
    assert "  monitor   rolled back to step 40: KL 0.610 above the cap 0.5 nats a token" in text
    assert "  monitor   broken, rolled back to step 40: the loss became nan at step 57" in text
    assert f"  weights   {'3' * 64}" in text
    assert "  took      0:41, 60 steps" in text
    # (0.68 + 0.74 + 0.55) / 3
    assert "average accuracy   65.7 % [" in text
    assert text.splitlines()[-1] == f"policy: {run}/stages/03-chain/policy"
    assert not any(line.endswith(" ") for line in text.splitlines())


def test_json_is_one_strict_object(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = strictly(shown(run, capsys, as_json=True))
    assert isinstance(whole, dict)
    assert [row["method"] for row in whole["rows"]] == [None, "rl", "sft", "chord"]
    assert whole["rows"][2]["kl_per_token"] == 0.26
    assert whole["rows"][2]["scores"]["sort"]["value"] == 0.81
    assert whole["weights_sha256"] == "3" * 64
    assert whole["status"] == "finished"


def test_no_figure_becomes_null(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = [*whole_run()[:1], {"event": "score", "time": 1.0, "stage": 0, "name": "even", "kind": "task"}]
    events[1] |= {"value": float("nan"), "stderr": None, "n": 0, "file": "none"}
    run = write_run(tmp_path / "demo", [events[0]])
    with (run / "journal.jsonl").open("a") as file:
        file.write(json.dumps(events[1]) + "\n")
    whole = strictly(shown(run, capsys, as_json=True))
    assert isinstance(whole, dict)
    assert whole["rows"][0]["scores"]["even"]["value"] is None


def test_every_column_on_a_narrow_terminal(tmp_path: Path) -> None:
    state = seen(long_run(9))
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=60, color_system=None, highlight=False)
    print_lines(run_report(state, {}, *symbols_and_width(console)), console)
    rows = [line for line in file.getvalue().splitlines() if line.startswith(" 0 base")]
    # 15 columns, each with the base's figure: a row of a block is stage, name, method, KL and its figures.
    assert sum(len(row.replace("│", " ").split()) - 4 for row in rows) == 15
    assert len(rows) > 1
    assert all(len(row) <= 60 for row in rows)


def test_what_is_wider_than_the_terminal_goes_on_below_its_beginning() -> None:
    # 14 cells are left beside a label of six, but a sentence has 20 at least
    words = "nothing of it is ever lost, and 40: 0.260 stays"
    assert [line.plain for line in hanging("  why ", words, 20)] == [
        *("  why nothing of it is", "      ever lost, and 40:", "      0.260 stays"),
    ]
    assert [line.plain for line in hanging("  why ", words, 32, listed=True)] == [
        *("  why nothing of it is ever lost,", "      and 40: 0.260 stays"),
    ]
    assert [line.plain for line in hanging("  why ", "x" * 40, 30)] == ["  why " + "x" * 40]


def test_a_page_at_80_columns_has_no_line_that_the_terminal_must_break(run: Path) -> None:
    record, events = read_run(run)
    state = with_events(State(), events, run)
    narrow, wide = (run_report(state, metric_estimates(record, run), UNICODE, width) for width in (80, 400))
    assert all(line.cell_len <= 80 for line in narrow)
    # nothing of the stages' facts is lost: the same words in the same order
    assert _facts(narrow) == _facts(wide)
    assert "            end (step 40) 0.260" in [line.plain for line in narrow]


def _facts(lines: Sequence[Text]) -> list[str]:
    texts = [line.plain for line in lines]
    return " ".join(texts[texts.index("base") :]).split()


def test_every_prefix_can_be_shown(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (run / "journal.jsonl").read_text().splitlines(keepends=True)
    for count in (0, 1, 2, *range(3, len(lines), 5)):
        (run / "journal.jsonl").write_text("".join(lines[:count]))
        strictly(shown(run, capsys, as_json=True))
        assert shown(run, capsys)


def test_a_run_that_nobody_runs_is_not_running(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "demo", whole_run()[:20])
    assert shown(run, capsys).startswith("demo - 1 of 3 stages - not running - ")


def test_evidence_of_any_shape_is_one_line() -> None:
    evidence = {"pass_at_k": 0.5, "k": 8, "more": {"a": [1, None]}, "rate": estimate(0.5, None, 1), "evil": "\x1b[2J\n"}
    events: list[Line] = whole_run()[:7]
    events.append(next(e for e in whole_run() if e["event"] == "decision") | {"evidence": evidence})
    lines = [line.plain for line in run_report(seen(events), {}, UNICODE, 200)]
    assert "  evidence  pass at k 0.500, k 8, more {a [1, None]}, rate n/a (n=1), evil \\x1b[2J\\n" in lines


@pytest.mark.parametrize(
    ("text", "fault"),
    [("{nonsense\n", "is damaged"), ('{"event": "commit"}\n', "not a journal"), ("[]\n", "not a journal")],
)
def test_a_damaged_journal_is_the_users_to_mend(tmp_path: Path, text: str, fault: str) -> None:
    run = write_run(tmp_path / "demo", [])
    (run / "journal.jsonl").write_text(text)
    with pytest.raises(RunError, match=fault):
        show_command(run, as_json=False)


def test_half_a_line_is_not_read(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = shown(run, capsys)
    with (run / "journal.jsonl").open("a") as file:
        file.write('{"event": "comm')
    assert shown(run, capsys) == before


def test_nobody_holds_a_run_without_a_lock(run: Path) -> None:
    assert not is_held(run)


def test_reader_may_leave_and_nothing_heavy_is_imported(tmp_path: Path) -> None:
    run = write_run(tmp_path / "long", [])
    (run / "journal.jsonl").write_text("".join(json.dumps(event) + "\n" for event in long_run(60)))
    code = (
        "import sys; from pathlib import Path; from perdure.cli.commands.show import show_command\n"
        f"show_command(Path({str(run)!r}), False); sys.stderr.write(str([m for m in {HEAVY!r} if m in sys.modules]))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"long - 60 of 60 stages")
        process.stdout.close()
        said = process.stderr.read().decode()
    assert (process.returncode, said) == (0, "[]")


def test_the_picture_is_the_same_twice(run: Path, tmp_path: Path) -> None:
    files = [tmp_path / "one.svg", tmp_path / "two.svg"]
    assert [picture([str(run), str(file)]) for file in files] == [0, 0]
    one, two = (file.read_text() for file in files)
    assert one == two
    assert "+51" in one
    assert "▲" in one
    assert "http://" not in one.replace("http://www.w3.org/2000/svg", "")
    assert "@font-face" not in one


def test_the_picture_of_a_run_that_goes_on_is_the_live_view(tmp_path: Path) -> None:
    lines = whole_run()
    second = next(number for number, line in enumerate(lines) if line["event"] == "decision" and line["stage"] == 2)
    run = write_run(tmp_path / "demo", lines[: second + 1])
    (run / "progress.json").write_text(json.dumps(progress(stage=2, name="sort", step=7, max_steps=60)))
    assert picture([str(run), str(tmp_path / "x.svg"), "2/7"]) == 0
    drawn = (tmp_path / "x.svg").read_text()
    assert "stage&#160;2&#160;of&#160;3" in drawn
    assert "7&#160;of&#160;60" in drawn


def test_a_moment_that_never_came_has_no_picture(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert picture([str(run), str(tmp_path / "x.svg"), "3/999"]) == 1
    assert "ended before step 999 of stage 3" in capsys.readouterr().err


def test_the_picture_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert picture([str(tmp_path / "nothing"), str(tmp_path / "x.svg")]) == 1
    assert "does not exist" in capsys.readouterr().err
    assert picture([]) == 2
    assert not (tmp_path / "x.svg").exists()
