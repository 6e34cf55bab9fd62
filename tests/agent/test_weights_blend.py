"""The straight line between two snapshots."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from perdure.agent.weights import blend, write_tensors

BIG = torch.finfo(torch.float32).max


class Two(nn.Module):
    """A model of one tensor, and of another that no snapshot holds."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(2))
        self.rest = nn.Parameter(torch.ones(1))


def parameters(model: nn.Module) -> dict[str, torch.Tensor]:
    return dict(model.named_parameters())


def snapshots(folder: Path, start: Any, end: Any, dtype: torch.dtype = torch.float32) -> tuple[Path, Path]:
    paths = folder / "start.safetensors", folder / "end.safetensors"
    for path, values in zip(paths, (start, end), strict=True):
        write_tensors({"w": torch.tensor(values, dtype=dtype)}, path)
    return paths


def test_a_quarter_of_the_way_by_hand(tmp_path: Path) -> None:
    """From (1, -2) to (3, 2): 1 + 0.25 · 2 = 1.5 and -2 + 0.25 · 4 = -1."""
    model = Two()
    blend(parameters(model), *snapshots(tmp_path, [1.0, -2.0], [3.0, 2.0]), 0.25)
    assert model.w.tolist() == [1.5, -1.0]
    assert model.rest.item() == 1.0


@given(a=st.floats(width=32, allow_nan=False), b=st.floats(width=32, allow_nan=False), share=st.floats(0, 1))
def test_the_ends_are_exact_and_nothing_overflows_between(
    a: float, b: float, share: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    model, paths = Two(), snapshots(tmp_path_factory.mktemp("line"), [a, a], [b, a])
    blend(parameters(model), *paths, 0)
    assert model.w.tolist() == [a, a]
    blend(parameters(model), *paths, 1)
    assert model.w.tolist() == [b, a]
    blend(parameters(model), *paths, share)
    assert model.w[1].item() == a  # where the ends agree the line stays
    if abs(a) <= BIG and abs(b) <= BIG:
        assert min(a, b) <= model.w[0].item() <= max(a, b)


def test_an_end_that_is_no_number_is_none_on_the_way_alone(tmp_path: Path) -> None:
    model, paths = Two(), snapshots(tmp_path, [1.0, 2.0], [float("nan"), 2.0])
    blend(parameters(model), *paths, 0.5)
    assert torch.isnan(model.w[0]) and model.w[1].item() == 2.0
    blend(parameters(model), *paths, 0)
    assert model.w.tolist() == [1.0, 2.0]


def test_rounding_is_to_the_parameters_own_type(tmp_path: Path) -> None:
    """bfloat16 has 8 bits: half way between 1 and 1.0078125, its next number, is rounded to even, 1."""
    model = Two().to(torch.bfloat16)
    paths = snapshots(tmp_path, [1.0, 1.0], [1.0078125, 2.0], torch.bfloat16)
    blend(parameters(model), *paths, 0.5)
    assert model.w.tolist() == [1.0, 1.5]
    blend(parameters(model), *paths, 1.0)
    assert model.w.tolist() == [1.0078125, 2.0]


def test_what_is_no_line_is_refused(tmp_path: Path) -> None:
    start, end = snapshots(tmp_path, [0.0, 0.0], [1.0, 1.0])
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="within 0 and 1"):
            blend(parameters(Two()), start, end, share)
    write_tensors({"rest": torch.ones(1)}, end)
    with pytest.raises(ValueError, match="different parameters"):
        blend(parameters(Two()), start, end, 0.5)
