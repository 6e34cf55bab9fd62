"""The smallest language world: a random Llama of 30,000 weights and a tokenizer of single characters, for `toy.py`."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, PreTrainedTokenizerFast

from perdure.agent.worlds.language.base_loss import Base
from perdure.agent.worlds.language.base_texts import sample_base_texts
from perdure.agent.worlds.language.policy import LanguagePolicy
from perdure.agent.worlds.language.precision import Precision
from tests.agent.worlds.language.toy import CHARACTERS
from tests.models import random_model

SPECIAL = ["<pad>", "<s>", "<|user|>", "<|assistant|>", "<|end|>"]
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}<|assistant|>"
    "{% generation %}{{ message['content'] }}<|end|>{% endgeneration %}"
    "{% else %}<|user|>{{ message['content'] }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


OLD, NEW = BASE_GROUPS = ("term/old", "term/toy")
"""The groups of texts of the base that `with_base` samples."""


@dataclass
class TinyPolicy:
    """What an update method needs of a policy."""

    model: Any
    tokenizer: Any
    base: Any = None
    load_base: Any = None
    autocast_dtype: Any = None
    prefix_caching: bool = True

    def autocast(self) -> AbstractContextManager[object]:
        """See `LanguagePolicy.autocast`."""
        return Precision(self.model.dtype, self.autocast_dtype).context(self.model.device)


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """One token a character, and five special ones; `<|end|>` ends a turn."""
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *CHARACTERS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(SPECIAL)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="<|end|>",
        unk_token="?",
        additional_special_tokens=["<|user|>", "<|assistant|>"],
        chat_template=TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def tiny_policy_parts(seed: int = 0) -> tuple[Any, Any]:
    """A random model of two layers, in evaluation mode, and its tokenizer. Leaves the generators as they were."""
    tokenizer = tiny_tokenizer()
    model = random_model(
        LlamaConfig,
        tokenizer,
        seed=seed,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=128,
    )
    return model, tokenizer


def tiny_policy(seed: int = 0) -> TinyPolicy:
    """A fresh policy; equal for equal seeds."""
    return TinyPolicy(*tiny_policy_parts(seed))


def tiny_lora_policy(seed: int = 0) -> TinyPolicy:
    """The same model with one adapter, whose two halves are both random, so that it is not the base."""
    from peft import LoraConfig, get_peft_model

    model, tokenizer = tiny_policy_parts(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
        model = get_peft_model(model, config)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.02)
    return TinyPolicy(model.eval(), tokenizer)


def with_base(policy: TinyPolicy, texts: int = 6) -> LanguagePolicy:
    """The policy, which is the base now, with as many texts of the base in each group as asked for."""
    whole = LanguagePolicy(policy.model, policy.tokenizer)
    prompts = {name: [f"say {letter}" for letter in CHARACTERS[at : at + texts]] for at, name in enumerate(BASE_GROUPS)}
    sampled = sample_base_texts(whole, prompts, max_completion_length=5, batch_size=texts, seed=3)
    whole.base = Base(sampled)
    return whole
