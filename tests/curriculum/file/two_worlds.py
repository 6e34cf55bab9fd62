"""A curriculum of each world as text, and what is said about a bad one."""

from pathlib import Path

import pytest

from perdure.curriculum.file.faults import CurriculumError
from perdure.curriculum.file.reader import read_curriculum
from perdure.curriculum.schema import Curriculum

VISION = """\
model: {type: mlp}
budget: {kl: 1}
strategy: {type: fixed, method: rl}
stages:
  - name: a
    task: {type: images, images: digits, rule: parity}
"""
LANGUAGE = """\
model: {model_name_or_path: org/name}
budget: {kl: 1}
strategy: {type: fixed, method: rl}
stages:
  - name: a
    task: {type: reasoning_gym, dataset: chain_sum}
"""


def read(folder: Path, text: str, *overrides: str) -> Curriculum:
    """The curriculum, written to a folder and read from there."""
    (folder / "mine.yaml").write_text(text)
    return read_curriculum(folder / "mine.yaml", overrides).curriculum


def faults(folder: Path, text: str, *overrides: str) -> list[str]:
    """The lines of the error, without the name of the file."""
    with pytest.raises(CurriculumError) as raised:
        read(folder, text, *overrides)
    return str(raised.value).replace(f"{folder}/mine.yaml:", "").splitlines()
