"""Figures of the version before methods composed: a recipe must come to what the method of its name came to.

`python -m tests.bench.unmoved` compares 67 runs to the last bit on one machine. Bits differ between processors, so here
a few runs of the vision world are compared to five digits: the KL at the end of each stage of `stream-rules`, twelve
steps a stage. Runs that sample from the policy are left out, since a draw may flip on another processor.
"""

from hashlib import sha256
from inspect import getsource
from pathlib import Path
from typing import Any

import pytest

from perdure.agent.loop import run_curriculum
from perdure.agent.run.journal import read_journal
from perdure.agent.run.state import read_state
from perdure.agent.setup import start
from perdure.curriculum.file.reader import read_curriculum
from perdure.eval.shipped.local_data import load
from tests.agent.scalar_run import Onlooker
from tests.bench.unmoved import cells

KL: dict[str, list[float]] = {
    "vision/sft": [0.12931, 0.121229, 0.246823, 0.544279],
    "vision/eaft": [0.126898, 0.122977, 0.253169, 0.570089],
    "vision/sft_kl": [0.126866, 0.114461, 0.234209, 0.495288],
    "vision/low_lr_sft": [0.00149259, 0.0023075, 0.00527649, 0.0132908],
    "vision/replay": [0.12931, 0.130638, 0.248768, 0.536759],
    "vision/ewc": [0.118849, 0.109774, 0.234724, 0.510884],
    "vision/l2": [0.127953, 0.120506, 0.246338, 0.541827],
    "vision/lora": [0.000218255, 0.000379379, 0.000599029, 0.00125651],
}


@pytest.mark.parametrize("name", KL)
def test_a_recipe_comes_to_what_it_came_to(name: str, tmp_path: Path) -> None:
    cell = next(one for one in cells() if one.name == name)
    fewer: list[Any] = ["benchmarks=[]", *(f"stages.{number}.task.heldout=2" for number in range(4))]
    curriculum = read_curriculum(cell.curriculum, [*cell.settings, *fewer]).curriculum
    run_curriculum(start(curriculum, tmp_path / "run", Onlooker()))
    rows = read_state(read_journal(tmp_path / "run" / "journal.jsonl")).rows
    assert [row.readings[-1].kl.value for row in rows[1:]] == pytest.approx(KL[name], rel=1e-4)


def test_the_loader_of_shipped_benchmarks_reads_as_it_read() -> None:
    """Its source is part of their fingerprints: with another, no run that was begun before could go on."""
    assert (
        sha256(getsource(load).encode()).hexdigest()
        == "c67de327f9155d327a87b5869613e14a7495f04a68195568ea5eb5eaad881dc9"
    )
