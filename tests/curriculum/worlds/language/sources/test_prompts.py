"""General prompts: those of a file, and `builtin:skills`, those of the built-in model."""

import json
from pathlib import Path

import pytest

from perdure.budget.errors import DataError
from perdure.curriculum.worlds.language.skills.skills import SKILLS, is_held_out
from perdure.curriculum.worlds.language.sources.prompts import load_prompts

SKILLS_PATH = Path("builtin:skills")


def test_they_are_always_the_same_and_none_is_a_benchmarks() -> None:
    many = load_prompts(SKILLS_PATH, 40)
    texts = [messages[0]["content"] for messages in many]
    assert len(set(texts)) == 40
    assert {messages[0]["role"] for messages in many} == {"user"}
    assert not any(map(is_held_out, texts))
    assert load_prompts(SKILLS_PATH, 7) == many[:7]


def test_every_skill_comes_in_turn() -> None:
    texts = [messages[0]["content"] for messages in load_prompts(SKILLS_PATH, 2 * len(SKILLS))]
    place = list(SKILLS).index("chain_sum")
    assert all("arithmetic problem" in texts[at] for at in (place, place + len(SKILLS)))


def test_other_names_and_too_many_are_explained() -> None:
    with pytest.raises(DataError, match="there is no 'builtin:others'; shipped with perdure: builtin:skills"):
        load_prompts(Path("builtin:others"), 4)
    assert len(load_prompts(SKILLS_PATH, 2000)) == 2000
    with pytest.raises(DataError, match="builtin:skills has 2000 prompts, and 2001 are needed"):
        load_prompts(SKILLS_PATH, 2001)


def test_a_file_s_prompts_are_text_or_messages(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    parts = [{"type": "text", "text": "par"}, {"type": "text", "text": "ts"}]
    lines = ["a\u2028b", [{"role": "user", "content": parts}], [{"from": "human", "value": "c"}]]
    path.write_text("\ufeff" + "\n\n".join(json.dumps({"prompt": one}, ensure_ascii=False) for one in lines))
    read = ["a\u2028b", [{"role": "user", "content": "parts"}], [{"role": "user", "content": "c"}]]
    assert load_prompts(path, 9) == read
    assert load_prompts(path, 2) == read[:2]


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        ('{"prompt": null}', "2: `prompt` holds nothing; a prompt is text or a list of chat messages"),
        ('{"prompt": " "}', "2: `prompt` holds an empty text"),
        ('{"prompt": 7}', "2: `prompt` holds a number"),
        ('{"prompt": []}', "2: `prompt` holds an empty list, not a list of chat messages"),
        ('{"prompt": [{"role": "user"}]}', "2: `prompt`, message 1: a message needs `role` and `content`"),
        ('{"prompt": [{"role": "user", "content": "a", "name": "b"}]}', "2: a message has 'name'"),
        ('{"promt": "a"}', "2: every line must be a JSON object with `prompt`; did you mean 'promt'"),
        ("7", r"2:1: this is not JSON: more than one value"),
        ('{"prompt": "\udce9"}', "2:13: byte 0xe9 is not UTF-8"),
        ('{"prompt": "' + "a" * 250_000 + '"}', "2: `prompt` has 250,000 characters, and at most 200,000 are read"),
        ('{"prompt": ' + "[" * 50_000 + "]" * 50_000 + "}", "2: lists and objects are nested more than 100 deep"),
    ],
    ids=range(11),
)
def test_a_line_that_is_no_prompt_is_refused_with_its_place(tmp_path: Path, line: str, refused: str) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_bytes(b'{"prompt": "a"}\n' + line.encode(errors="surrogateescape") + b"\n")
    with pytest.raises(DataError, match=f"prompts.jsonl:{refused}"):
        load_prompts(path, 9)
