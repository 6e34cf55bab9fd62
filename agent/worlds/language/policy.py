"""The policy of the language world: a causal language model, its tokenizer, and how it answers."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig

from perdure.agent.seeds import derive, seeded
from perdure.agent.weights import digest, frozen, trainable
from perdure.agent.worlds.checkpoints import without_bars
from perdure.agent.worlds.language.chat import encode_prompt
from perdure.agent.worlds.language.generation import end_tokens, pad_left, plain_generation, up_to_end
from perdure.agent.worlds.language.precision import Precision
from perdure.agent.worlds.language.quantization import all_frozen, quantization_of
from perdure.agent.worlds.language.turns import Episode, TokenIds, play
from perdure.budget import ranks
from perdure.curriculum.counting import count
from perdure.curriculum.worlds.language.environments import EnvironmentPrompt
from perdure.eval import shared_prefix
from perdure.eval.unwrapped import unwrapped


class LanguagePolicy:
    """A model trained in place; `frozen_digest` is the SHA-256 of what no update changes (LoRA: the base).

    `autocast_dtype` is that of `model.autocast`; `None`: it is off. With `prefix_caching` a prompt is computed once for
    all answers to it, where the model can (`shared_prefix.py`).
    """

    def __init__(
        self, model: Any, tokenizer: Any, autocast_dtype: torch.dtype | None = None, *, prefix_caching: bool = True
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.autocast_dtype = autocast_dtype
        self.prefix_caching = prefix_caching
        self.truncated: list[bool] = []
        self.base: Any = None
        """The base beside it (`base_loss.Base`), once its texts are sampled."""
        self.load_base: Callable[[], Any] | None = None
        """Loads the original base a second time and checks that it is the same; `None` with an adapter."""
        self.server: Any = None
        """The `vllm.server.VllmServer` that answers in place of transformers, if any."""
        self.quantization = quantization_of(model)
        self.frozen_digest = digest(all_frozen(model) if self.quantization else frozen(model))
        self._start = {name: tensor.clone() for name, tensor in trainable(model).items()} if self.is_adapter else None

    @property
    def precision(self) -> Precision:
        """The formats of its weights and of autocast."""
        return Precision(self.model.dtype, self.autocast_dtype, self.quantization)

    @property
    def end_tokens(self) -> list[int]:
        """The tokens that end an answer."""
        return sorted(end_tokens(self.model, self.tokenizer))

    def autocast(self) -> AbstractContextManager[object]:
        """Autocast as it is set, inside: every forward pass outside of a trainer is under it."""
        return self.precision.context(self.model.device)

    @property
    def is_adapter(self) -> bool:
        """True where only a LoRA adapter is trained."""
        return hasattr(self.model, "peft_config")

    def respond(
        self,
        prompts: Sequence[Any],
        *,
        max_completion_length: int,
        batch_size: int,
        temperature: float = 0.0,
        num_samples: int = 1,
        seed: int = 0,
    ) -> list[list[str]]:
        """See `Policy.respond`. Samples are drawn from the whole vocabulary, untruncated."""
        if any(isinstance(prompt, EnvironmentPrompt) for prompt in prompts):
            several = [prompt for prompt in prompts for _ in range(num_samples)]
            episodes = self.play(
                several,
                max_completion_length=max_completion_length,
                batch_size=batch_size,
                temperature=temperature,
                seed=seed,
            )
            self.truncated = [self._is_cut(one.completion_ids, max_completion_length) for one in episodes]
            played = [one.text for one in episodes]
            return [played[start : start + num_samples] for start in range(0, len(played), num_samples)]
        encoded = [self.encode(prompt) for prompt in prompts]
        rows = self.sample(
            [tokens for tokens in encoded for _ in range(num_samples)],
            max_completion_length=max_completion_length,
            batch_size=batch_size,
            temperature=temperature,
            seed=seed,
        )
        self.truncated = [self._is_cut(row, max_completion_length) for row in rows]
        texts = self.tokenizer.batch_decode(rows, skip_special_tokens=True)
        return [texts[start : start + num_samples] for start in range(0, len(texts), num_samples)]

    def play(
        self,
        prompts: Sequence[EnvironmentPrompt],
        *,
        max_completion_length: int,
        batch_size: int,
        temperature: float,
        seed: int,
    ) -> list[Episode]:
        """An episode of each prompt of an environment; lengths count what its tools return. Raises as `turns.play`."""

        def generate(some: list[TokenIds], turn: int) -> list[TokenIds]:
            return self.sample(
                some,
                max_completion_length=max_completion_length,
                batch_size=batch_size,
                temperature=temperature,
                seed=derive(seed, "turn", str(turn)) if turn else seed,
            )

        return play(self.tokenizer, unwrapped(self.model), prompts, length=max_completion_length, generate=generate)

    def _is_cut(self, row: TokenIds, length: int) -> bool:
        return len(row) >= length and row[-1] not in self.end_tokens

    def encode(self, prompt: Any) -> TokenIds:
        """The tokens of a prompt. Raises as `chat.encode_prompt`."""
        return encode_prompt(self.tokenizer, prompt)

    @torch.no_grad()
    def sample(
        self,
        prompts: Sequence[TokenIds],
        *,
        max_completion_length: int,
        batch_size: int,
        temperature: float,
        seed: int,
    ) -> list[TokenIds]:
        """One completion a prompt, with its end-of-turn token if it has one; prompts of like length go together.

        Each process of the run answers its share of the prompts.
        """
        if self.server is not None:
            more = {"max_tokens": max_completion_length, "temperature": temperature, "seed": seed}
            return self.server.sample(self, prompts, **more)  # type: ignore[no-any-return]
        config = self._generation_config(max_completion_length, temperature)
        order = sorted(range(len(prompts)), key=lambda index: -len(prompts[index]))
        mine = self._answered([prompts[index] for index in ranks.part_of(order)], config, batch_size, seed)
        completions: list[TokenIds] = [[] for _ in prompts]
        for index, answer in zip(order, ranks.whole(mine), strict=True):
            completions[index] = answer
        return completions

    def _answered(
        self, prompts: Sequence[TokenIds], config: GenerationConfig, batch_size: int, seed: int
    ) -> list[TokenIds]:
        """A completion of each prompt, in this order."""
        completions = []
        seed = derive(seed, "process", str(ranks.rank())) if ranks.rank() else seed
        with seeded(seed), self.inference_mode():
            for start in range(0, len(prompts), batch_size):
                padded = pad_left(prompts[start : start + batch_size], self.tokenizer.pad_token_id)
                ids_BT, mask_BT = (tensor.to(self.model.device) for tensor in padded)
                with self.autocast():
                    output_BT = shared_prefix.generate(self.model, ids_BT, mask_BT, config, share=self.prefix_caching)
                rows = output_BT[:, ids_BT.shape[1] :].tolist()
                completions += [up_to_end(row, config.eos_token_id) for row in rows]
                count(len(rows) * ranks.count())
        return completions

    def fingerprint(self) -> str:
        """See `Policy.fingerprint`. The part that is never trained is hashed once."""
        return sha256((self.frozen_digest + digest(trainable(self.model))).encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write weights (the adapter's alone with LoRA), tokenizer and configuration, as transformers or peft do."""
        folder.mkdir(parents=True, exist_ok=True)
        with without_bars():
            self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    @torch.no_grad()
    def restore(self, folder: Path) -> None:
        """Take the weights that `save` wrote to `folder`, in place."""
        if self.is_adapter:
            from peft import load_peft_weights, set_peft_model_state_dict

            set_peft_model_state_dict(self.model, load_peft_weights(str(folder), device="cpu"))
        else:
            with without_bars():
                saved = type(self.model).from_pretrained(folder, dtype=self.model.dtype, use_safetensors=True)
            self.model.load_state_dict(saved.state_dict())

    @torch.no_grad()
    def become_base(self, reload: Any) -> None:
        """Return to the original base; `reload()` loads it afresh where the weights themselves are trained."""
        if self._start is not None:
            for name, tensor in trainable(self.model).items():
                tensor.copy_(self._start[name])
        else:
            self.model.load_state_dict(reload().state_dict())

    @contextmanager
    def inference_mode(self) -> Iterator[None]:
        """Evaluation mode, key-value cache and plain generation inside; everything as it was after."""
        modes = [(module, module.training) for module in self.model.modules()]
        had_cache = self.model.config.use_cache
        self.model.eval()
        self.model.config.use_cache = True
        try:
            with plain_generation(self.model):
                yield
        finally:
            for module, training in modes:
                module.training = training
            self.model.config.use_cache = had_cache

    def _generation_config(self, length: int, temperature: float) -> GenerationConfig:
        """Every truncation and penalty is switched off, whatever the model's own defaults are."""
        sampling = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0} if temperature else {}
        return GenerationConfig(
            max_new_tokens=length,
            pad_token_id=self.tokenizer.pad_token_id,
            eos_token_id=self.end_tokens,
            repetition_penalty=1.0,
            no_repeat_ngram_size=0,
            **({"do_sample": False} | sampling),
        )
