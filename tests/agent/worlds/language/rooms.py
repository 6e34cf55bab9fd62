"""A tiny world of turns: an environment with two tools, rows, and a random model of which one token is a whole call."""

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, PreTrainedTokenizerFast

from perdure.agent.worlds.language.policy import LanguagePolicy
from tests.agent.worlds.language.tiny_world import CHARACTERS
from tests.models import random_model

ROOMS = "tests.agent.worlds.language.rooms:Rooms"


class Rooms:
    """A coin lies in one of three rooms; to open the right door last is worth 1."""

    def reset(self, room: int, **row: Any) -> str:
        """Begin."""
        self.room, self.found = room, False
        return f" of {room + 1}"

    def open(self, door: int) -> str:
        """
        Open a door.

        Args:
            door: its number
        """
        self.found = door == self.room
        return "coin" if door == self.room else "dust"

    def fail(self) -> str:
        """Fails."""
        raise ValueError("no")

    def get_reward(self) -> float:
        """1 if the door opened last was right."""
        return float(self.found)


class Silent(Rooms):
    """Without a reward of its own."""

    get_reward = None  # type: ignore[assignment]


CALLS = [
    *(f'<call>{{"name": "open", "arguments": {{"door": {door}}}}}</call>' for door in range(3)),
    '<call>{"name": "fail", "arguments": {}}</call>',
]
SPECIAL = ["<pad>", "<s>", "<|user|>", "<|assistant|>", "<|tool|>", "<|end|>"]
TEMPLATE = (
    "{{ bos_token }}{% for tool in tools or [] %}{{ tool.function.name }} {% endfor %}"
    "{% for message in messages %}"
    "{% if message.role == 'assistant' %}<|assistant|>{{ message.content }}"
    "{% for call in message.tool_calls or [] %}<call>{{ call.function | tojson }}</call>{% endfor %}<|end|>"
    "{% elif message.role == 'tool' %}<|tool|>{{ message.content }}"
    "{% else %}<|user|>{{ message.content }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
RESPONSE = {
    "defaults": {"role": "assistant"},
    "start_anchor": "<|assistant|>",
    "fields": {
        "tool_calls": {
            "open": "<call>",
            "close_pattern": r"</call>\s*",
            "repeats": True,
            "content": "json",
            "transform": {"type": "function", "function": "{content}"},
        },
        "content": {"close_pattern": r"<\|end\|>\s*", "content": "text"},
    },
}


def tokenizer_with_calls(calls: bool = True) -> PreTrainedTokenizerFast:
    """One token a character, and one a call; `calls` false: without the template for reading them."""
    words = [*SPECIAL, *CHARACTERS, *'{}<>/"_()' + "ABCDEFGHIJKLMNOPQRSTUVWXYZ\n'"]
    vocabulary = {token: number for number, token in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.add_tokens(CALLS)
    found = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="<|end|>",
        unk_token="?",
        additional_special_tokens=["<|user|>", "<|assistant|>", "<|tool|>"],
        chat_template=TEMPLATE,
        clean_up_tokenization_spaces=False,
    )
    if calls:
        found.response_template = RESPONSE
    return found


def policy_with_calls(seed: int = 0) -> LanguagePolicy:
    """A random policy of one layer that likes calls and ends."""
    tokenizer = tokenizer_with_calls()
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = random_model(
        LlamaConfig, tokenizer, seed=seed, **shape, max_position_embeddings=256, tie_word_embeddings=False
    )
    liked = tokenizer.convert_tokens_to_ids([*CALLS, "<|end|>"])
    model.get_input_embeddings().weight.data[:, 0] = 1.0  # so that the first hidden unit is about 4 everywhere
    model.get_output_embeddings().weight.data[liked, 0] = 0.8  # and their logits are 3 above the others
    return LanguagePolicy(model, tokenizer)


def write_rows(path: Path, rooms: int = 3) -> Path:
    """Twelve rows with the coin in one of so many rooms; their prompts differ."""
    path.write_text("".join(json.dumps({"prompt": f"coin {n}", "room": n % rooms}) + "\n" for n in range(12)))
    return path


class Undescribed(Rooms):
    """With a tool that says nothing of itself."""

    def peek(self, door):  # type: ignore[no-untyped-def]
        return self.room == door
