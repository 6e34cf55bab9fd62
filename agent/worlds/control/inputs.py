"""Observations as tensors. Axes: N decisions, F numbers, H W C of an image, L words, K hashes of a word."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor

from perdure.curriculum.worlds.control.environments.contract import Observation

ROWS = 1024
"""Rows of the table of words."""
HASHES = 3
"""Rows that a word is the sum of. The hashes are independent: two words have all in common once in 1024³ pairs."""
WORDS = 8
"""Instructions are filled up to a multiple of so many words, whatever stands beside them."""


@dataclass(frozen=True)
class Inputs:
    """N observations.

    Attributes:
        vector: shape (N, F), float32.
        image: shape (N, H, W, C), float32: pixels from 0 to 1, or planes; (N, 0, 0, 0) without images. For a VLA what
            its processor made of them, (N, …).
        words: rows of the table of words, shape (N, L, K); -1 behind the last word. For a VLA the tokens of the prompt,
            (N, L, 1).
    """

    vector: Tensor
    image: Tensor
    words: Tensor

    def __len__(self) -> int:
        return len(self.vector)

    def __getitem__(self, rows: Tensor | slice) -> "Inputs":
        return Inputs(*(getattr(self, one.name)[rows] for one in fields(self)))

    def cut(self, length: int) -> "Inputs":
        """The same with instructions of `length` words, of which no row has more; filled up where they are shorter."""
        words = torch.nn.functional.pad(
            self.words[:, :length], (0, 0, 0, max(0, length - self.words.shape[1])), value=-1
        )
        return Inputs(self.vector, self.image, words)

    def of_like_length(self) -> Iterator[tuple[Tensor, int]]:
        """The rows whose instructions have the same length, rounded up to a multiple of `WORDS`, and that length."""
        lengths_N = (self.words[:, :, 0] >= 0).sum(1)
        rounded_N = WORDS * torch.div(lengths_N + WORDS - 1, WORDS, rounding_mode="floor")
        for length in sorted(set(rounded_N.tolist())):
            yield (rounded_N == length).nonzero()[:, 0], length

    def to(self, device: torch.device) -> "Inputs":
        """The same on a device."""
        return Inputs(*(getattr(self, one.name).to(device) for one in fields(self)))


def inputs_of(observations: Sequence[Observation]) -> Inputs:
    """Observations of equal shapes as tensors; no numbers at all without one."""
    if not observations:
        return Inputs(torch.zeros(0, 0), torch.zeros(0, 0, 0, 0), torch.zeros(0, 1, HASHES, dtype=torch.int64))
    vector = torch.from_numpy(np.stack([one.vector for one in observations]))
    return Inputs(vector, _images(observations), _words(observations))


def joined(parts: Sequence[Inputs]) -> Inputs:
    """Inputs one behind the other; instructions are filled up to the longest."""
    if not parts:
        return inputs_of([])
    longest = max(one.words.shape[1] for one in parts)
    words = [torch.nn.functional.pad(one.words, (0, 0, 0, longest - one.words.shape[1]), value=-1) for one in parts]
    return Inputs(torch.cat([one.vector for one in parts]), torch.cat([one.image for one in parts]), torch.cat(words))


def _images(observations: Sequence[Observation]) -> Tensor:
    if observations[0].image is None:
        return torch.zeros(len(observations), 0, 0, 0)
    images = torch.from_numpy(np.stack([np.ascontiguousarray(one.image) for one in observations]))
    return images.float() / 255 if images.dtype == torch.uint8 else images.float()


def _words(observations: Sequence[Observation]) -> Tensor:
    rows = [rows_of(one.instruction) for one in observations]
    longest = max(1, *map(len, rows)) if len(rows) > 1 else max(1, len(rows[0]))
    words = np.full((len(rows), longest, HASHES), -1, np.int64)
    for index, one in enumerate(rows):
        if one:
            words[index, : len(one)] = one
    return torch.from_numpy(words)


@lru_cache(maxsize=10_000)
def rows_of(instruction: str) -> tuple[tuple[int, ...], ...]:
    """The rows of each word of an instruction (Bloom embeddings, Serrà and Karatzoglou, arXiv 1706.03993).

    No vocabulary has to be known before a new task's words are.
    """
    return tuple(map(_hashes, instruction.lower().replace(",", " ").split()))


def _hashes(word: str) -> tuple[int, ...]:
    """Independent ones: checksums of a word with several salts are not, and coincide all at once."""
    found = blake2b(word.encode(), digest_size=2 * HASHES).digest()
    return tuple(int.from_bytes(found[one : one + 2]) % ROWS for one in range(0, 2 * HASHES, 2))
