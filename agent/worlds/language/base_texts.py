"""The base's side of the KL, computed once: texts sampled from it, and its hidden states at each position.

Axes: S texts, T tokens, R rows (one a position of a completion, over all texts of a task), H hidden, V vocabulary. A
measurement costs one forward pass of the policy over the texts, and no second model: the base's last hidden states are
kept, and its output head turns them into log-probabilities again, a chunk of rows at a time. The head is a copy, or,
where no update changes it (LoRA), the model's own.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from perdure.agent.seeds import derive
from perdure.agent.weights import read_tensors, write_tensors
from perdure.agent.worlds.language.head import float32_head, free_memory, logits, rows_at_once
from perdure.agent.worlds.language.policy import LanguagePolicy
from perdure.agent.worlds.language.texts import Texts, alike, joined, padded
from perdure.agent.worlds.language.turns import TokenIds
from perdure.budget import ranks
from perdure.budget.divergence import divergences
from perdure.budget.estimate import Group
from perdure.budget.monitor import Measurement
from perdure.curriculum.counting import expect
from perdure.curriculum.worlds.language.environments import EnvironmentPrompt
from perdure.eval.unwrapped import unwrapped

BATCH_TOKENS = 2048
PASS_TOKENS = 32
"""Tokens that take as long on a CPU as a forward pass does beside its tokens (36 of the built-in model)."""


class BaseTexts:
    """Measures a policy against the base that the texts came from."""

    def __init__(
        self,
        policy: LanguagePolicy,
        texts: Mapping[str, Texts],
        head: Mapping[str, Tensor],
        chunk_rows: int | None = None,
    ) -> None:
        self.texts = dict(texts)
        self.policy = policy
        self._device = unwrapped(policy.model).get_output_embeddings().weight.device
        self._head: dict[str, Tensor] | None = {name: tensor.to(self._device) for name, tensor in head.items()}
        self._file: Path | None = None
        vocabulary = int(unwrapped(policy.model).get_output_embeddings().weight.shape[0])
        rows = sum(map(sum, (one.rows_S for one in texts.values())))
        self.chunk_rows = chunk_rows or rows_at_once(rows, vocabulary, free_memory(policy.model.device))
        """Rows whose logits are held at once."""

    @property
    def head(self) -> dict[str, Tensor]:
        """The base's head; empty where it is not plain: then `hidden_RH` holds logits."""
        if self._head is None:
            assert self._file is not None, "`put_away` names it"
            self._head = {name: tensor.to(self._device) for name, tensor in read_tensors(self._file).items()}
        return self._head

    def put_away(self, folder: Path) -> None:
        """Leave the head in its file until it is asked for, on a CPU, whose memory it would share with training."""
        if self._device.type == "cpu" and self._head and not _frozen_head(self.policy):
            self._file, self._head = folder / HEAD_FILE, None

    @contextmanager
    def head_at_hand(self) -> Iterator[None]:
        """A head that was put away is in memory inside, and not after."""
        away = self._head is None
        try:
            yield
        finally:
            if away:
                self._head = None

    def both_logits(self, base_CH: Tensor, policy_CH: Tensor) -> tuple[Tensor, Tensor]:
        """The logits of the base and of the policy as it is now, each (C, V), in float32."""
        if not self.head:
            return base_CH, policy_CH
        live = unwrapped(self.policy.model).get_output_embeddings()
        device = live.weight.device  # with a device map neither the model's first nor that of the states
        base_CV = logits(base_CH.to(device), self.head["weight"], self.head.get("bias"))
        return base_CV, logits(policy_CH.to(device), live.weight, live.bias)

    def policy_logits(self, policy_CH: Tensor) -> Tensor:
        """The logits of the policy as it is now, (C, V), in float32."""
        if not self.head:
            return policy_CH
        live = unwrapped(self.policy.model).get_output_embeddings()
        return logits(policy_CH.to(live.weight.device), live.weight, live.bias)

    @torch.no_grad()
    def measure(self, names: Sequence[str]) -> Measurement:
        """Every divergence at every position, summed a text. Changes nothing.

        Of several tasks each gives an equal part of its texts, so that the cost and the standard error of a measurement
        hardly depend on the number of tasks.
        """
        with self.policy.inference_mode():
            parts = [self.texts[name].one_in(len(names)) for name in names]
            if len(parts) > 1 and self.head:
                groups = self._together(parts)
            else:
                groups = [_grouped(self._shared(part, self._sums), part) for part in parts]
        return Measurement(*zip(*groups, strict=True))

    def _together(self, parts: Sequence[Texts]) -> list[tuple[Group, ...]]:
        """The sums of every text of several groups, in few passes, whose texts are alike in length."""
        sums = iter(self._shared(joined(parts), self._sums_by_length))
        return [_grouped(list(islice(sums, len(part.ids_ST))), part) for part in parts]

    def _shared(self, texts: Texts, sums: Callable[[Texts], list[list[float]]]) -> list[list[float]]:
        """The sums of every text; each process of the run takes its share of the texts."""
        mine = texts if ranks.count() == 1 else texts.take(ranks.part_of(range(len(texts.ids_ST))))
        return ranks.whole(sums(mine) if len(mine.ids_ST) else [])

    def _sums_by_length(self, texts: Texts) -> list[list[float]]:
        padding = PASS_TOKENS if self._device.type == "cpu" else BATCH_TOKENS
        found: dict[int, list[float]] = {}
        for some in alike(texts.lengths_S.tolist(), BATCH_TOKENS, padding):
            found |= zip(some, self._sums(texts.take(some)), strict=True)
        return [found[index] for index in range(len(found))]

    def _sums(self, texts: Texts) -> list[list[float]]:
        """The sums over each text of the divergences."""
        parts = [
            self._divergences(texts, hidden_RH, rows)
            for hidden_RH, rows in forward(self.policy, texts, plain=bool(self.head))
        ]
        starts = [0, *accumulate(texts.rows_S)][:-1]
        sums: list[list[float]] = np.add.reduceat(torch.cat(parts, dim=1).double().numpy(), starts, axis=1).T.tolist()
        return sums

    def _divergences(self, texts: Texts, hidden_RH: Tensor, rows: slice) -> Tensor:
        """The divergences of some rows, stacked in the order of `Measurement`: shape (6, rows)."""
        base_RH = texts.hidden_RH[rows].to(hidden_RH.device)
        chunk = self.chunk_rows
        parts = []
        for start in range(0, len(base_RH), chunk):
            some = slice(start, start + chunk)
            found = divergences(*self.both_logits(base_RH[some], hidden_RH[some]))
            kinds = (found.kl_base_to_policy_N, found.kl_policy_to_base_N)
            bounded = (found.total_variation_N, found.l2_distributions_N, found.jensen_shannon_N, found.hellinger_N)
            parts.append(torch.stack((*kinds, *bounded)).cpu())
        return torch.cat(parts, dim=1)


def _grouped(sums_SK: Sequence[Sequence[float]], texts: Texts) -> tuple[Group, ...]:
    rows = tuple(texts.rows_S)
    return tuple(Group(tuple(sums_S), rows) for sums_S in zip(*sums_SK, strict=True))


@torch.no_grad()
def sample_base_texts(
    policy: LanguagePolicy,
    prompts: Mapping[str, Sequence[Any]],
    *,
    max_completion_length: int,
    batch_size: int,
    seed: int,
) -> BaseTexts:
    """Sample one text a prompt from the policy, which must be the base now, at temperature 1 without truncation.

    Texts are ordered by the length of their prompts, so that a measurement pads little.
    """
    with policy.inference_mode():
        head = copy_head(policy, torch.tensor([policy.encode(next(iter(prompts.values()))[0])]))
    expect(sum(map(len, prompts.values())))
    texts = {}
    for name, some in prompts.items():
        sampled = _sampled(
            policy,
            some,
            max_completion_length=max_completion_length,
            batch_size=batch_size,
            temperature=1.0,
            seed=derive(seed, "base texts", name),
        )
        texts[name] = remember(policy, sampled, plain=bool(head))
    return BaseTexts(policy, texts, head)


@dataclass(frozen=True)
class Sampled:
    """A text that was sampled; `given`: which tokens of the completion the policy did not write, if any."""

    prompt: TokenIds
    completion: TokenIds
    given: Sequence[bool] = ()


def _sampled(policy: LanguagePolicy, prompts: Sequence[Any], **how: Any) -> list[Sampled]:
    """One text a prompt, ordered by the length of the prompts; of an environment an episode."""
    if any(isinstance(prompt, EnvironmentPrompt) for prompt in prompts):
        episodes = sorted(policy.play(prompts, **how), key=lambda one: len(one.prompt_ids))
        return [Sampled(one.prompt_ids, one.completion_ids, [not own for own in one.written]) for one in episodes]
    encoded = sorted(map(policy.encode, prompts), key=len)
    return [Sampled(*pair) for pair in zip(encoded, policy.sample(encoded, **how), strict=True)]


def remember(policy: LanguagePolicy, sampled: Sequence[Sampled], *, plain: bool) -> Texts:
    """The texts with the policy's last hidden states at their positions, or, unless `plain`, its logits."""
    whole = [one.prompt + one.completion for one in sampled]
    texts = padded(whole, [len(one.prompt) for one in sampled], policy.tokenizer.pad_token_id)
    given = [[*[False] * len(one.prompt), *one.given] for one in sampled]
    if any(map(any, given)):
        width = texts.ids_ST.shape[1]
        texts = replace(texts, given_ST=torch.tensor([row + [False] * (width - len(row)) for row in given]))
    with policy.inference_mode():
        hidden_RH = torch.cat([hidden.cpu() for hidden, _ in forward(policy, texts, plain=plain)])
    return replace(texts, hidden_RH=hidden_RH)


def forward(policy: LanguagePolicy, texts: Texts, *, plain: bool) -> Iterator[tuple[Tensor, slice]]:
    """Yield the last hidden states at the positions that predict a completion, and which rows they are.

    Unless `plain`, they are the logits.
    """
    done, device = 0, policy.model.device
    batch = max(1, BATCH_TOKENS // max(1, *texts.lengths_S.tolist()))
    for start in range(0, len(texts.ids_ST), batch):
        part = slice(start, start + batch)
        begins_S, ends_S = texts.prompt_lengths_S[part], texts.lengths_S[part]
        width = int(ends_S.max()) - 1  # the last token predicts nothing
        positions_T = torch.arange(width)
        mask_ST = (positions_T < ends_S[:, None]).long()
        predicts_ST = (positions_T >= begins_S[:, None] - 1) & (positions_T < ends_S[:, None] - 1)
        if texts.given_ST is not None:  # a position predicts the token after it
            predicts_ST &= ~texts.given_ST[part, 1 : width + 1]
        states_STH = _last_states(policy, texts.ids_ST[part, :width].to(device), mask_ST.to(device), plain)
        hidden_RH = states_STH[predicts_ST.to(device)]
        yield hidden_RH, slice(done, done + len(hidden_RH))
        done += len(hidden_RH)


def _last_states(policy: LanguagePolicy, ids_ST: Tensor, mask_ST: Tensor, plain: bool) -> Tensor:
    """Last hidden states (S, T, H) of a model with a plain head, logits (S, T, V) of any other."""
    inner = unwrapped(policy.model)
    run = inner.get_decoder() if plain else inner
    with policy.autocast(), float32_head(inner):
        output = run(input_ids=ids_ST, attention_mask=mask_ST, use_cache=False)
    return output.last_hidden_state if plain else output.logits  # type: ignore[no-any-return]


def copy_head(policy: LanguagePolicy, some_ids_ST: Tensor) -> dict[str, Tensor]:
    """The output layer, if the logits are that layer of the last hidden states and nothing more; else nothing.

    Models that scale or cap their logits are measured through their whole forward pass, and their logits are kept.
    """
    inner = unwrapped(policy.model)
    head = inner.get_output_embeddings()
    if not isinstance(head, nn.Linear):
        return {}
    ids_ST = some_ids_ST.to(inner.device)
    with policy.autocast():
        output = inner(input_ids=ids_ST, use_cache=False)
        states_STH = inner.get_decoder()(input_ids=ids_ST, use_cache=False).last_hidden_state
        if not torch.equal(head(states_STH), output.logits):
            return {}
    return _frozen_head(policy) or {name: tensor.detach().clone() for name, tensor in head.named_parameters()}


def _frozen_head(policy: LanguagePolicy) -> dict[str, Tensor]:
    """The output layer of the model itself, where no update changes it; else nothing."""
    parameters = dict(unwrapped(policy.model).get_output_embeddings().named_parameters())
    if any(one.requires_grad for one in parameters.values()):
        return {}
    return {name: one.detach() for name, one in parameters.items()}


HEAD_FILE = "head.safetensors"
NO_HEAD, MODELS_HEAD = "none", "model"
"""Names that stand in the file of the head where it holds none: logits are kept; the head is the model's own."""


def save_base_texts(base: BaseTexts, folder: Path) -> None:
    """Write texts, hidden states and the base's head unless it is the model's own, each file in one step."""
    for index, (name, texts) in enumerate(base.texts.items()):
        tensors = {key: tensor for key, tensor in vars(texts).items() if tensor is not None}
        write_tensors(tensors, folder / f"texts-{index:02d}.safetensors", {"task": name})
    mark = MODELS_HEAD if base.head and _frozen_head(base.policy) else NO_HEAD
    head = base.head if mark == NO_HEAD and base.head else {mark: torch.empty(0)}
    write_tensors(head, folder / HEAD_FILE)


def load_base_texts(policy: LanguagePolicy, names: Sequence[str], folder: Path) -> BaseTexts:
    """Read what `save_base_texts` wrote; `names` in the order in which they were sampled."""
    texts = {name: Texts(**read_tensors(folder / f"texts-{index:02d}.safetensors")) for index, name in enumerate(names)}
    head = read_tensors(folder / HEAD_FILE)
    if NO_HEAD in head:
        return BaseTexts(policy, texts, {})
    return BaseTexts(policy, texts, _frozen_head(policy) or head)
