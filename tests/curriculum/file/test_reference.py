"""The reference in docs is the one the schema writes, and its links lead somewhere."""

import re
from pathlib import Path

from perdure.curriculum.file.reference import reference_markdown
from perdure.curriculum.schema import Curriculum, TaskBenchmark
from perdure.curriculum.worlds.language.model import CausalModel
from perdure.curriculum.worlds.language.spec import LanguageChord, LanguageTilt
from perdure.curriculum.worlds.language.tasks import Dataset
from perdure.curriculum.worlds.vision.model import MlpModel, Pretrain
from perdure.curriculum.worlds.vision.tasks import Images

DOCS = Path(__file__).parents[3] / "docs" / "curriculum.md"


def test_the_file_in_docs_is_up_to_date() -> None:
    assert DOCS.read_text(encoding="utf-8") == reference_markdown(), (
        "write it anew: python -m perdure.curriculum.file.reference > docs/curriculum.md"
    )


def test_every_key_has_a_row_with_its_meaning() -> None:
    text = reference_markdown()
    for section in (
        Curriculum,
        CausalModel,
        MlpModel,
        Pretrain,
        TaskBenchmark,
        Dataset,
        Images,
        LanguageChord,
        LanguageTilt,
    ):
        for name in section.model_fields:
            assert re.search(rf"^\| `{name}` \| [^|]+ \| [^|]+ \| [^| ][^|]* \|$", text, re.MULTILINE), name
    assert "| |" not in text
    assert "|  |" not in text


def test_types_limits_and_defaults_are_in_plain_words() -> None:
    text = reference_markdown()
    assert "| `kl` | number > 0, ≤ 10³⁰⁶ | required |" in text
    assert "| `mu_start` | number ≥ 0, ≤ 1 | `0.9` |" in text
    assert "| `threads` | whole number or `auto` ≥ 1, ≤ 1024 | `auto` |" in text
    assert "| `seed` | whole number ≥ 0, < 2³² | `0` |" in text


def test_every_link_leads_to_a_heading() -> None:
    text = reference_markdown()
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = set(re.findall(r"\]\(#([^)]*)\)", text))
    assert links
    assert links <= anchors
    assert len(anchors) == len(headings)
