"""Actions as tokens of a language model, as OpenVLA has them (arXiv 2406.09246).

Axes: D dimensions of the action, B bins.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from perdure.budget.errors import ConfigError, ModelError
from perdure.curriculum.messages import did_you_mean, one_line
from perdure.curriculum.worlds.control.actions import Actions, NoActionError
from perdure.curriculum.worlds.control.vla import TokenPolicy

CONTINUOUS = ("pi0", "pi05", "smolvla", "gr00t", "octo")
"""Kinds of models whose actions are numbers, by flow matching or diffusion."""

EDGES = (-1.0, 1.0)
"""The range of normalised actions, which the bins divide."""


@dataclass(frozen=True, eq=False)
class TokenActions(Actions):
    """Actions whose dimensions are tokens: `sizes` are those of the vocabulary, `values` are of the B action tokens.

    B numbers from -1 to 1 are the edges of B - 1 bins; a bin stands for its centre. As in OpenVLA, the last token
    stands for the last centre too: only an action of the upper bound or above is encoded as it.

    Attributes:
        tokens: ids of the action tokens, lowest value first, shape (B,).
        low, high: the actions that -1 and 1 stand for, shape (D,).
        scaled: false for a dimension whose numbers are taken as they are, shape (D,).
    """

    tokens: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    scaled: NDArray[np.bool_]

    def stands_for_the_same(self, other: "TokenActions") -> bool:
        """True if each token means the same in both."""
        assert self.values is not None and other.values is not None, "token actions have values"
        return np.array_equal(self.values, other.values) and np.array_equal(self.tokens, other.tokens)

    def decode(self, chosen_D: NDArray[np.int64]) -> Any:
        """The action of D tokens.

        Raises:
            NoActionError: a token is none of the action tokens.
        """
        bins_D = self.bins_of(chosen_D)
        if (bins_D < 0).any():
            first = int(np.argmax(bins_D < 0))
            raise NoActionError(f"no action token in dimension {first + 1}")
        assert self.values is not None, "token actions have values"
        return self.values[np.arange(len(bins_D)), bins_D].astype(self.space.dtype).reshape(self.space.shape)

    def bins_of(self, chosen_D: NDArray[np.int64]) -> NDArray[np.int64]:
        """The place of each token among the action tokens, -1 for one that is none."""
        same_DB = np.asarray(chosen_D)[:, None] == self.tokens
        return np.where(same_DB.any(1), same_DB.argmax(1), -1)

    def encode(self, action: Any) -> NDArray[np.int64]:
        """The tokens of the bins that an action lies in; beyond the bounds it is clipped to them, as in OpenVLA."""
        flat_D = np.asarray(action, np.float64).ravel()
        span_D = np.maximum(self.high - self.low, 1e-8)
        normal_D = np.where(self.scaled, 2 * (flat_D - self.low) / span_D - 1, flat_D)
        edges = np.linspace(*EDGES, len(self.tokens))
        found: NDArray[np.int64] = self.tokens[np.digitize(normal_D.clip(*EDGES), edges) - 1]
        return found

    def random(self, rng: np.random.Generator, count: int) -> NDArray[np.int64]:
        """Random action tokens, shape (count, D)."""
        return self.tokens[rng.integers(0, len(self.tokens), (count, len(self.sizes)))]


def token_actions(policy: TokenPolicy, bins: int, space: Any, where: str) -> TokenActions:
    """The action tokens of a checkpoint, for a continuous action space.

    Raises:
        ConfigError: another space, tokens that the vocabulary lacks, or statistics that do not fit.
        ModelError: the checkpoint cannot be read.
    """
    if not isinstance(space, spaces.Box):
        raise ConfigError(f"{where}: its action space is {space}; the tokens of a VLA stand for continuous actions")
    config = read_json(policy, "config.json")
    if config is None:
        raise ModelError(missing(policy))
    _refuse_continuous(policy, config)
    vocabulary = vocabulary_of(config)
    tokens_B = _tokens(policy, bins, config, vocabulary)
    low_D, high_D, scaled_D = _statistics(policy, config, space, where)
    edges = np.linspace(*EDGES, bins)
    centres_B = np.append((edges[:-1] + edges[1:]) / 2, (edges[-2] + edges[-1]) / 2)
    scaled_DB = (centres_B + 1) / 2 * (high_D - low_D)[:, None] + low_D[:, None]
    values_DB = np.where(scaled_D[:, None], scaled_DB, centres_B)
    return TokenActions((vocabulary,) * len(low_D), values_DB, space, tokens_B, low_D, high_D, scaled_D)


def vocabulary_of(config: dict[str, Any]) -> int:
    """The tokens that the model gives a probability to, padding rows included."""
    for section in (config.get("text_config") or {}, config):
        if isinstance(section.get("vocab_size"), int):
            return int(section["vocab_size"])
    if (config.get("text_config") or config).get("model_type") == "llama":
        return 32000  # configurations leave out what is LlamaConfig's default
    raise ModelError("model.policy.model_name_or_path: its config.json has no text_config.vocab_size, so that it is no "
                     "model of tokens; heads of continuous actions (flow matching, L1) have no exact KL")  # fmt: skip


def _refuse_continuous(policy: TokenPolicy, config: dict[str, Any]) -> None:
    """Refuse a head that gives numbers: there is no distribution over actions whose KL could be computed."""
    folder = Path(policy.model_name_or_path)
    heads = sorted(path.name for path in folder.glob("action_head*")) if folder.is_dir() else []
    kind = str(config.get("model_type", "")).lower()
    found = heads[0] if heads else kind if kind in CONTINUOUS else None
    if found is not None:
        raise ModelError(
            f"model.policy.model_name_or_path: {policy.title} has a continuous head ({found}), such as flow matching "
            "or an L1 head, which gives no probabilities; a policy needs action tokens, as OpenVLA has them"
        )


def _tokens(policy: TokenPolicy, bins: int, config: dict[str, Any], vocabulary: int) -> NDArray[np.int64]:
    said = config.get("n_action_bins")
    if isinstance(said, int) and said != bins:
        raise ConfigError(f"model.bins: {policy.title} has {said} bins (n_action_bins in its config.json), not {bins}")
    last = vocabulary - int(config.get("pad_to_multiple_of") or 0)
    tokens = list(range(last - 1, last - 1 - bins, -1)) if policy.action_tokens is None else policy.action_tokens
    place = "model.policy.action_tokens"
    if len(tokens) != bins or len(set(tokens)) != bins:
        raise ConfigError(f"{place}: {len(set(tokens))} different tokens for {bins} `bins`; give one a bin")
    image = config.get("image_token_id", config.get("image_token_index"))
    if image in tokens:
        raise ConfigError(f"{place}: {image} is the token of images; add tokens to the vocabulary, or list others")
    if not (min(tokens) >= 0 and max(tokens) < vocabulary):
        raise ConfigError(f"{place}: the vocabulary has tokens 0 to {vocabulary - 1}, not {min(tokens)}–{max(tokens)}")
    return np.array(tokens, np.int64)


def _statistics(
    policy: TokenPolicy, config: dict[str, Any], space: Any, where: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """The actions that -1 and 1 stand for, and which dimensions are scaled."""
    place, size = "model.policy.unnorm_key", int(np.prod(space.shape))
    known = read_json(policy, "dataset_statistics.json") or config.get("norm_stats")
    if not known:
        if policy.unnorm_key is not None:
            raise ConfigError(f"{place}: {policy.title} has no statistics of actions; leave it out")
        low_D, high_D = space.low.ravel().astype(np.float64), space.high.ravel().astype(np.float64)
        if not (np.isfinite(low_D).all() and np.isfinite(high_D).all()):
            raise ConfigError(
                f"{where}: its action space {space} has no finite bounds, and {policy.title} no statistics"
            )
        return low_D, high_D, np.ones(size, bool)
    if policy.unnorm_key is None and len(known) > 1:
        raise ConfigError(f"{place}: {policy.title} has statistics of {len(known)} data sets; name one of them: "
                          f"{', '.join(sorted(known))}")  # fmt: skip
    key = next(iter(known)) if policy.unnorm_key is None else policy.unnorm_key
    if key not in known:
        near = did_you_mean(key, list(known))
        raise ConfigError(f"{place}: {policy.title} has no {key!r}{near}; it has {', '.join(sorted(known))}")
    said = known[key].get("action", {})
    low_D, high_D = (np.asarray(said.get(name, []), np.float64).ravel() for name in ("q01", "q99"))
    scaled_D = np.asarray(said.get("mask", [True] * len(low_D)), bool)
    if not len(low_D) == len(high_D) == len(scaled_D) == size:
        raise ConfigError(f"{where}: its actions have {size} numbers, and the statistics of {key!r} "
                          f"{len(low_D)} (q01), {len(high_D)} (q99) and {len(scaled_D)} (mask)")  # fmt: skip
    if not (np.isfinite(low_D).all() and np.isfinite(high_D).all() and (low_D <= high_D).all()):
        raise ConfigError(f"{place}: in the statistics of {key!r} q01 must be finite and at most q99")
    return low_D, high_D, scaled_D


def read_json(policy: TokenPolicy, file: str) -> dict[str, Any] | None:
    """A file of a checkpoint's folder, or of the hub's local cache; `None`: there is none.

    Raises:
        ModelError: it is no JSON object.
    """
    path = Path(policy.model_name_or_path) / file
    if not Path(policy.model_name_or_path).is_dir():
        path = _cached(policy, file)
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it is no object")
    except (OSError, ValueError) as error:
        raise ModelError(f"model.policy.model_name_or_path: {path} cannot be read: {one_line(error)}") from error
    return found


def _cached(policy: TokenPolicy, file: str) -> Path:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(policy.model_name_or_path, file, revision=policy.revision)
    except HFValidationError:
        found = None
    return Path(found) if isinstance(found, str) else Path("/nowhere")


def missing(policy: TokenPolicy) -> str:
    """The message about a checkpoint that is not here."""
    return (
        f"model.policy.model_name_or_path: {policy.title!r} is neither a folder with a config.json nor in the hub's "
        f"local cache; get it first (`hf download {policy.model_name_or_path}`) or give its folder"
    )
