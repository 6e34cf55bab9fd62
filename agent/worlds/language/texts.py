"""Texts that were sampled from the base, and which of their tokens it wrote.

Axes: S texts, T tokens, R rows (one a token that the base wrote, over all texts), H hidden.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby

import torch
from torch import Tensor, nn

from perdure.agent.worlds.language.turns import TokenIds


@dataclass(frozen=True)
class Texts:
    """Texts sampled from the base on the prompts of one task, padded on the right."""

    ids_ST: Tensor
    prompt_lengths_S: Tensor
    lengths_S: Tensor
    hidden_RH: Tensor
    given_ST: Tensor | None = None
    """True for tokens after the prompt that the base did not write, as tools return them; `None`: there are none."""

    @property
    def rows_S(self) -> list[int]:
        """The number of positions of each text: one for each token that the base added."""
        added_S = self.lengths_S - self.prompt_lengths_S
        return (added_S if self.given_ST is None else added_S - self.given_ST.sum(1)).tolist()

    @property
    def spans_S(self) -> list[list[tuple[int, int]]]:
        """The runs of tokens that the base wrote, of each text: where they begin and end."""
        return [_runs(row) for row in self._written_ST.tolist()]

    @property
    def _written_ST(self) -> Tensor:
        positions_T = torch.arange(self.ids_ST.shape[1])
        written_ST = (positions_T >= self.prompt_lengths_S[:, None]) & (positions_T < self.lengths_S[:, None])
        return written_ST if self.given_ST is None else written_ST & ~self.given_ST

    @property
    def completions_R(self) -> Tensor:
        """The token that the base wrote at every position."""
        return self.ids_ST[self._written_ST]

    def one_in(self, count: int) -> "Texts":
        """Every `count`-th text, but at least two. The texts are in the order of their length, so all lengths stay."""
        total = len(self.ids_ST)
        if count == 1 or total <= 2:
            return self
        chosen = list(range(count // 2, total, count))
        if len(chosen) < 2:
            chosen = [0, total - 1]
        return self.take(chosen)

    def take(self, chosen: Sequence[int]) -> "Texts":
        """The texts of these numbers, in this order."""
        ends = list(accumulate(self.rows_S))
        starts = [0, *ends]
        hidden_RH = torch.cat([self.hidden_RH[:0], *(self.hidden_RH[starts[index] : ends[index]] for index in chosen)])
        index_S = torch.tensor(list(chosen), dtype=torch.long)
        given_ST = None if self.given_ST is None else self.given_ST[index_S]
        return Texts(self.ids_ST[index_S], self.prompt_lengths_S[index_S], self.lengths_S[index_S], hidden_RH, given_ST)


def joined(parts: Sequence[Texts]) -> Texts:
    """The texts of several groups, one after another; shorter ones are padded with 0, which nothing reads."""
    width = max(part.ids_ST.shape[1] for part in parts)
    ids_ST = torch.cat([nn.functional.pad(part.ids_ST, (0, width - part.ids_ST.shape[1])) for part in parts])
    prompts_S = torch.cat([part.prompt_lengths_S for part in parts])
    lengths_S = torch.cat([part.lengths_S for part in parts])
    given_ST = None
    if any(part.given_ST is not None for part in parts):
        masks = [
            torch.zeros_like(part.ids_ST, dtype=torch.bool) if one is None else one
            for part in parts
            for one in (part.given_ST,)
        ]
        given_ST = torch.cat([nn.functional.pad(one, (0, width - one.shape[1])) for one in masks])
    return Texts(ids_ST, prompts_S, lengths_S, torch.cat([part.hidden_RH for part in parts]), given_ST)


def alike(lengths: Sequence[int], tokens: int, padding: int) -> list[list[int]]:
    """The texts of these lengths by length, in batches of at most so many `tokens`, and of `padding` among them."""
    batches: list[list[int]] = []
    padded_so_far = 0
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        last = batches[-1] if batches else []
        padded_so_far += len(last) * (lengths[index] - lengths[last[-1]]) if last else 0
        if last and padded_so_far <= padding and (len(last) + 1) * lengths[index] <= tokens:
            last.append(index)
        else:
            batches.append([index])
            padded_so_far = 0
    return batches


def _runs(written: Sequence[bool]) -> list[tuple[int, int]]:
    """The runs of true values: where they begin and end."""
    places = groupby(range(len(written)), key=written.__getitem__)
    runs = [list(some) for is_written, some in places if is_written]
    return [(some[0], some[-1] + 1) for some in runs]


def padded(whole: Sequence[TokenIds], prompt_lengths: Sequence[int], pad: int) -> Texts:
    """Texts of prompt and completion together, without hidden states."""
    width = max(map(len, whole))
    return Texts(
        ids_ST=torch.tensor([row + [pad] * (width - len(row)) for row in whole]),
        prompt_lengths_S=torch.tensor(prompt_lengths),
        lengths_S=torch.tensor([len(row) for row in whole]),
        hidden_RH=torch.empty(0),
    )
