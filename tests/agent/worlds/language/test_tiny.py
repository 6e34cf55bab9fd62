"""The shipped model is an ordinary chat checkpoint and can do what its `scores.json` says."""

import json
import time
from typing import Any

import pytest

from perdure.agent.worlds.language.builtin_model import scores as pretrain_scores
from perdure.agent.worlds.language.builtin_model.pretrain import FOLDER, answer_loss, encode, example_stream
from perdure.curriculum.worlds.language.skills.skills import SKILLS, right_answer

RECORD: dict[str, Any] = json.loads((FOLDER / "scores.json").read_text())
HALF_LEARNT = ("chain_sum", "count_letter")
WELL_LEARNT = [name for name in SKILLS if name not in (*pretrain_scores.OPEN_ENDED, *HALF_LEARNT)]


@pytest.fixture(scope="module")
def tiny() -> tuple[Any, Any]:
    return pretrain_scores.load(FOLDER)


def test_the_weights_are_small_and_the_recorded_ones() -> None:
    assert (FOLDER / "model.safetensors").stat().st_size <= 16 * 2**20
    assert pretrain_scores.weights_hash(FOLDER) == RECORD["sha256"]


def test_the_record_meets_what_the_demo_needs() -> None:
    skills, tasks = RECORD["skills"], RECORD["new_tasks"]
    assert all(skills[name]["greedy"] >= 0.9 for name in WELL_LEARNT)
    assert 0.1 <= skills["chain_sum"]["sampled"] <= 0.6
    for name in pretrain_scores.OPEN_ENDED:
        assert skills[name]["greedy"] >= 0.95
        assert RECORD["spread"][name]["right_mass"] >= 0.7
        assert RECORD["spread"][name]["entropy_share"] >= 0.95  # 1 is uniform over the right answers
    assert 0.1 <= tasks["even_number"]["sampled"] <= 0.6
    assert 0.1 <= tasks["word_starting"]["sampled"] <= 0.6
    for name in ("german_number", "shift_letters"):
        assert tasks[name]["sampled"] == tasks[name]["greedy"] == 0


@pytest.mark.parametrize("skill", ["reverse", "calendar"])
def test_the_record_is_reproduced(tiny: tuple[Any, Any], skill: str) -> None:
    """The same prompts, decoded greedily; another machine's rounding may turn a near tie, so 3 of 100 may differ."""
    recorded = RECORD["skills"][skill]
    items = pretrain_scores.held_out_items(skill, recorded["n"])
    marks = right_answer(items, pretrain_scores.complete(*tiny, items))
    assert marks.count(1.0) == pytest.approx(recorded["greedy"] * len(items), abs=3)


def test_a_prompt_is_rendered_as_the_beginning_of_the_conversation(tiny: tuple[Any, Any]) -> None:
    _, tokenizer = tiny
    asked = [{"role": "user", "content": "Spell 42."}]
    answered = [*asked, {"role": "assistant", "content": "forty-two"}]
    prompt = tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
    whole = tokenizer.apply_chat_template(answered, tokenize=False)
    assert whole == f"{prompt}forty-two{tokenizer.eos_token}"
    assert tokenizer(whole).input_ids[: len(tokenizer(prompt).input_ids)] == tokenizer(prompt).input_ids


def test_the_template_marks_the_answer_and_its_end(tiny: tuple[Any, Any]) -> None:
    _, tokenizer = tiny
    messages = [{"role": "user", "content": "Spell 7."}, {"role": "assistant", "content": "seven"}]
    made = tokenizer.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
    marked = [token for token, mask in zip(made["input_ids"], made["assistant_masks"], strict=True) if mask]
    assert tokenizer.decode(marked) == f"seven{tokenizer.eos_token}"


def test_any_text_can_be_encoded(tiny: tuple[Any, Any]) -> None:
    _, tokenizer = tiny
    text = "Łódź 2026: 你好, naïve\tcafé — 100 %"
    assert tokenizer.decode(tokenizer(text).input_ids) == text
    assert len({tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.bos_token_id}) == 3
    assert tokenizer.padding_side == "left"


def test_answers_do_not_depend_on_the_batch(tiny: tuple[Any, Any]) -> None:
    items = [pretrain_scores.held_out_items(name, 1)[0] for name in WELL_LEARNT]
    alone = [pretrain_scores.complete(*tiny, [item])[0] for item in items]
    assert pretrain_scores.complete(*tiny, items) == alone


def test_64_completions_of_8_tokens_are_quick(tiny: tuple[Any, Any]) -> None:
    items = pretrain_scores.held_out_items("say_number", 64)
    began = time.monotonic()
    pretrain_scores.complete(*tiny, items, sample=True, tokens=8)
    assert time.monotonic() - began < 10  # a quarter of a second on a free core


def test_packed_examples_do_not_see_one_another(tiny: tuple[Any, Any]) -> None:
    model, tokenizer = tiny
    stream = example_stream(seed=1)
    items = [next(stream) for _ in range(4)]
    together = answer_loss(model, *encode(tokenizer, items, per_row=4))
    apart = answer_loss(model, *encode(tokenizer, items, per_row=1))
    assert together.item() == pytest.approx(apart.item(), abs=0.02)  # bfloat16 keeps 8 bits
