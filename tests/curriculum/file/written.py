"""A good curriculum as text, and what is said about a bad one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from perdure.curriculum.file.faults import CurriculumError
from perdure.curriculum.file.reader import read_curriculum

GOOD = """\
model: {model_name_or_path: builtin:tiny}
budget: {kl: 0.5}
strategy: {type: fixed, method: rl}
stages:
  - name: even
    task: {type: reasoning_gym, dataset: chain_sum}
  - name: v1.2
    task: {type: reasoning_gym, dataset: chain_sum}
"""
Write = Callable[[str], Path]


def faults(file: Path, *overrides: str) -> list[str]:
    """The lines of the error, without the folder of the file."""
    with pytest.raises(CurriculumError) as raised:
        read_curriculum(file, overrides)
    return str(raised.value).replace(f"{file.parent}/", "").splitlines()
