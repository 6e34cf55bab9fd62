"""Curricula written to a file."""

from pathlib import Path

import pytest

from tests.curriculum.file.written import Write


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(text: str) -> Path:
        file = tmp_path / "mine.yaml"
        file.write_text(text, encoding="utf-8")
        return file

    return to_file
