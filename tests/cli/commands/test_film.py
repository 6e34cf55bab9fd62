"""`perdure film`: an episode before and after a stage, as a GIF."""

import json
import os
import re
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFont

from perdure.agent.film.film import Wanted, film
from perdure.agent.film.montage import GAP, SIZE, fitted, frames_of
from perdure.agent.loop import run_curriculum
from perdure.agent.run.log import NullView
from perdure.agent.setup import start
from perdure.budget.errors import ConfigError, RunError
from perdure.cli.commands.film import film_command
from perdure.cli.commands.report import report_command
from perdure.curriculum.schema import Curriculum
from tests.control_runs import curriculum, point

LEFT = point(kwargs={"goal": "left"}, heldout=6)
UP = point(kwargs={"goal": "up"}, heldout=6)
LEARN = {"learning_rate": 1e-2, "max_steps": 60}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose base goes left and whose stage learns to go up."""
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("film") / "run"
    kept = [{"type": "task", "name": "left", "task": LEFT}]
    run_curriculum(start(curriculum([UP], max_steps=60, train=LEARN, benchmarks=kept), path, NullView()))
    return path


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Path]:
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)


def test_a_gif_has_a_frame_a_decision_and_two_halves_that_part(run: Path, here: Path) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    film_command(run, None, None, None, None, 10.0)
    (path,) = here.iterdir()
    found = film(run, Wanted(), NullView())
    assert path.name == f"run-1-stage1-{found.start}.gif"
    assert found.prompt.startswith("tests.point_world:Point-v0, seed ")
    clips = (found.before, found.after)
    assert found.before.captions[0] == "start"
    assert found.before.captions[-1] != found.after.captions[-1]  # the first start that went otherwise
    with Image.open(path) as gif:
        assert gif.format == "GIF"
        assert gif.n_frames == max(len(clip.pictures) for clip in clips)  # type: ignore[attr-defined]
        frames = [_read(gif, index) for index in range(gif.n_frames)]  # type: ignore[attr-defined]
    first, last = (_halves(frame) for frame in (frames[0], frames[-1]))
    assert np.array_equal(*first) and not np.array_equal(*last)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_report_shows_the_film(run: Path, here: Path) -> None:
    report_command(run, here / "page.html", film=True)
    page = (here / "page.html").read_text()
    (address,) = re.findall(r'<img class="film" src="data:image/gif;base64,([A-Za-z0-9+/=]+)" alt="([^"]+)">', page)
    found = film(run, Wanted(), NullView())
    assert address[1] == found.title
    assert all(line in page for line in found.lines)
    with Image.open(BytesIO(b64decode(address[0]))) as gif:
        assert gif.n_frames == len(frames_of(found))  # type: ignore[attr-defined]
    report_command(run, here / "page.html")
    assert "<img" not in (here / "page.html").read_text()


def _read(gif: Any, index: int) -> np.ndarray:
    gif.seek(index)
    return np.asarray(gif.convert("RGB"))


def _halves(frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pictures, without captions: of 64 pixels, four times as large."""
    size = 4 * 64
    return tuple(frame[-size - GAP : -GAP, left : left + size] for left in (GAP, 2 * GAP + size))  # type: ignore[return-value]


def test_the_end_is_the_one_that_was_scored(run: Path) -> None:
    for number in range(6):
        found = film(run, Wanted(task="left", start=number), NullView())
        for clip, stage in ((found.before, "00-base"), (found.after, "01-stage1")):
            lines = (run / "scores" / f"{stage}.left.jsonl").read_text().splitlines()
            item = next(one for one in map(json.loads, lines) if str(one.get("id", "")).startswith(f"{number}:"))
            said = json.loads(item["completion"])
            assert clip.captions[-1] == f"decision {said['decisions']}: {'success' if item['score'] else 'failed'}"
            assert len(clip.pictures) == said["decisions"] + 1
        assert clip.pictures[0].shape == (64, 64, 3)
        assert np.array_equal(found.before.pictures[0], found.after.pictures[0])


def test_captions_are_cut_and_sides_are_even(run: Path) -> None:
    found = film(run, Wanted(), NullView())
    assert all(side % 2 == 0 for frame in frames_of(found) for side in frame.size)
    font = ImageFont.load_default(SIZE)
    assert fitted("decision 3", font, 200) == "decision 3"
    short = fitted("decision 3" * 20, font, 200)
    assert short.startswith("decision 3") and short.endswith("...") and font.getlength(short) <= 200


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"stage": 2}, "--stage 2: .*run has the stages 1 to 1 done"),
        ({"task": "lefd"}, "--task 'lefd': the run has no task or benchmark of that name; did you mean 'left'?"),
        ({"task": "left", "start": 6}, "--start 6: 'left' has 6 held-out starts, from 0 on"),
        ({"output": "film.avi"}, "--output film.avi: a film is a .gif or an .mp4"),
        ({"output": "nowhere/film.gif"}, "--output nowhere/film.gif: its folder does not exist"),
        ({"fps": 0.0}, "--fps 0: frames a second, above 0 and at most 60"),
    ],
)
def test_what_is_not_there(run: Path, here: Path, asked: dict[str, Any], message: str) -> None:
    output = Path(asked["output"]) if "output" in asked else None
    with pytest.raises(ConfigError, match=message):
        film_command(run, asked.get("stage"), asked.get("task"), asked.get("start"), output, asked.get("fps", 5.0))
    assert not list(here.iterdir())


def test_an_environment_that_draws_nothing(tmp_path: Path) -> None:
    blind = point(id="tests.faulty_world:Faulty-v0", kwargs={"fault": "draw"}, horizon=2, demonstrations=None)
    path = tmp_path / "run"
    run_curriculum(start(curriculum([blind], method="rl", max_steps=1), path, NullView()))
    with pytest.raises(ConfigError, match="Faulty-v0 cannot be drawn here: OSError: no display"):
        film_command(path, None, None, None, tmp_path / "film.gif", 5.0)
    assert not list(tmp_path.glob("film*"))


def test_a_run_of_another_world_or_without_a_stage(run: Path, tmp_path: Path) -> None:
    begun = (run / "journal.jsonl").read_text().splitlines()[:3]
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "journal.jsonl").write_text("\n".join(begun) + "\n")
    (tmp_path / "new" / "run.json").write_bytes((run / "run.json").read_bytes())
    with pytest.raises(RunError, match="no stage is done yet, so that there is only the base to film"):
        film(tmp_path / "new", Wanted(), NullView())


def test_another_base_than_the_runs_is_refused(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    subprocess.run(["cp", "-r", str(run), str(copy)], check=True)
    described = json.loads((copy / "run.json").read_text())
    described["curriculum"]["model"]["pretrain"]["max_steps"] = 3
    (copy / "run.json").write_text(json.dumps(described))
    with pytest.raises(RunError, match=r"cannot be filmed, since these are not what it began with:\n  base: was '"):
        film(copy, Wanted(), NullView())


def test_help_needs_nothing_heavy() -> None:
    code = (
        "import sys, perdure.cli.commands.film; print([one for one in ('torch', 'PIL', 'numpy') if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_run_of_a_world_without_films(run: Path, tmp_path: Path) -> None:
    images = {"type": "images", "images": "digits", "rule": "parity"}
    other = {"model": {"type": "mlp"}, "stages": [{"name": "parity", "task": images}]}
    kept = {"budget": {"kl": 1.0}, "strategy": {"type": "fixed", "method": "sft"}}
    described = json.loads((run / "run.json").read_text())
    described["curriculum"] = Curriculum.model_validate(other | kept).model_dump(mode="json")
    (tmp_path / "run.json").write_text(json.dumps(described))
    with pytest.raises(RunError, match="is a run of the vision world, which has no episodes to film"):
        film(tmp_path, Wanted(), NullView())
