"""The policy of a VLA: saved as transformers and peft save it, so that it loads as a model again."""

from hashlib import sha256
from pathlib import Path

import torch

from perdure.agent.weights import digest, frozen, trainable
from perdure.agent.worlds.control.policy import ControlPolicy
from perdure.agent.worlds.control.vla.actor import VlaActor
from perdure.agent.worlds.control.vla.model import LocalModel
from perdure.curriculum.worlds.control.actions import Actions


class VlaPolicy(ControlPolicy):
    """A VLA and its action tokens; `frozen_digest` is the SHA-256 of what no update changes."""

    def __init__(self, model: LocalModel, actions: Actions, statistics: str | None) -> None:
        """`statistics`: the text of the checkpoint's dataset_statistics.json, which is saved beside the weights."""
        super().__init__(VlaActor(model, len(actions.sizes)), actions, {})
        self._model = model
        self._statistics = statistics
        self.frozen_digest = digest(frozen(model.network))

    def fingerprint(self) -> str:
        """See `Policy.fingerprint`."""
        return sha256((self.frozen_digest + digest(trainable(self.actor.network))).encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write the weights, those of the adapter alone with LoRA, and the processor."""
        folder.mkdir(parents=True, exist_ok=True)
        self.actor.network.save_pretrained(folder)  # type: ignore[operator]
        self._model.processor.save_pretrained(folder)
        if self._statistics is not None:
            (folder / "dataset_statistics.json").write_text(self._statistics, encoding="utf-8")

    @torch.no_grad()
    def restore(self, folder: Path) -> None:
        """See `Policy.restore`."""
        network = self.actor.network
        if hasattr(network, "peft_config"):
            from peft import load_peft_weights, set_peft_model_state_dict

            set_peft_model_state_dict(network, load_peft_weights(str(folder), device="cpu"))
        else:
            kind, dtype = type(network), next(network.parameters()).dtype
            saved = kind.from_pretrained(folder, dtype=dtype, use_safetensors=True)  # type: ignore[attr-defined]
            network.load_state_dict(saved.state_dict())
