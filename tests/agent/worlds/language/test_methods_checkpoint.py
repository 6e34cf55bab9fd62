"""Checkpoints: whole or absent, exact, and without pickle."""

import errno
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from perdure.agent.worlds import stage_checkpoints
from perdure.agent.worlds.language.trl import checkpoint
from perdure.budget.errors import DiskFullError

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
TREES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.integers() | st.text() | st.tuples(st.integers()), inner)
    ),
)


@given(TREES)
def test_plain_form_is_json_and_comes_back_with_its_types(tree: Any) -> None:
    tensors: dict[str, torch.Tensor] = {}
    back = stage_checkpoints.from_plain(json.loads(json.dumps(stage_checkpoints.to_plain(tree, tensors))), tensors)
    assert repr(back) == repr(tree)  # repr tells a tuple from a list, 1 from 1.0 and from True


def test_tensors_are_kept_apart_and_other_things_refused() -> None:
    tensors: dict[str, torch.Tensor] = {}
    plain = stage_checkpoints.to_plain({0: {"exp_avg": torch.tensor([1.5])}}, tensors)
    assert tensors == {"0": torch.tensor([1.5])}
    assert stage_checkpoints.from_plain(plain, tensors)[0]["exp_avg"] is tensors["0"]
    with pytest.raises(TypeError, match="cannot hold a object"):
        stage_checkpoints.to_plain([object()], {})


def test_an_optimiser_comes_back_bit_for_bit() -> None:
    def step(weight: torch.nn.Parameter, optimizer: torch.optim.Optimizer) -> None:
        weight.grad = weight.detach() * 0.3 + 0.1
        optimizer.step()

    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = torch.optim.AdamW([weight], lr=0.1)
    step(weight, optimizer)
    tensors: dict[str, torch.Tensor] = {}
    text = json.dumps(stage_checkpoints.to_plain(optimizer.state_dict(), tensors))
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    copy = torch.nn.Parameter(weight.detach().clone())
    fresh = torch.optim.AdamW([copy], lr=9.0)
    fresh.load_state_dict(stage_checkpoints.from_plain(json.loads(text), tensors))
    step(weight, optimizer)
    step(copy, fresh)
    assert torch.equal(weight, copy)


def test_generators_go_on_where_they_were() -> None:
    def draw() -> tuple[float, float, float, float]:
        return random.random(), np.random.rand(), torch.rand(()).item(), random.gauss(0, 1)

    draw()
    np.random.randn()  # leaves a second normal waiting, which the state must hold too
    tensors: dict[str, torch.Tensor] = {}
    text = json.dumps(stage_checkpoints.to_plain(checkpoint.generator_states(), tensors))
    expected = (*draw(), np.random.randn())
    checkpoint.set_generator_states(stage_checkpoints.from_plain(json.loads(text), tensors))
    assert (*draw(), np.random.randn()) == expected


def fill(folder: Path) -> None:
    """A checkpoint's files, in small."""
    (folder / "state.json").write_text("{}")


def test_only_the_newest_whole_checkpoint_is_kept(tmp_path: Path) -> None:
    assert stage_checkpoints.latest(tmp_path / "none") is None
    stage_checkpoints.write(tmp_path, 50, fill)
    stage_checkpoints.write(tmp_path, 1_000_000, fill)
    assert [path.name for path in tmp_path.iterdir()] == ["step-1000000"]
    newest = stage_checkpoints.latest(tmp_path)
    assert newest is not None
    assert stage_checkpoints.step_of(newest) == 1_000_000


def test_a_write_that_was_killed_is_never_read(tmp_path: Path) -> None:
    class Killed(BaseException):
        """What a kill would be."""

    def die(folder: Path) -> None:
        fill(folder)
        raise Killed

    stage_checkpoints.write(tmp_path, 10, fill)
    with pytest.raises(Killed):
        stage_checkpoints.write(tmp_path, 20, die)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["partial-000020", "step-000010"]
    stage_checkpoints.sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000010"]
    stage_checkpoints.write(tmp_path, 20, fill)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000020"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG])
def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path, number: int) -> None:
    def full(folder: Path) -> None:
        fill(folder)
        raise OSError(number, "No room")

    stage_checkpoints.write(tmp_path, 10, fill)
    with pytest.raises(DiskFullError, match="free some space"):
        stage_checkpoints.write(tmp_path, 20, full)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000010"]
