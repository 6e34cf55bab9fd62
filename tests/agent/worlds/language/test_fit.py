"""What is asked is the beginning of what is trained, and texts that do not fit are found before a run begins."""

from dataclasses import replace
from typing import Any

import pytest
from tokenizers import processors
from transformers import GPT2Config

from perdure.agent.worlds.language.chat import encode_demonstration, encode_prompt
from perdure.agent.worlds.language.fit import positions_of, refuse_unfit
from perdure.agent.worlds.language.policy import LanguagePolicy
from perdure.budget.errors import ModelError
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.task import Item, Task
from tests.agent.worlds.language.tiny_world import TEMPLATE, tiny_policy_parts, tiny_tokenizer
from tests.agent.worlds.language.toy import toy_task
from tests.models import random_model

CHAT = Item(prompt=[{"role": "user", "content": "after c?"}], demonstration="d")
THINKS = TEMPLATE.replace(
    "{% if add_generation_prompt %}<|assistant|>", "{% if add_generation_prompt %}<|assistant|>why"
)
STRIPS = TEMPLATE.replace("{{ message['content'] }}<|end|>", "{{ message['content'].split('-')[-1] }}<|end|>")
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no system\x1b[2J turn') }}{% endif %}" + TEMPLATE


def tokenizer_with(template: str) -> Any:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    return tokenizer


def asked_for(**sections: Any) -> Curriculum:
    """A curriculum of one stage whose settings are `sections`."""
    run = {
        "model": {"model_name_or_path": "builtin:tiny"},
        "budget": {"kl": 1.0, "max_completion_length": 4},
        "strategy": {"type": "fixed", "method": "sft"},
        "evaluation": {"max_completion_length": 4},
        "stages": [{"name": "toy", "task": {"type": "python", "path": "tests.x:toy"}}],
    }
    return Curriculum.model_validate(run | sections)


def check(tokenizer: Any, task: Task, model: Any = None, method: str = "sft", **sections: Any) -> None:
    policy = LanguagePolicy(model or tiny_policy_parts()[0], tokenizer)
    prompts = {"toy": [item.prompt for item in task.train]}
    refuse_unfit(policy, asked_for(**sections), [task], [[method]], [], prompts)


def test_an_answer_that_the_template_opens_is_refused_unless_it_is_shown_so() -> None:
    tokenizer = tokenizer_with(THINKS)
    with pytest.raises(ModelError, match=r"asks otherwise than it trains: .*ends with 'why', .* shown with 'd<"):
        encode_demonstration(tokenizer, CHAT)
    ids, start = encode_demonstration(tokenizer, replace(CHAT, demonstration="why not"))
    assert ids[:start] == encode_prompt(tokenizer, CHAT.prompt)
    assert tokenizer.decode(ids[start:]) == " not<|end|>"
    with pytest.raises(ModelError, match=r"stages\.toy: the chat template asks otherwise"):
        check(tokenizer, toy_task(8))
    check(tokenizer, toy_task(8), method="rl", train={"max_completion_length": 4})  # nothing is shown to it


def test_a_template_that_strips_a_part_of_the_answer_is_refused() -> None:
    with pytest.raises(ModelError, match="leaves out a part of the demonstration 'so-d': it shows"):
        encode_demonstration(tokenizer_with(STRIPS), replace(CHAT, demonstration="so-d"))
    encode_demonstration(tokenizer_with(STRIPS), CHAT)


def test_a_tokenizer_that_ends_prompts_is_refused_for_text() -> None:
    tokenizer = tiny_tokenizer()
    end = ("<|end|>", tokenizer.eos_token_id)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <|end|>", special_tokens=[end]
    )
    assert tokenizer("ab")["input_ids"][-1] == end[1]
    with pytest.raises(ModelError, match=r"its end token '<\|end\|>' after a prompt.*add_eos_token: false"):
        encode_prompt(tokenizer, "ab")
    encode_demonstration(tokenizer, CHAT)  # a chat template says itself what ends


@pytest.mark.parametrize("prompt", ["say a", [{"role": "user", "content": "say a"}]])
def test_tokens_that_merge_across_the_end_of_a_prompt_are_kept_apart(prompt: Any) -> None:
    """`say a` ends with the token `a`, and `say ade` has `ad` there; `de` must follow the tokens that were asked."""
    tokenizer = tokenizer_with(
        "{% for one in messages %}{{ one.content }}{% endfor %}{% if messages[1:] %}<|end|>{% endif %}"
    )
    tokenizer.add_tokens(["ad"])
    item = Item(prompt=prompt, demonstration="de")
    ids, start = encode_demonstration(tokenizer, item)
    assert tokenizer.convert_tokens_to_ids("ad") not in ids
    assert ids[:start] == encode_prompt(tokenizer, prompt)
    assert tokenizer.convert_ids_to_tokens(ids[start:]) == ["d", "e", "<|end|>"]


def test_a_template_that_refuses_a_turn_is_the_users_to_change() -> None:
    items = tuple(
        replace(item, prompt=[{"role": "system", "content": "s"}, *item.prompt]) for item in toy_task(8).train
    )
    with pytest.raises(
        ModelError, match=r"stages\.toy: .*fails on the prompt \[system, user: .*no system\\x1b\[2J turn"
    ):
        check(tokenizer_with(NO_SYSTEM), replace(toy_task(8), train=items))
    with pytest.raises(ModelError, match=r"stages\.toy: .*TemplateSyntaxError"):
        check(tokenizer_with("{% if"), toy_task(8))


LONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "evaluation": ("sft", {"evaluation": {"max_completion_length": 60}}, "8 of 8 held-out prompts, 60 for the answer"),
    "rows": ("sft", {}, r"of 8 training rows of 'toy' are longer .*Lower train\.trl\.max_length"),
    "texts of the base": ("sft", {"budget": {"kl": 1.0, "max_completion_length": 60}}, "8 of 8 texts of the base, 60"),
    "samples": ("rl", {"train": {"max_completion_length": 60}}, "training prompts, 60 for the answer added"),
    "prices": ("sft", {"budget": {"kl": 1, "target_accuracy": 0.9, "max_completion_length": 4}}, "prompts to be tried"),
}


@pytest.mark.parametrize("case", LONG)
def test_texts_beyond_the_positions_of_the_model_are_refused(case: str) -> None:
    method, sections, message = LONG[case]
    shape = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 64}
    model, task = random_model(GPT2Config, tiny_tokenizer(), **shape), toy_task(8)
    assert positions_of(model) == 64
    check(tiny_tokenizer(), task, model)
    long = [replace(item, demonstration="d" * 60) for item in task.train]
    prompted = [replace(item, prompt=[{"role": "user", "content": "a" * 59}]) for item in task.train]
    changed = {"rows": long, "prices": prompted}.get(case, list(task.train))
    if case == "prices":
        sections = sections | {"evaluation": {"max_completion_length": 5}}
    with pytest.raises(ModelError, match=message):
        check(tiny_tokenizer(), replace(task, train=tuple(changed)), model, method, **sections)
    if case == "rows":
        check(tiny_tokenizer(), replace(task, train=tuple(long)), model, method, train={"trl": {"max_length": 64}})


def test_a_stage_is_held_by_its_own_settings_in_any_order() -> None:
    """As in `Stream-v0` with `shuffle`, whose episodes share a world that was made for the order of the first."""
    source = {"type": "python", "path": "tests.x:toy"}
    stages = [
        {"name": "short", "task": source, "train": {"max_completion_length": 4}},
        {"name": "long", "task": source, "train": {"max_completion_length": 60}},
    ]
    model = random_model(GPT2Config, tiny_tokenizer(), n_embd=16, n_layer=1, n_head=2, n_positions=64)
    policy, made_for = LanguagePolicy(model, tiny_tokenizer()), asked_for(stages=stages)
    long, short = (replace(toy_task(8), name=name) for name in ("long", "short"))
    refuse_unfit(policy, made_for, [long, short], [["sft"], ["rl"]], [], {})  # only the short one samples
    with pytest.raises(ModelError, match=r"stages\.long: 8 of 8 training prompts, 60 for the answer added"):
        refuse_unfit(policy, made_for, [long, short], [["rl"], ["sft"]], [], {})
