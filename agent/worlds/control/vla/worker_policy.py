"""The policy of a VLA in a worker: what is saved is its adapter, as peft saves it."""

import json
from hashlib import sha256
from pathlib import Path

import torch

from perdure.agent.weights import digest, read_tensors, trainable, write_weights
from perdure.agent.worlds.control.policy import ControlPolicy
from perdure.agent.worlds.control.vla.actor import VlaActor
from perdure.agent.worlds.control.vla.remote import Remote, WorkerModel
from perdure.curriculum.worlds.control.actions import Actions

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"


class WorkerPolicy(ControlPolicy):
    """A worker's model and its action tokens."""

    def __init__(self, remote: Remote, actions: Actions) -> None:
        super().__init__(VlaActor(WorkerModel(remote), len(actions.sizes)), actions, {})
        self._remote = remote

    def fingerprint(self) -> str:
        """See `Policy.fingerprint`."""
        return sha256((self._remote.frozen + digest(trainable(self._remote.mirror))).encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write the adapter."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG).write_text(json.dumps(self._remote.lora, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        weights = zip(self._remote.mirror.names, self._remote.mirror.parameters(), strict=True)
        write_weights({_saved(name): one.detach() for name, one in weights}, folder / WEIGHTS)

    @torch.no_grad()
    def restore(self, folder: Path) -> None:
        """See `Policy.restore`."""
        found = read_tensors(folder / WEIGHTS)
        for name, one in zip(self._remote.mirror.names, self._remote.mirror.parameters(), strict=True):
            one.copy_(found[_saved(name)])


def _saved(name: str) -> str:
    """A weight's name in peft's file, which leaves out that of the adapter."""
    return name.replace(".default.", ".")
