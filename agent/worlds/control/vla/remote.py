"""A model in a worker, behind the same functions as one of this process.

The weights of the adapter are held here, as float32, so that optimisers, snapshots, penalties and hashes see what they
always see; they are sent before the next question whenever they changed.
"""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from perdure.agent.worlds.control.inputs import Inputs
from perdure.agent.worlds.control.vla.encoding import no_inputs, padded, pixels_of
from perdure.agent.worlds.control.vla.link import Link, array
from perdure.curriculum.worlds.control.environments.contract import Observation
from perdure.curriculum.worlds.control.vla import Worker

CPU = torch.device("cpu")


class Mirror(nn.Module):
    """The trained weights of a worker's model. A dot in a name is a `/` here, since torch allows none."""

    def __init__(self, weights: dict[str, Any]) -> None:
        super().__init__()
        self.names = tuple(weights)
        for name, one in weights.items():
            self.register_parameter(name.replace(".", "/"), nn.Parameter(torch.from_numpy(one.copy())))

    def arrays(self) -> dict[str, Any]:
        """The weights by the worker's names."""
        return dict(zip(self.names, map(array, self.parameters()), strict=True))

    def changes(self) -> tuple[int, ...]:
        """Another tuple whenever a weight has changed in place."""
        return tuple(one._version for one in self.parameters())


class Remote:
    """A worker with its model loaded.

    Attributes:
        mirror: the trained weights.
        frozen: the SHA-256 of the others.
        lora: the configuration of its adapter, as peft writes it.
        device: the worker's.
    """

    def __init__(self, config: Worker, *, dtype: str, device: str, threads: int, seed: int) -> None:
        """Start the worker and let it load the model. Raises ModelError: it cannot."""
        self.link = Link(config)
        kept = ("model_name_or_path", "revision", "trust_remote_code", "prompt", "append_token", "freeze_vision")
        lora = {} if config.lora is None else config.lora.model_dump()
        asked = {name: getattr(config, name) for name in kept}
        asked |= {"lora": lora, "dtype": dtype, "device": device, "threads": threads, "seed": seed}
        said, weights = self.link.ask(asked, {})
        self.mirror = Mirror(weights)
        self.frozen, self.lora, self.device = str(said["frozen"]), dict(said["lora"]), str(said["device"])
        self._sent = self.mirror.changes()
        self._numbers: Iterator[int] = count()

    def ask(self, header: dict[str, Any], arrays: dict[str, Any]) -> dict[str, Any]:
        """The arrays of an answer, by the weights as they are now."""
        if self._sent != self.mirror.changes():
            self.link.ask({"do": "take"}, self.mirror.arrays())
            self._sent = self.mirror.changes()
        return self.link.ask(header, arrays)[1]

    def number(self) -> int:
        """A number that no other generation has."""
        return next(self._numbers)


class WorkerModel:
    """See `perdure.agent.worlds.control.vla.model.TokenModel`."""

    def __init__(self, remote: Remote, *, base: bool = False) -> None:
        """`base`: the adapter is off."""
        self.remote, self._base, self.device = remote, base, CPU
        self.network: nn.Module = remote.mirror

    def encode(self, observations: Sequence[Observation]) -> Inputs:
        """See `TokenModel.encode`."""
        if not observations:
            return no_inputs()
        images = {f"image{row}": pixels_of(one) for row, one in enumerate(observations)}
        header = {"do": "encode", "instructions": [one.instruction for one in observations]}
        found = {name: torch.from_numpy(one.copy()) for name, one in self.remote.ask(header, images).items()}
        rows = range(len(observations))
        pixels = torch.stack([found[f"pixels{row}"] for row in rows])
        return Inputs(torch.zeros(len(rows), 0), pixels, padded([found[f"tokens{row}"] for row in rows]))

    def forced(self, tokens_NL: Tensor, pixels: Tensor, actions_ND: Tensor) -> Tensor:
        """See `TokenModel.forced`; with a gradient, unless this is the base, by the weights of the mirror."""
        given = {"tokens": array(tokens_NL), "pixels": array(pixels), "actions": array(actions_ND)}
        if torch.is_grad_enabled() and not self._base:
            found: Tensor = _Forced.apply(self.remote, given, *self.network.parameters())  # type: ignore[no-untyped-call]
            return found
        return _log(self.remote.ask({"do": "forced", "base": self._base}, given))

    def begin(self, tokens_NL: Tensor, pixels: Tensor) -> "WorkerSteps":
        """See `TokenModel.begin`."""
        return WorkerSteps(self.remote, {"tokens": array(tokens_NL), "pixels": array(pixels)}, base=self._base)


class WorkerSteps:
    """See `perdure.agent.worlds.control.vla.model.Steps`; the worker keeps the cache until this is gone."""

    def __init__(self, remote: Remote, given: dict[str, Any], *, base: bool) -> None:
        self._remote, self._said = remote, {"number": remote.number(), "base": base}
        self.log_NV: Tensor = _log(remote.ask({"do": "begin", **self._said}, given))

    def next(self, tokens_N: Tensor) -> None:
        """See `Steps.next`."""
        self.log_NV = _log(self._remote.ask({"do": "next", **self._said}, {"tokens": array(tokens_N)}))

    def end(self) -> None:
        """Free the worker's cache."""
        self._remote.ask({"do": "forget", **self._said}, {})


class _Forced(torch.autograd.Function):
    """`forced` with a gradient: the worker makes the pass again and gives the gradient by each weight."""

    @staticmethod
    def forward(context: Any, remote: Remote, given: dict[str, Any], *weights: Tensor) -> Tensor:
        context.remote, context.given = remote, given
        return _log(remote.ask({"do": "forced"}, given))

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Any:
        remote: Remote = context.remote
        wanted = array(gradients[0]).astype(np.float32)
        found = remote.ask({"do": "gradient"}, context.given | {"gradient": wanted})
        return None, None, *(torch.from_numpy(found[name].copy()) for name in remote.mirror.names)


def _log(found: dict[str, Any]) -> Tensor:
    return torch.from_numpy(found["log"].copy())
