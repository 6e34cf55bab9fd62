"""TRL's SFTTrainer, made to note losses, add terms and read perdure's checkpoints."""

from pathlib import Path
from typing import Any

from torch import Tensor
from trl import SFTTrainer

from perdure.agent.worlds.language.methods.terms import Terms
from perdure.agent.worlds.language.trl import checkpoint
from perdure.agent.worlds.language.trl.step_figures import StepLosses


class SftTrainer(SFTTrainer):  # type: ignore[misc]
    """TRL's trainer with perdure's checkpoints and terms."""

    step_losses: StepLosses
    terms: Terms = Terms()
    grad_norm: Any = None

    def may_save(self) -> bool:
        """A checkpoint can be written between any two steps."""
        return True

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        """One micro-batch; its share of the step's loss is noted. The first of a step adds the terms.

        They come first: of several processes, each averages all that is there once its last micro-batch is done.
        """
        added = self.terms.add(self)
        share: Tensor = super().training_step(*args, **kwargs)
        for one in (share, *added):
            self.step_losses.add(one)
        return share

    def _get_grad_norm(self, *args: Any, **kwargs: Any) -> Any:
        self.grad_norm = super()._get_grad_norm(*args, **kwargs)
        return self.grad_norm

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        checkpoint.load_weights(self.model, Path(resume_from_checkpoint))

    def _load_optimizer_and_scheduler(self, folder: str | None) -> None:
        checkpoint.load_optimizer(self, Path(str(folder)))

    def _load_rng_state(self, folder: str | None) -> None:
        checkpoint.load_generators(Path(str(folder)))

    def _send_telemetry(self) -> None:
        pass
