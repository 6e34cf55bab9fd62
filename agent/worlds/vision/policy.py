"""The policy of the vision world: a classifier whose answer is a label."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from perdure.agent.weights import digest, read_tensors, write_weights
from perdure.agent.worlds.vision.mlp import Params, shared_forward
from perdure.agent.worlds.vision.rngs import Rngs
from perdure.curriculum.counting import count
from perdure.curriculum.worlds.vision.images.observation import ImageObservation, inputs_of_observations

WEIGHTS = "model.safetensors"


class VisionPolicy:
    """One network; `params` is a stack of one, which updates change in place."""

    def __init__(self, params: Params, device: torch.device) -> None:
        self.params = {name: tensor.to(device) for name, tensor in params.items()}
        self.device = device

    def respond(
        self,
        prompts: Sequence[ImageObservation],
        *,
        max_completion_length: int,
        batch_size: int,
        temperature: float = 0.0,
        num_samples: int = 1,
        seed: int = 0,
    ) -> list[list[str]]:
        """See `Policy.respond`: a label as text. A label has no length, and all prompts go in one batch."""
        log_NC = self.log_probabilities(self.inputs(prompts))
        count(len(prompts))
        if temperature == 0:
            return [[str(label)] * num_samples for label in log_NC.argmax(-1).tolist()]
        sharpened_MNC = (log_NC / temperature).softmax(-1)[None]
        labels_NG = Rngs([seed], self.device).labels(sharpened_MNC, num_samples)[0]
        return [[str(label) for label in row] for row in labels_NG.tolist()]

    def inputs(self, prompts: Sequence[ImageObservation]) -> Tensor:
        """Observations as inputs of the network: shape (N, F)."""
        return torch.from_numpy(inputs_of_observations(prompts)).to(self.device)

    @torch.no_grad()
    def log_probabilities(self, inputs_NF: Tensor) -> Tensor:
        """Log-probabilities of the labels, natural: shape (N, C)."""
        return shared_forward(self.params, inputs_NF)[0].log_softmax(-1)

    def fingerprint(self) -> str:
        """See `Policy.fingerprint`."""
        return digest(self._single())

    def save(self, folder: Path) -> None:
        """Write `model.safetensors` and the sizes of the layers."""
        folder.mkdir(parents=True, exist_ok=True)
        single = self._single()
        sizes = [single["0.weight"].shape[0]] + [t.shape[1] for name, t in single.items() if name.endswith("weight")]
        (folder / "config.json").write_text(json.dumps({"architecture": "mlp", "sizes": sizes}) + "\n")
        write_weights(single, folder / WEIGHTS)

    def restore(self, folder: Path) -> None:
        """See `Policy.restore`."""
        self.take(read_tensors(folder / WEIGHTS))

    def take(self, single: Params) -> None:
        """Take the weights of one network, in place."""
        for name, tensor in self.params.items():
            tensor.copy_(single[name][None])

    def _single(self) -> Params:
        return {name: tensor[0] for name, tensor in self.params.items()}
