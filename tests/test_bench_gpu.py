"""The GPU's script refuses where there is none, keeps to its time, and its parts run on a CPU."""

import json
from pathlib import Path

import pytest
import torch

from tests.bench.gpu.__main__ import main, page
from tests.bench.gpu.parts import PARTS
from tests.bench.gpu.setting import Setting


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about machines without a GPU")
def test_it_says_that_there_is_no_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 1
    assert capsys.readouterr().out.startswith("no GPU here: torch ")


def test_a_part_for_which_no_time_is_left_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "build" / "gpu.md"
    assert main(["--device", "cpu", "--small", "--minutes", "0.05", "--to", str(file), "reading", "demo"]) == 0
    assert capsys.readouterr().out.count("not run: the 0.05 minutes are over") == 2
    assert "| reading | reading | not run: the 0.05 minutes are over |" in file.read_text()
    assert file.read_text().startswith("Measured on: CPU; ")


def test_an_unknown_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["speed"])
    assert "no part 'speed'; there are: training, reading" in capsys.readouterr().err


def test_a_reading_is_measured_on_a_cpu(tmp_path: Path) -> None:
    lines = PARTS["reading"](Setting("cpu", True, tmp_path))
    figures = dict(lines)
    assert figures["the base's KL to itself"] == "0 nats/token"
    assert figures["a reading of 4 × 8 tokens"].endswith(" s")
    assert "| reading | the base's KL to itself | 0 nats/token |" in page("here", {"reading": lines})
    assert json.loads(json.dumps(lines)) == [list(line) for line in lines]
