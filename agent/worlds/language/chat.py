"""Prompts and demonstrations as tokens: what is asked, and what is trained, which begins with it."""

from typing import Any

from perdure.agent.worlds.language.conversations import rendered, shown
from perdure.agent.worlds.language.turns import TokenIds, opened
from perdure.budget.errors import ModelError
from perdure.curriculum.messages import show_value
from perdure.curriculum.task import Item
from perdure.curriculum.worlds.language.environments import EnvironmentPrompt


def encode_prompt(tokenizer: Any, prompt: Any) -> TokenIds:
    """The tokens of a prompt: text as it is, messages through the chat template up to the assistant's turn.

    Of an environment's it is reset for them.

    Raises:
        ModelError: the template refuses the messages, or the tokenizer ends the prompt.
    """
    if isinstance(prompt, EnvironmentPrompt):
        return opened(tokenizer, prompt).prompt_ids
    if not isinstance(prompt, str):
        return _plain(tokenizer, rendered(tokenizer, prompt, add_generation_prompt=True))
    ids = list(tokenizer(prompt)["input_ids"])
    if ids[-1:] == [tokenizer.eos_token_id] and not prompt.endswith(tokenizer.eos_token):
        raise ModelError(
            f"the tokenizer puts its end token {tokenizer.eos_token!r} after a prompt, so that nothing would be left "
            "to answer; set `add_eos_token: false` in its tokenizer_config.json (or take the token out of the "
            "post-processor in its tokenizer.json)"
        )
    return ids


def encode_demonstration(tokenizer: Any, item: Item) -> tuple[TokenIds, int]:
    """The tokens of prompt and demonstration, and how many of them are the prompt's, which are those that are asked.

    Messages go through the chat template, which ends the answer; text is taken as it is, with the end token after it.
    Departure from TRL: where tokens would merge across the end of the prompt, prompt and answer are tokenized apart;
    TRL trains on a prompt that is asked otherwise.

    Raises:
        ModelError: the template shows the prompt otherwise where it is trained, or leaves out a part of the answer.
    """
    asked, text = _texts(tokenizer, item)
    if isinstance(item.prompt, str):
        prompt, whole = encode_prompt(tokenizer, asked), list(tokenizer(text)["input_ids"])
    else:
        prompt, whole = _plain(tokenizer, asked), _plain(tokenizer, text)
    merged = whole[: len(prompt)] != prompt
    return (prompt + _plain(tokenizer, text[len(asked) :]) if merged else whole), len(prompt)


def answer_of(item: Item) -> Any:
    """The demonstration as TRL's completion: text or messages, as the prompt is."""
    text = item.demonstration or ""
    return text if isinstance(item.prompt, str) else [{"role": "assistant", "content": text}]


def _texts(tokenizer: Any, item: Item) -> tuple[str, str]:
    """The text that is asked and the text that is trained. Raises as `encode_demonstration`."""
    if isinstance(item.prompt, str):
        answer = item.demonstration or ""
        return item.prompt, item.prompt + answer + ("" if answer.endswith(tokenizer.eos_token) else tokenizer.eos_token)
    asked = rendered(tokenizer, item.prompt, add_generation_prompt=True)
    whole = rendered(tokenizer, [*item.prompt, *answer_of(item)])
    if not whole.startswith(asked):
        same = next((i for i, (a, b) in enumerate(zip(asked, whole, strict=False)) if a != b), len(whole))
        raise ModelError(
            f"the chat template asks otherwise than it trains: where it asks for the answer to {shown(item.prompt)} "
            f"it ends with {show_value(asked[same:])}, and the demonstration is shown with {show_value(whole[same:])}. "
            "Give demonstrations that begin as the template opens the answer (such as with `<think>`), or give the "
            "tokenizer a chat template that opens asked and shown answers alike"
        )
    before = rendered(tokenizer, item.prompt)  # what opens the answer may be part of it
    begins = len(before) if asked.startswith(before) else len(asked)
    if _blanks_aside(item.demonstration or "") not in _blanks_aside(whole[begins:]):
        raise ModelError(
            f"the chat template leaves out a part of the demonstration {show_value(item.demonstration)}: it shows "
            f"{show_value(whole[begins:])}. Leave that part (such as reasoning) out of the data, or give the "
            "tokenizer a chat template that shows it"
        )
    return asked, whole


def _blanks_aside(text: str) -> str:
    return "".join(text.split())


def _plain(tokenizer: Any, text: str) -> TokenIds:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])
