"""A transformer on the patches of an image, a vector, and the words of an instruction (pre-norm, arXiv 2002.04745).

Axes as in `inputs.py`; P patches, T tokens: one that is read at the end, the vector's, the patches', the words'.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, pad, scaled_dot_product_attention

from perdure.agent.worlds.control.inputs import Inputs
from perdure.agent.worlds.control.networks.parts import Heads, Words


class Block(nn.Module):
    """Attention and two layers with GELU, each after a layer norm and beside the identity; no dropout."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.norm_inner = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.out, self.up, self.down = nn.Linear(width, width), nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, tokens_NTE: Tensor, there_N11T: Tensor, queries: int) -> Tensor:
        """The first `queries` tokens after the block."""
        count, _, width = tokens_NTE.shape
        normed_NTE = self.norm(tokens_NTE)

        def of_heads(one_NTE: Tensor) -> Tensor:
            return one_NTE.view(count, -1, self.heads, width // self.heads).transpose(1, 2)

        key, value = self.key_value(normed_NTE).chunk(2, dim=-1)
        query = self.query(normed_NTE[:, :queries])
        read = scaled_dot_product_attention(of_heads(query), of_heads(key), of_heads(value), attn_mask=there_N11T)
        units = tokens_NTE[:, :queries] + self.out(read.transpose(1, 2).reshape(count, queries, width))
        found: Tensor = units + self.down(gelu(self.up(self.norm_inner(units))))
        return found


class TransformerNetwork(nn.Module):
    """Heads on the first token, which belongs to no part of the observation.

    Args:
        features: numbers of the vector.
        image: (H, W, C); zeros where there is none. It is filled up with zeros to whole patches.
        sizes: values of each dimension of the action.
    """

    def __init__(
        self,
        features: int,
        image: Sequence[int],
        sizes: Sequence[int],
        *,
        width: int,
        layers: int,
        heads: int,
        patch: int,
    ) -> None:
        super().__init__()
        self.patch = patch
        height, breadth, planes = image
        patches = math.ceil(height / patch) * math.ceil(breadth / patch)
        self.patches = nn.Linear(patch * patch * planes, width) if patches else None
        self.vector = nn.Linear(features, width) if features else None
        self.words = Words(width)
        self.places = nn.Parameter(0.02 * torch.randn(1 + bool(features) + patches, width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.heads = Heads(width, sizes)

    def forward(self, inputs: Inputs) -> Tensor:
        """Logits (N, D, B)."""
        tokens_NTE, there_N11T = self._tokens(inputs)
        *others, last = self.blocks
        for block in others:
            tokens_NTE = block(tokens_NTE, there_N11T, tokens_NTE.shape[1])
        read_N1E = last(tokens_NTE, there_N11T, 1)
        logits_NDB: Tensor = self.heads(self.norm(read_N1E[:, 0]))
        return logits_NDB

    def _tokens(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """The tokens, and which of them are there: words behind the last are not."""
        count = len(inputs)
        seen = [torch.zeros(count, 1, self.places.shape[1], device=self.places.device)]
        if self.vector is not None:
            seen.append(self.vector(inputs.vector)[:, None])
        if self.patches is not None:
            seen.append(self.patches(patches_of(inputs.image, self.patch)))
        words_NLE = self.words(inputs.words)
        words_NLE = words_NLE + sinusoids(words_NLE.shape[1], words_NLE.shape[2]).to(words_NLE)
        there_NL = inputs.words[:, :, 0] >= 0
        always_NS = there_NL.new_ones(count, len(self.places))
        tokens_NTE = torch.cat([torch.cat(seen, dim=1) + self.places, words_NLE], dim=1)
        return tokens_NTE, torch.cat([always_NS, there_NL], dim=1)[:, None, None]


def patches_of(image_NHWC: Tensor, size: int) -> Tensor:
    """An image in patches of `size` by `size`, row by row: (N, P, size · size · C)."""
    count, height, breadth, planes = image_NHWC.shape
    whole = pad(image_NHWC, (0, 0, 0, -breadth % size, 0, -height % size))
    rows, columns = whole.shape[1] // size, whole.shape[2] // size
    cut = whole.view(count, rows, size, columns, size, planes).transpose(2, 3)
    return cut.reshape(count, rows * columns, size * size * planes)


def sinusoids(length: int, width: int) -> Tensor:
    """Positions as sines and cosines (arXiv 1706.03762), for instructions of any length: (length, width)."""
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    angles = torch.arange(length)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :width]
