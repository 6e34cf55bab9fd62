"""Supervised fine-tuning on the task's demonstrations: TRL's SFTTrainer, loss on the answers alone.

Departures from TRL's defaults: see `agent/methods/config.py`; nothing is packed, checkpoints are perdure's own
(`agent/methods/checkpoint.py`), and no usage figures are sent anywhere.
"""

from pathlib import Path
from typing import Any

from datasets import Dataset
from torch import Tensor
from trl import SFTTrainer

from perdure.agent.methods import checkpoint
from perdure.agent.methods.config import build_config, save_steps
from perdure.agent.methods.contract import Outcome, Watch
from perdure.agent.methods.data import check_end, check_task, demonstration_rows
from perdure.agent.methods.trainer import StepLosses, run
from perdure.budget.errors import DataError
from perdure.curriculum.task import Task
from perdure.curriculum.train import SftTrain


class SftTrainer(SFTTrainer):  # type: ignore[misc]
    """TRL's trainer, told where checkpoints are read from."""

    step_losses: StepLosses

    def may_save(self) -> bool:
        """A checkpoint can be taken between any two steps."""
        return True

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        """One micro-batch; its share of the step's loss is noted."""
        share: Tensor = super().training_step(*args, **kwargs)
        self.step_losses.add(share)
        return share

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        checkpoint.load_weights(self.model, Path(resume_from_checkpoint))

    def _load_optimizer_and_scheduler(self, folder: str | None) -> None:
        checkpoint.load_optimizer(self, Path(str(folder)))

    def _load_rng_state(self, folder: str | None) -> None:
        checkpoint.load_generators(Path(str(folder)))

    def _send_telemetry(self) -> None:
        pass


def update(policy: Any, task: Task, settings: SftTrain, *, seed: int, folder: Path, watch: Watch) -> Outcome:
    """Train `policy.model` in place on the task's demonstrations.

    Resumes from the newest checkpoint in `folder/checkpoints`; bit-for-bit repeatable at a seed, resumed or not.

    Raises:
        ConfigError: TRL refuses the settings.
        DataError: demonstrations are missing, or none fits into `max_length`.
        ModelError: the chat template does not end the answer.
        DiskFullError: no room for a checkpoint.
    """
    model = policy.model
    config = build_config("sft", settings, folder=folder, seed=seed, device_type=model.device.type, dtype=model.dtype)
    check_task("sft", task, config)
    check_end(model, policy.tokenizer, task.train[0])

    def build() -> SftTrainer:
        rows = Dataset.from_list(demonstration_rows(task.train))
        trainer = SftTrainer(model=model, args=config, train_dataset=rows, processing_class=policy.tokenizer)
        trainer.step_losses = StepLosses()
        if not len(trainer.train_dataset):
            raise DataError(f"task {task.name!r}: every prompt alone fills max_length ({config.max_length}); raise it")
        return trainer

    return run(build, policy, folder=folder, watch=watch, save_steps=save_steps(settings))
