"""Every part of a chat message reaches the chat template, or is refused by its name."""

from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest
from transformers import AutoTokenizer

from perdure.agent.worlds.language.conversations import fitted, has_more, limited, render, rendered
from perdure.agent.worlds.language.methods.rl import RlTrainer
from perdure.agent.worlds.language.policy import LanguagePolicy
from perdure.agent.worlds.language.trl.rows import encode_demonstration, prompt_rows
from perdure.budget.errors import ModelError
from perdure.curriculum.task import Item, Task
from perdure.curriculum.worlds.language.rewards.named import build_reward
from perdure.curriculum.worlds.language.text_source import RewardConfig
from tests.agent.worlds.language.on_policy import sampler
from tests.agent.worlds.language.runs import small
from tests.agent.worlds.language.tiny_world import tiny_policy, tiny_tokenizer
from tests.agent.worlds.language.toy import share_of_vowels, toy_task

TOOLS = [{"type": "function", "function": {"name": "add"}}]
CALL = {"type": "function", "function": {"name": "add", "arguments": {"a": 1}}}
WITH_TOOLS = (
    "{{ bos_token }}{% if tools %}tools {% for tool in tools %}{{ tool.function.name }} {% endfor %}{% endif %}"
    "{% for message in messages %}{% if message.role == 'assistant' %}<|assistant|>"
    "{% if message.reasoning_content and loop.last %}:{{ message.reasoning_content }}:{% endif %}{{ message.content }}"
    "{% for call in message.tool_calls or [] %}call {{ call.function.name }}{% endfor %}<|end|>"
    "{% elif message.role in ['user', 'tool'] %}<|user|>{{ message.content }}{{ message.name }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
USER = {"role": "user", "content": "a"}


def tokenizer_of(template: str | None = None) -> Any:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template or tokenizer.chat_template
    return tokenizer


def task_of(*prompt: dict[str, Any], turn: dict[str, Any] | None = None) -> Task:
    item = Item(list(prompt), demonstration="b", turn=turn or {})
    return Task("toy", (item, item), (item, item))


def test_calls_tools_and_names_reach_the_template() -> None:
    prompt = [
        {**USER, "tools": TOOLS},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "1", "name": "add"},
    ]
    tokenizer = tokenizer_of(WITH_TOOLS)
    task = fitted(tokenizer, task_of(*prompt), ["<|end|>"])
    said = "<s>tools add <|user|>a<|assistant|>call add<|end|><|user|>1add<|assistant|>"
    policy = LanguagePolicy(tiny_policy().model, tokenizer)
    assert policy.encode(task.train[0].prompt) == tokenizer(said)["input_ids"]
    tokens, start = encode_demonstration(tokenizer, task.train[0])
    assert tokens == tokenizer(f"{said}b<|end|>")["input_ids"]
    assert start == len(tokenizer(said)["input_ids"])
    trainer = sampler(RlTrainer, "rl", tiny_policy(), small("rl"), toy_task(8))
    trainer.processing_class = tokenizer
    rows = prompt_rows([*task.train, Item([USER])])
    assert rows[0]["prompt"] == prompt
    ids = trainer._tokenize_prompts(rows["prompt"][:])[0]
    assert ids == [policy.encode(prompt), policy.encode(prompt), policy.encode([USER])]
    assert has_more([prompt]) and not has_more([[USER], "a"])


def test_a_demonstrated_turn_becomes_the_text_that_the_template_writes() -> None:
    tokenizer = tokenizer_of(WITH_TOOLS)
    turn = {"reasoning_content": "r", "tool_calls": [CALL]}
    for item in fitted(tokenizer, task_of(USER, turn=turn), ["<|end|>"]).train:
        assert (item.demonstration, item.turn) == (":r:bcall add", {})
        assert (
            encode_demonstration(tokenizer, item)[0]
            == tokenizer("<s><|user|>a<|assistant|>:r:bcall add<|end|>").input_ids
        )
    trimmed = tokenizer_of(WITH_TOOLS.replace("{{ message.content }}{% for", "{{ message.content[:2] }}{% for"))
    with pytest.raises(ModelError, match=r"writes `reasoning_content` and `tool_calls` of the turn to learn in a way"):
        fitted(trimmed, task_of(USER, turn=turn), ["<|end|>"])


AS_JSON = '{"name":"add","arguments":{"a":{{ call.function.arguments.a }}}}'


@pytest.mark.parametrize("timeout", [None, 0])
def test_calls_that_the_reward_cannot_read_are_refused(timeout: float | None) -> None:
    answer = '[{"name": "add", "arguments": {"a": 1}}]'
    reward = build_reward(RewardConfig(type="tool_calls", timeout=timeout))
    item = Item([USER], answer=answer, demonstration="", turn={"tool_calls": [CALL]})
    task = Task("toy", (item, item), (item, item), reward)
    with pytest.raises(ModelError, match=r"nothing right in any of 4 demonstrations .* such as 'call add' where"):
        fitted(tokenizer_of(WITH_TOOLS), task, ["<|end|>"])
    readable = AutoTokenizer.from_pretrained(files("perdure.agent.worlds.language.builtin_model") / "tiny")
    readable.chat_template = WITH_TOOLS.replace("call {{ call.function.name }}", AS_JSON)
    (written, _) = fitted(readable, task, ["<|end|>"]).train
    assert reward([written], [written.demonstration or ""]) == [1.0]
    own = replace(task, reward=share_of_vowels)  # of which nobody knows what it is for
    assert fitted(tokenizer_of(WITH_TOOLS), own, ["<|end|>"]).reward is share_of_vowels


@pytest.mark.parametrize(
    ("template", "message", "refused"),
    [
        (None, {**USER, "tools": TOOLS}, "leaves out 'tools' of a message"),
        (None, {**USER, "name": "x"}, "leaves out 'name' of a message"),
        (None, {"role": "assistant", "content": "", "tool_calls": [CALL]}, "leaves out 'tool_calls' of a message"),
        (None, {"role": "assistant", "content": "b", "reasoning_content": "x"}, "leaves out 'reasoning_content'"),
        (WITH_TOOLS, {**USER, "timestamp": 3}, "leaves out 'timestamp' of a message"),
        (WITH_TOOLS, {"role": "system", "content": "x"}, "leaves out turns of role 'system'"),
        (WITH_TOOLS, {"role": "assistant", "content": "b", "tool_calls": [3]}, "fails on the prompt"),
        (
            "{{ raise_exception('no \x1b[31m tools') }}",
            {**USER, "name": "x"},
            r"fails on the prompt .*: no \\x1b\[31m tools",
        ),
    ],
)
def test_what_the_template_leaves_out_is_refused(template: str | None, message: Any, refused: str) -> None:
    with pytest.raises(ModelError, match=refused):
        fitted(tokenizer_of(template), task_of(USER, message, USER), ["<|end|>"])


def test_what_a_template_leaves_out_of_earlier_turns_on_purpose_is_no_fault() -> None:
    thought = {"role": "assistant", "content": "b", "reasoning_content": "x"}
    task = task_of(USER, thought, USER)
    assert fitted(tokenizer_of(WITH_TOOLS), task, ["<|end|>"]) == task
    plain = replace(toy_task(3), reward=share_of_vowels)
    assert fitted(tiny_tokenizer(), plain, ["<|end|>"]) == plain
    assert render(tiny_tokenizer(), [USER], tokenize=False) == "<s><|user|>a"


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% set x = 3 ** (10 ** 8) %}",  # computed while the template is compiled, where jinja catches errors
    ],
)
def test_a_template_that_does_not_end_is_ended(template: str) -> None:
    with pytest.raises(ModelError, match=r"has not written a conversation after 0\.1 s"), limited(0.1):
        tokenizer_of(template).apply_chat_template([USER], tokenize=False)
    assert render(tokenizer_of(), [USER], tokenize=False) == "<s><|user|>a"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ 'x' * 10 ** 10 }}", "takes more than 2 GiB to write a conversation"),
        ("{{ 'x' * 17000000 }}", "writes 17,000,000 characters for the prompt .*; it may write 16,777,216"),
    ],
)
def test_a_template_that_writes_too_much_is_refused(template: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        rendered(tokenizer_of(template), [USER])
