"""The notebook in `examples/` runs from its first cell to its last, and shows what its text speaks of."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

import perdure
from tests.notebook import execute

NOTEBOOK = Path(__file__).parents[3] / "examples/first_run.ipynb"
pytestmark = pytest.mark.xdist_group("trl")


def shown(outputs: list[dict[str, Any]], kind: str) -> str:
    """The one output of a kind of a cell."""
    (found,) = [one["data"][kind] for one in outputs if kind in one.get("data", {})]
    return str(found)


def test_the_notebook_runs_and_shows_its_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    notebook = json.loads(NOTEBOOK.read_text())
    _, run, table, changed, metrics, curves, counts, answers, policy = execute(notebook)

    assert "stage 2 of 2, larger: done, KL " in run[0]["text"][-2]
    assert len(re.findall("<tr", shown(table, "text/html"))) == 2 + 3, "the base and two stages below the head"
    frame = perdure.open_run("notebook").scores()
    after = frame[frame.stage == 2].set_index("name")
    assert after.value["even"] > frame[frame.stage == 0].set_index("name").value["even"], "it learned something"
    assert str(round(after.p_value["even"], 3)) in shown(changed, "text/plain")
    assert str(after.value[["even", "larger"]].mean())[:6] in shown(metrics, "text/plain")
    assert len(shown(curves, "image/png")) > 5000
    items = perdure.open_run("notebook").answers()
    assert len(items) == 4 * 30 and re.search(r"even +\d+ +\d+ +\d+", shown(counts, "text/plain"))
    assert "Say" in shown(answers, "text/html") and shown(policy, "text/plain") == repr(
        [[answer] for answer in items[items.name == "larger"].answer.head(3)]
    ), "the policy answers as it was scored"

    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [len(cell["outputs"]) for cell in cells] == [0, 1, 1, 1, 1, 1, 1, 1, 1], (
        "python -m tests.notebook writes them"
    )
