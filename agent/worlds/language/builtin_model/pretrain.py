"""Makes `builtin:tiny`, the small chat model that perdure ships, from nothing: `make tiny`.

A Llama of 3.4 million parameters and its tokenizer learn the synthetic skills of `curriculum/worlds/language/skills`
in one pass over an endless stream; only the answers carry loss. One thread and fixed seeds: on one machine with one
version of torch the weights come out the same to the bit. `scores.json` says what the model can do.
"""

import argparse
import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from perdure.agent.worlds.language.builtin_model.scores import score
from perdure.curriculum.task import Item
from perdure.curriculum.worlds.language.skills.phrases import WORDS
from perdure.curriculum.worlds.language.skills.skills import SKILLS, stream_example

FOLDER = Path(__file__).parent / "tiny"
BOS, END, PAD, USER, ASSISTANT = SPECIAL_TOKENS = ("<|bos|>", "<|end|>", "<|pad|>", "<|user|>", "<|assistant|>")
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message.role == 'assistant' %}<|assistant|>{% generation %}{{ message.content }}<|end|>{% endgeneration %}"
    "{% else %}<|user|>{{ message.content }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SHARES = {"chain_sum": 3.0, "say_word": 1.5, "next_letter": 0.5, "calendar": 0.5, "capitals": 0.5}  # the others: 1
CONTEXT = 256


@dataclass(frozen=True)
class TrainingRecipe:
    """How the model is trained."""

    steps: int = 4200
    batch: int = 64
    learning_rate: float = 1.5e-3
    warmup: int = 200
    weight_decay: float = 0.05
    seed: int = 0


def example_stream(seed: int) -> Iterator[Item]:
    """Pretraining examples without end, the skills mixed by their shares."""
    rng = Random(seed)
    names, weights = list(SKILLS), [SHARES.get(name, 1.0) for name in SKILLS]
    while True:
        yield stream_example(SKILLS[rng.choices(names, weights)[0]], rng)


def make_tokenizer(vocabulary: int = 1024, examples: int = 20_000) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of the stream's text, every digit and every listed word one token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    stream = example_stream(seed=-1)
    items = [next(stream) for _ in range(examples)]
    texts = [text for item in items for text in (item.prompt, item.demonstration)]
    tokenizer.train_from_iterator(texts + list(WORDS) * 200, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[USER, ASSISTANT],
        chat_template=CHAT_TEMPLATE,
        padding_side="left",
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def make_model(tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    """The untrained model."""
    torch.manual_seed(seed)
    ids = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=688,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        **ids,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(do_sample=False, **ids)
    return model


def encode(
    tokenizer: PreTrainedTokenizerFast, items: Sequence[Item], per_row: int = 4
) -> tuple[Tensor, Tensor, Tensor]:
    """Token ids, positions (from 0 in each of a row's `per_row` examples) and labels (-100: no loss): [row, time]."""
    prompts = tokenizer([f"{BOS}{USER}{item.prompt}{ASSISTANT}" for item in items]).input_ids
    answers = tokenizer([f"{item.demonstration}{END}" for item in items]).input_ids
    pairs = list(zip(prompts, answers, strict=True))
    rows = [pairs[start : start + per_row] for start in range(0, len(pairs), per_row)]
    ids = [[token for prompt, answer in row for token in prompt + answer] for row in rows]
    places = [[place for prompt, answer in row for place in range(len(prompt + answer))] for row in rows]
    labels = [[label for prompt, answer in row for label in [-100] * len(prompt) + answer] for row in rows]
    return _padded(ids, tokenizer.pad_token_id), _padded(places, 0), _padded(labels, -100)


def answer_loss(model: LlamaForCausalLM, ids: Tensor, positions: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of the answers' tokens; transformers keeps apart examples that each start at position 0."""
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model.model(input_ids=ids, position_ids=positions, use_cache=False).last_hidden_state[:, :-1]
        wanted = labels[:, 1:] != -100
        logits = model.lm_head(hidden[wanted])
    return cross_entropy(logits.float(), labels[:, 1:][wanted])


def train(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, recipe: TrainingRecipe) -> None:
    """AdamW with warm-up and a cosine down to nothing."""
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=recipe.weight_decay, fused=True
    )
    schedule = LambdaLR(optimizer, lambda step: _rate(step, recipe))
    stream = example_stream(recipe.seed)
    model.set_attn_implementation("eager")  # for rows this short it beats torch's fused attention on a CPU
    model.train()
    for step in range(1, recipe.steps + 1):
        loss = answer_loss(model, *encode(tokenizer, [next(stream) for _ in range(recipe.batch)]))
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step % 100 == 0:
            print(f"step {step} of {recipe.steps}: loss {loss.item():.3f}", flush=True)
    model.eval()


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """An ordinary checkpoint that `from_pretrained` loads."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main() -> None:
    """Trains, saves and scores."""
    parser = argparse.ArgumentParser(description="Make the built-in model from nothing.")
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder to write")
    parser.add_argument("--steps", type=int, default=TrainingRecipe.steps, help="training steps")
    arguments = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    recipe = TrainingRecipe(steps=arguments.steps)
    began = time.monotonic()
    tokenizer = make_tokenizer()
    model = make_model(tokenizer, recipe.seed)
    train(model, tokenizer, recipe)
    save(model, tokenizer, arguments.output)
    seconds = round(time.monotonic() - began)
    report = score(arguments.output, steps=recipe.steps, seed=recipe.seed, seconds=seconds)
    (arguments.output / "scores.json").write_text(json.dumps(report, indent=2) + "\n")


def _padded(rows: Sequence[Sequence[int]], filler: int) -> Tensor:
    length = max(len(row) for row in rows)
    return torch.tensor([[*row, *[filler] * (length - len(row))] for row in rows])


def _rate(step: int, recipe: TrainingRecipe) -> float:
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    return 0.5 * (1 + math.cos(math.pi * (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)))


if __name__ == "__main__":
    main()
