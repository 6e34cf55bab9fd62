"""Chat messages and the model's chat template: every part of a message is written, or refused by its name."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

from perdure.agent.worlds.language.turns import refuse_template
from perdure.budget.errors import ModelError
from perdure.curriculum.limits import memory_limit, time_limit
from perdure.curriculum.messages import one_line, show_value
from perdure.curriculum.task import Item, Messages, Task, scorer_name
from perdure.curriculum.worlds.language.rewards.named import NamedReward
from perdure.curriculum.worlds.language.sources.common import CHECKED

SECONDS = 10.0
"""Seconds of a processor within which a chat template writes a conversation."""
MEMORY = 2 * 2**30
"""Bytes that it may take for that, where Linux counts them."""
LONGEST = 2**24
"""Characters of a conversation as it is written."""
LOOKED_AT = 20
"""Items that are rendered with and without a key, to see whether the template writes it."""
REASONING = ("reasoning_content", "reasoning", "thinking")
"""Keys that templates leave out of earlier turns on purpose."""
PLAIN_KEYS = ("role", "content")
PLAIN_ROLES = ("user", "assistant")


def render(tokenizer: Any, messages: Messages, **more: Any) -> Any:
    """`apply_chat_template`, which is given the `tools` that the first message holds.

    Raises:
        ModelError: as `limited`.
    """
    tools = messages[0].get("tools")
    if tools is not None:
        messages = [{key: value for key, value in messages[0].items() if key != "tools"}, *messages[1:]]
        more["tools"] = tools
    with limited(SECONDS):
        return tokenizer.apply_chat_template(messages, **more)


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Ends a template that takes longer, in seconds of a processor, or more than `MEMORY`; only in the main thread.

    Raises:
        ModelError: it took too much.
    """
    if threading.current_thread() is not threading.main_thread():  # signals are heard there alone
        yield
        return
    try:
        with memory_limit(MEMORY), time_limit(seconds):
            yield
    except TimeoutError:
        raise ModelError(
            f"the model's chat template has not written a conversation after {seconds:g} s of a processor; give the "
            "tokenizer a chat template that ends (chat_template.jinja)"
        ) from None
    except MemoryError:
        raise ModelError(
            f"the model's chat template takes more than {MEMORY // 2**30} GiB to write a conversation; give the "
            "tokenizer another one (chat_template.jinja)"
        ) from None


def rendered(tokenizer: Any, messages: Messages, *, add_generation_prompt: bool = False) -> str:
    """The text that the chat template makes of messages.

    Raises:
        ModelError: it fails on them, or shows nothing or too much.
    """
    try:
        text = render(tokenizer, messages, add_generation_prompt=add_generation_prompt, tokenize=False)
    except ModelError:
        raise
    except Exception as error:  # a template raises what it likes
        raise ModelError(
            f"the chat template of the model's tokenizer fails on the prompt {shown(messages)}: "
            f"{type(error).__name__}: {one_line(error)}. Give prompts of turns that it takes (some take no system "
            "turn), or give the tokenizer another chat template"
        ) from error
    if not isinstance(text, str) or not text:
        raise ModelError(f"the chat template of the model's tokenizer shows nothing of the prompt {shown(messages)}")
    if len(text) > LONGEST:
        raise ModelError(
            f"the chat template of the model's tokenizer writes {len(text):,} characters for the prompt "
            f"{shown(messages)}; it may write {LONGEST:,}"
        )
    return text


def shown(messages: Any) -> str:
    """`[system, user: 'What …']`: the roles, and the beginning of the last turn."""
    roles = ", ".join(str(turn.get("role"))[:20] for turn in messages[-4:])
    return f"[{roles}: {show_value(messages[-1].get('content'))}]"


def has_more(prompts: Sequence[Any]) -> bool:
    """True if a message of a prompt has more than a role and its text."""
    return any(
        key not in PLAIN_KEYS for prompt in prompts if not isinstance(prompt, str) for one in prompt for key in one
    )


def fitted(tokenizer: Any, task: Task, ends: Sequence[str]) -> Task:
    """The task with demonstrations that are all text: calls and reasoning as the chat template writes them.

    `ends` are the texts of the tokens that end an answer.

    Raises:
        ModelError: the template leaves out a part of a message, cannot be followed, or writes what the task's reward
            cannot read.
    """
    if task.is_played:
        refuse_template(tokenizer, task)
        return task
    _refuse_left_out(tokenizer, task)
    train, heldout = (
        tuple(_as_text(tokenizer, item, ends, task.name) if item.turn else item for item in items)
        for items in (task.train, task.heldout)
    )
    written = [new for old, new in zip((*task.train, *task.heldout), (*train, *heldout), strict=True) if old.turn]
    _refuse_unread(tokenizer, task, written[:CHECKED])
    return replace(task, train=train, heldout=heldout)


def _refuse_unread(tokenizer: Any, task: Task, written: Sequence[Item]) -> None:
    """Refuse demonstrations none of which, sampled, a reward by name would call right: whoever learns them scores 0."""
    if task.reward is None or scorer_name(task.reward) != NamedReward.scorer_name or not written:
        return
    ids = [tokenizer(item.demonstration, add_special_tokens=False)["input_ids"] for item in written]
    texts = tokenizer.batch_decode(ids, skip_special_tokens=True)
    if not any(task.reward(written, texts)):
        raise ModelError(
            f"task {task.name!r}: the reward finds nothing right in any of {len(texts)} demonstrations as the model's "
            f"chat template writes them, such as {show_value(texts[0])} where the answer is "
            f"{show_value(written[0].answer)}; give the task another `reward`, or take a model whose template writes "
            "calls as JSON"
        )


def _as_text(tokenizer: Any, item: Item, ends: Sequence[str], name: str) -> Item:
    """The item with its demonstrated turn as text; trained on, it gives the same tokens as the turn."""
    keys = " and ".join(f"`{key}`" for key in item.turn)
    asked = rendered(tokenizer, item.prompt, add_generation_prompt=True)
    whole = rendered(tokenizer, _whole(item))
    text = whole[len(asked) :]
    end = max((text.rfind(end) for end in ends), default=-1)
    written = replace(item, demonstration=text[:end] if end >= 0 else text, turn={})
    if not whole.startswith(asked) or rendered(tokenizer, _whole(written)) != whole:
        raise ModelError(
            f"task {name!r}: the chat template writes {keys} of the turn to learn in a way that cannot be sampled as "
            "one text; write it into `content` as the model is to answer, or name the key in the task's `ignore_keys`"
        )
    return written


def _whole(item: Item) -> Messages:
    return [*item.prompt, {"role": "assistant", "content": item.demonstration or "", **item.turn}]


def _refuse_left_out(tokenizer: Any, task: Task) -> None:
    conversations = [
        _whole(item) if item.turn else item.prompt
        for item in (*task.train, *task.heldout)
        if not isinstance(item.prompt, str)
    ]
    keys = dict.fromkeys(key for one in conversations for turn in one for key in turn if key not in PLAIN_KEYS)
    for key in keys:
        purpose = key in REASONING and key in str(tokenizer.chat_template)
        if not purpose and not _writes(tokenizer, conversations, partial(_without_key, key)):
            raise ModelError(
                f"task {task.name!r}: the model's chat template leaves out {key!r} of a message, so that the model "
                "would not see it; take a model whose template writes it, or name it in the task's `ignore_keys`"
            )
    for role in dict.fromkeys(turn["role"] for one in conversations for turn in one if turn["role"] not in PLAIN_ROLES):
        if not _writes(tokenizer, conversations, partial(_without_role, role)):
            raise ModelError(
                f"task {task.name!r}: the model's chat template leaves out turns of role {role!r}, so that the model "
                "would not see them; take a model whose template writes them, or put them into other turns"
            )


def _without_key(key: str, messages: Messages) -> Messages:
    return [{name: value for name, value in turn.items() if name != key} for turn in messages]


def _without_role(role: str, messages: Messages) -> Messages:
    return [turn for turn in messages if turn["role"] != role]


def _writes(tokenizer: Any, conversations: Sequence[Messages], without: Callable[[Messages], Messages]) -> bool:
    """True if a conversation reads otherwise without the part; of those that have it the first few are looked at."""
    having = ((one, less) for one in conversations if (less := without(one)) != one)
    for whole, less in islice(having, LOOKED_AT):
        said = rendered(tokenizer, whole)
        try:
            if not less or rendered(tokenizer, less) != said:
                return True
        except ModelError:  # it cannot do without the part
            return True
    return False
