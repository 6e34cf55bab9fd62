"""`perdure plan` and `run --strict` as a user meets them, in the vision world."""

import json
from pathlib import Path

import pytest

from perdure.cli.views.plan_report import format_bytes, format_span
from tests.forked import GROUP, perdure

pytestmark = GROUP

RUN = """\
model: {type: mlp, hidden_sizes: [16], pretrain: {images: 60, num_train_epochs: 2}}
budget: {kl: 0.01, num_prompts: 20, every: 4, target_accuracy: 0.99}
strategy: {type: fixed, method: sft}
train: {max_steps: 6}
stages:
  - {name: fives, task: {type: images, images: digits, rule: at_least_five, writer: two, train: 100, heldout: 20}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run.yaml").write_text(RUN)
    return tmp_path


def test_a_plan_is_a_table_and_writes_nothing(folder: Path) -> None:
    done = perdure(folder, "plan", "run.yaml", "--target-accuracy", "0.5")
    said = [line[9:] for line in done.stderr.splitlines()]
    assert (
        done.returncode == 0 and said[0] == "plan run.yaml: starting" and "trying sft on fives, 4 steps or 10 s" in said
    )
    lines = done.stdout.splitlines()
    assert lines[0] == ("run - 1 stage - at most 0.01 nats/image on images of the tasks seen - allocation greedy")
    assert lines[2].split() == [
        "stage",
        "base",
        "rate",
        "target",
        "floor",
        "95",
        "%",
        "need",
        "left",
        "fits",
        "conflicts",
    ]
    assert lines[3].split()[:2] == ["1", "fives"]
    assert any(line.split()[:3] == ["1", "fives", "sft"] for line in lines)
    assert any(line.startswith("  memory") for line in lines)
    assert any(line.startswith("conflicts: the share of the writer's labels that the base") for line in lines)
    assert lines[-1].startswith("what budget? --budget proposes one: it trains 16 steps of the first task, which takes")
    assert sorted(path.name for path in folder.iterdir()) == ["run.yaml"]


def test_a_quick_plan_has_costs_alone_and_refuses_to_price(folder: Path) -> None:
    done = perdure(folder, "plan", "run.yaml", "--quick")
    assert done.returncode == 0 and "base rate" not in done.stdout.split("not measured")[0]
    assert any(line.split()[:3] == ["1", "fives", "sft"] for line in done.stdout.splitlines())
    refused = perdure(folder, "plan", "run.yaml", "--quick", "--strict")
    assert refused.returncode == 1 and "--quick measures no base rates" in refused.stderr


def test_strict_ends_with_4_and_says_which_stage(folder: Path) -> None:
    done = perdure(folder, "plan", "run.yaml", "--strict", "--json", "--budget", "--steps", "4")
    assert done.returncode == 4
    found = json.loads(done.stdout)
    assert [one["step"] for one in found["proposed"]["points"]] == [1, 2, 4]
    assert found["proposed"]["proposal"]["kl"] >= found["stages"][0]["need"]  # what the target needs
    (stage,) = found["stages"]
    assert (stage["target"], stage["fits"], found["fits"]) == (0.99, False, False)
    assert stage["refusal"] in done.stderr and "Traceback" not in done.stderr


def test_a_strict_run_trains_nothing_and_stays_strict(folder: Path) -> None:
    done = perdure(folder, "run", "run.yaml", "--strict")
    assert done.returncode == 4
    assert "WARNING: stage 1 needs at least" in done.stdout
    assert "stage 1 needs at least" in done.stderr and "without --strict" in done.stderr
    assert not list((folder / "runs/run-1/stages").iterdir())
    shown = perdure(folder, "show", "runs/run-1").stdout
    assert shown.startswith("run-1 - 0 of 1 stages - refused - ") and "  Raise budget.kl or lower the target" in shown
    assert "  price     base rate" in shown and "  took      not begun" in shown
    journal = folder / "runs/run-1/journal.jsonl"
    before = journal.read_bytes()
    resumed = perdure(folder, "resume", "runs/run-1")
    assert (resumed.returncode, resumed.stderr) == (4, done.stderr)
    assert len(resumed.stdout.splitlines()) == 1, "the first line alone"
    assert journal.read_bytes() == before
    watched = perdure(folder, "watch", "runs/run-1").stdout.splitlines()[-1]
    assert watched[9:] == "refused, nothing was trained; see why with: perdure show runs/run-1"
    assert not list((folder / "runs/run-1/stages").iterdir())
    found = json.loads(perdure(folder, "show", "runs/run-1", "--json").stdout)
    assert found["status"] == "refused"
    assert [(price["stage"], price["fits"]) for price in found["prices"]] == [(1, False)]


def test_a_run_takes_the_target_that_a_plan_takes(folder: Path) -> None:
    done = perdure(folder, "run", "run.yaml", "--target-accuracy", "0.995", "--strict")
    assert done.returncode == 4 and "target 0.995" in done.stdout
    begun = json.loads((folder / "runs/run-1/run.json").read_text())["curriculum"]["budget"]
    assert begun["target_accuracy"] == 0.995
    done = perdure(folder, "run", "run.yaml", "--target-accuracy", "1.5")
    assert done.returncode == 1 and "--set budget.target_accuracy: " in done.stderr


@pytest.mark.parametrize("verb", ["run", "plan"])
def test_strict_about_nothing_is_refused_before_anything_is_loaded(folder: Path, verb: str) -> None:
    done = perdure(folder, verb, "run.yaml", "--strict", "--set", "budget.target_accuracy=null")
    assert done.returncode == 1
    assert "set budget.target_accuracy, or that of a stage" in done.stderr and "Traceback" not in done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["run.yaml"]


def test_a_bad_file_is_refused_before_anything_is_loaded(folder: Path) -> None:
    done = perdure(folder, "plan", "run.yaml", "--set", "budget.kl=0")
    assert (done.returncode, done.stdout) == (1, "")
    first, fault = done.stderr.splitlines()
    assert first.endswith(": starting")
    assert fault == "--set budget.kl: must be greater than 0; got 0"
    done = perdure(folder, "plan", "run.yaml", "--target-accuracy", "1.5")
    assert done.returncode == 1 and "budget.target_accuracy" in done.stderr


@pytest.mark.parametrize(
    ("count", "words"), [(None, "n/a"), (999, "999 B"), (13_800_000, "13.8 MB"), (2e12, "2.0 TB"), (2_500, "2.5 kB")]
)
def test_bytes(count: float | None, words: str) -> None:
    assert format_bytes(count) == words


def test_spans() -> None:
    assert format_span((130.2, 130.9)) == "2:10"
    assert format_span((130, 220)) == "2:10 to 3:40"
    assert format_span(None) == "n/a"
