"""Every section of the reference has an example, and each is part of a curriculum that can be read."""

import re
from pathlib import Path

import pytest

from perdure.curriculum.file.reader import read_curriculum
from perdure.curriculum.file.reference.examples import EXAMPLES
from perdure.curriculum.file.reference.page import sections

STREAMS = {
    None: ("{model_name_or_path: builtin:tiny}", "{type: reasoning_gym, dataset: chain_sum}"),
    "mlp": ("{type: mlp}", "{type: images, images: digits, rule: parity}"),
    "control": (
        "{type: control, path: ./base}",
        "{type: gymnasium, id: CartPole-v1, success: return > 90, demonstrations: {type: expert, expert: 'mine:act'}}",
    ),
}
MINE = (
    "def act(environment): ...\ndef make_task(*, seed, train, heldout, level): ...\ndef make_strategy(patience): ...\n"
    "class Guess:\n    def reset(self, **row): ...\n    def ask(self): ...\n"
)


def test_every_section_has_an_example() -> None:
    assert set(EXAMPLES) == set(sections().values()), "add one to curriculum/file/reference/examples.py"


@pytest.mark.parametrize("heading", EXAMPLES)
def test_an_example_is_part_of_a_valid_curriculum(heading: str, tmp_path: Path) -> None:
    text = EXAMPLES[heading]
    kind = re.search(r"model: *(?:\{|\n *)type: (\w+)", text)
    model, task = STREAMS[kind[1] if kind else None]
    rest = {
        "model": model,
        "budget": "{kl: 1.0}",
        "strategy": "{type: fixed, method: sft}",
        "stages": f"[{{name: one, task: {task}}}]",
    }
    added = [f"{key}: {value}" for key, value in rest.items() if not re.search(rf"^{key}:", text, re.MULTILINE)]
    (tmp_path / "base").mkdir()
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "it.yaml").write_text("\n".join([text.strip(), *added]) + "\n")
    read_curriculum(tmp_path / "it.yaml")
