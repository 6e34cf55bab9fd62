"""Supervised fine-tuning on the task's demonstrations: TRL's SFTTrainer, loss on the answers alone.

Departures from TRL's defaults: see `trl/config.py`; nothing is packed, checkpoints are perdure's own
(`trl/checkpoint.py`), and no usage figures are sent anywhere.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset
from torch import Tensor
from trl import SFTTrainer

from perdure.agent.worlds.language.methods.terms import Term, Terms, terms_beside
from perdure.agent.worlds.language.trl import checkpoint
from perdure.agent.worlds.language.trl.config import build_config, save_steps
from perdure.agent.worlds.language.trl.rows import check_end, check_task, demonstration_rows
from perdure.agent.worlds.language.trl.trainer import StepLosses, run
from perdure.agent.worlds.update import ALONE, Beside, Outcome, Watch
from perdure.budget.errors import DataError
from perdure.curriculum.settings import SftTrain
from perdure.curriculum.task import Task
from perdure.curriculum.worlds.contract import Method


class SftTrainer(SFTTrainer):  # type: ignore[misc]
    """TRL's trainer, told where checkpoints are read from."""

    step_losses: StepLosses
    terms: Terms = Terms()

    def may_save(self) -> bool:
        """A checkpoint can be taken between any two steps."""
        return True

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        """One micro-batch; its share of the step's loss is noted. The step's first brings the terms beside the loss."""
        share: Tensor = super().training_step(*args, **kwargs)
        self.step_losses.add(share)
        self.terms.add(self)
        return share

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        checkpoint.load_weights(self.model, Path(resume_from_checkpoint))

    def _load_optimizer_and_scheduler(self, folder: str | None) -> None:
        checkpoint.load_optimizer(self, Path(str(folder)))

    def _load_rng_state(self, folder: str | None) -> None:
        checkpoint.load_generators(Path(str(folder)))

    def _send_telemetry(self) -> None:
        pass


def update(
    policy: Any,
    task: Task,
    settings: SftTrain,
    *,
    seed: int,
    folder: Path,
    watch: Watch,
    beside: Beside = ALONE,
) -> Outcome:
    """Train `policy.model` in place on the task's demonstrations.

    Resumes from the newest checkpoint in `folder/checkpoints`; bit-for-bit repeatable at a seed, resumed or not.

    Raises:
        ConfigError: TRL refuses the settings.
        DataError: demonstrations are missing, or none fits into `max_length`.
        ModelError: the chat template does not end the answer.
        DiskFullError: no room for a checkpoint.
    """
    return Fit("sft", policy, task, settings, seed, folder, watch, beside).run()


@dataclass(frozen=True)
class Fit:
    """SFT of one task, and what its variants change: one thing each."""

    method: Method
    policy: Any
    task: Task
    settings: SftTrain
    seed: int
    folder: Path
    watch: Watch
    beside: Beside = ALONE

    def run(
        self,
        *,
        rows: Sequence[dict[str, Any]] | None = None,
        terms: Sequence[Term] = (),
        build: Callable[..., SftTrainer] = SftTrainer,
    ) -> Outcome:
        """Train.

        Args:
            rows: what is trained on, in a form that TRL reads; default: the task's demonstrations.
            terms: added to the loss.
            build: makes the trainer from the arguments of TRL's `SFTTrainer`.

        Raises:
            PerdureError: as `update`.
        """
        model, tokenizer = self.policy.model, self.policy.tokenizer
        config = self._config()
        check_task(self.method, self.task, config)
        check_end(model, tokenizer, self.task.train[0])

        def built() -> SftTrainer:
            data = Dataset.from_list(demonstration_rows(self.task.train) if rows is None else list(rows))
            trainer = build(model=model, args=config, train_dataset=data, processing_class=tokenizer)
            trainer.step_losses = StepLosses()
            if not len(trainer.train_dataset):
                raise DataError(
                    f"task {self.task.name!r}: every prompt alone fills max_length ({config.max_length}); raise it"
                )
            return trainer

        return run(
            built,
            self.policy,
            folder=self.folder,
            watch=self.watch,
            save_steps=save_steps(self.settings),
            terms=terms_beside(self.policy, self.beside, seed=self.seed, more=terms),
        )

    def _config(self) -> Any:
        model = self.policy.model
        return build_config(
            self.method,
            self.settings,
            folder=self.folder,
            seed=self.seed,
            device_type=model.device.type,
            dtype=model.dtype,
        )
