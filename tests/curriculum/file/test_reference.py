"""The reference in docs is the one the schema writes, and its links lead somewhere."""

import re
from pathlib import Path

from perdure.curriculum.file.reference.page import reference_markdown
from perdure.curriculum.schema import Curriculum, TaskBenchmark
from perdure.curriculum.worlds.language.model import CausalModel
from perdure.curriculum.worlds.language.settings import LanguageChord, LanguageTilt
from perdure.curriculum.worlds.language.tasks import Dataset
from perdure.curriculum.worlds.vision.model import MlpModel, Pretrain
from perdure.curriculum.worlds.vision.tasks import Images

DOCS = Path(__file__).parents[3] / "docs" / "curriculum.md"


def test_the_file_in_docs_is_up_to_date() -> None:
    assert DOCS.read_text(encoding="utf-8") == reference_markdown(), (
        "write it anew: python -m perdure.curriculum.file.reference > docs/curriculum.md"
    )


def test_every_key_is_there_with_its_meaning() -> None:
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
        for name in set(section.model_fields) - {"type"}:
            assert re.search(rf"^\| `{name}` \| [^|]+ \| [^|]+ \| [^| ][^|]* \|$", text, re.MULTILINE), name
    assert "| |" not in text
    assert "|  |" not in text


def test_a_setting_that_methods_share_stands_once() -> None:
    text = reference_markdown()
    train = text[text.index("## train\n") : text.index("## stages\n")]
    for name in ("per_device_train_batch_size", "learning_rate", "loss_type", "token_weight", "num_iterations"):
        assert train.count(f"| `{name}` |") == 1, name
    assert "(default `dapo`)" in train[train.index("## train.gate") : train.index("## train.tilt")]


def test_defaults_are_those_of_the_methods() -> None:
    text = reference_markdown()
    assert "language `1e-05`, vision `0.0001`, control `0.0003` | peak learning rate" in text
    assert "Own defaults: language: `per_device_train_batch_size` `16`." in text  # of `sft` alone
    assert "| `l2_lambda` | number > 0 | language `0.01`, vision `0.1`, control `0.1` |" in text


def test_types_limits_and_defaults_are_in_plain_words() -> None:
    text = reference_markdown()
    assert "| `kl` | number > 0 | required |" in text
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
