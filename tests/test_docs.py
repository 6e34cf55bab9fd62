"""What the documents say holds: the curriculum in the README is valid, and links lead somewhere."""

import re
from pathlib import Path

import pytest

from perdure.curriculum.file.reader import read_curriculum

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_curriculum_in_the_readme_is_valid(tmp_path: Path) -> None:
    block = re.search(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block is not None
    (tmp_path / "mine.yaml").write_text(block[1])
    (tmp_path / "support.jsonl").write_text('{"ticket": "It broke.", "reply": "Sorry."}\n')
    curriculum = read_curriculum(tmp_path / "mine.yaml").curriculum
    assert [stage.name for stage in curriculum.stages] == ["sums", "support"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_within_the_project_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
