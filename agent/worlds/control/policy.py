"""The policy of the control world: its response to a start is the episode that it plays."""

import json
from collections import Counter
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from perdure.agent.seeds import derive
from perdure.agent.weights import digest, restore_weights, write_weights
from perdure.agent.worlds.control.actor import Actor, sampled
from perdure.agent.worlds.control.inputs import Inputs, joined
from perdure.agent.worlds.control.losses import log_of
from perdure.curriculum.worlds.control.actions import Actions
from perdure.curriculum.worlds.control.environments.contract import Observation
from perdure.curriculum.worlds.control.episodes import Episode, text_of
from perdure.curriculum.worlds.control.playing import play
from perdure.curriculum.worlds.control.rewards import reward_of
from perdure.curriculum.worlds.control.saved import CONFIG, WEIGHTS
from perdure.curriculum.worlds.control.starts import Start


@dataclass(frozen=True)
class Played:
    """An episode that the policy played: what it saw, and the log-probability of each decision's action, (T,)."""

    start: Start
    episode: Episode
    reward: float
    inputs: Inputs
    log_T: Tensor


class ControlPolicy:
    """An actor and its actions; updates change the actor's weights in place.

    `faults` says why episodes failed to end, since it was last cleared. `meaning` is a hash of what decides its
    episodes beside its weights, such as a VLA's prompt and what its tokens stand for; `None`: nothing.
    """

    meaning: str | None = None

    def __init__(self, actor: Actor, actions: Actions, about: dict[str, object]) -> None:
        self.actor, self.actions, self._about = actor, actions, about
        self.faults: list[str] = []

    def respond(
        self,
        prompts: Sequence[Start],
        *,
        max_completion_length: int,
        batch_size: int,
        temperature: float = 0.0,
        num_samples: int = 1,
        seed: int = 0,
    ) -> list[list[str]]:
        """See `Policy.respond`: episodes as text (`perdure.curriculum.worlds.control.episodes.text_of`)."""
        repeats = 1 if temperature == 0 else num_samples
        starts = [start for start in prompts for _ in range(repeats)]
        played = self.play(starts, temperature=temperature, seed=seed)
        texts = [text_of(one.episode, one.reward) for one in played]
        rows = [texts[first : first + repeats] for first in range(0, len(texts), repeats)]
        return [row * (num_samples // repeats) for row in rows]

    def play(self, starts: Sequence[Start], *, temperature: float, seed: int) -> list[Played]:
        """One episode from each start.

        An episode's draws follow from the seed, its start, and how many of the episodes before it begin there too.
        """
        before: Counter[str] = Counter()
        rngs = []
        for start in starts:
            rngs.append(np.random.default_rng(derive(seed, start.identity, before[start.identity])))
            before[start.identity] += 1
        seen: list[list[tuple[Inputs, Tensor]]] = [[] for _ in starts]
        dimensions = len(self.actions.sizes)

        def choose(observations: Sequence[Observation], numbers: Sequence[int]) -> np.ndarray:
            inputs = self.actor.encode(observations)
            uniforms_ND = torch.from_numpy(np.stack([rngs[number].random(dimensions) for number in numbers]))
            picked = sampled(uniforms_ND.to(inputs.vector.device), temperature)
            actions_ND, log_NDB = self.actor.act(inputs, picked)
            log_N = log_of(log_NDB, actions_ND)
            for row, number in enumerate(numbers):
                seen[number].append((inputs[row : row + 1], log_N[row : row + 1]))
            found: np.ndarray = actions_ND.cpu().numpy()
            return found

        episodes = play(starts, self.actions, choose)
        self.faults += [one.fault for one in episodes if one.fault is not None]
        return [
            Played(start, one, reward_of(start.environment, one), *_stacked(rows, self))
            for start, one, rows in zip(starts, episodes, seen, strict=True)
        ]

    def played_by(self, actor: Actor) -> "ControlPolicy":
        """The same with another actor; faults are counted together."""
        other = copy(self)
        other.actor = actor
        return other

    def fingerprint(self) -> str:
        """See `Policy.fingerprint`."""
        return digest(self._tensors())

    def save(self, folder: Path) -> None:
        """Write `model.safetensors`, and what the network is."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG).write_text(json.dumps(self._about) + "\n")
        write_weights(self._tensors(), folder / WEIGHTS)

    def restore(self, folder: Path) -> None:
        """See `Policy.restore`."""
        restore_weights(self._tensors(), folder / WEIGHTS)

    def _tensors(self) -> dict[str, Tensor]:
        return {name: tensor.detach() for name, tensor in self.actor.network.named_parameters()}


def _stacked(rows: Sequence[tuple[Inputs, Tensor]], policy: ControlPolicy) -> tuple[Inputs, Tensor]:
    if not rows:
        empty = policy.actor.encode([])
        return empty, torch.zeros(0, device=empty.vector.device)
    return joined([one for one, _ in rows]), torch.cat([log_1 for _, log_1 in rows])
