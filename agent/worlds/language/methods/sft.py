"""Supervised fine-tuning on the task's demonstrations: TRL's SFTTrainer, loss on the answers alone.

Departures from TRL's defaults: see `trl/config.py`; nothing is packed, checkpoints are perdure's own
(`trl/checkpoint.py`), and no usage figures are sent anywhere.
"""

from collections.abc import Callable
from typing import Any

from datasets import Dataset

from perdure.agent.worlds.contract import Outcome, UpdateJob
from perdure.agent.worlds.language.changes import changes_of
from perdure.agent.worlds.language.chat import encode_demonstration
from perdure.agent.worlds.language.methods.eaft import weighing
from perdure.agent.worlds.language.methods.terms import terms_of
from perdure.agent.worlds.language.trl.config import config_for
from perdure.agent.worlds.language.trl.rows import (
    check_end,
    check_task,
    demonstration_rows,
    length_counts,
    masked_by_trl,
    token_rows,
)
from perdure.agent.worlds.language.trl.sft_trainer import SftTrainer
from perdure.agent.worlds.language.trl.step_figures import StepLosses
from perdure.agent.worlds.language.trl.trainer import run
from perdure.budget.errors import DataError


def update(job: UpdateJob) -> Outcome:
    """Train `job.policy.model` in place on the task's demonstrations.

    Resumes from the newest checkpoint in `folder/checkpoints`; bit-for-bit repeatable at a seed, resumed or not.

    Raises:
        ConfigError: TRL refuses the settings.
        DataError: demonstrations are missing, or none fits into `max_length`.
        ModelError: the chat template does not end the answer.
        DiskFullError: no room for a checkpoint.
    """
    model, tokenizer = job.policy.model, job.policy.tokenizer
    config = config_for(job)
    check_task(job.method, job.task, config)
    changes = changes_of(job)
    check_end(model, tokenizer, job.task.train[0])
    items = changes.task.train
    demonstrations = [encode_demonstration(tokenizer, item) for item in items]
    by_trl = masked_by_trl(job.method, changes.task, config)
    whole = config.completion_only_loss is False
    rows = demonstration_rows(items) if by_trl else token_rows(demonstrations, whole=whole)

    def built() -> SftTrainer:
        make = trainer_for(job.settings.objective)
        data = Dataset.from_list(rows)
        more = changes.optimizers(config)
        trainer = make(model=model, args=config, train_dataset=data, processing_class=tokenizer, **more)
        trainer.step_losses = StepLosses()
        if not len(trainer.train_dataset):
            raise DataError(
                f"task {job.task.name!r}: every prompt alone fills max_length ({config.max_length}); raise it"
            )
        return trainer

    counts = length_counts(demonstrations, config.max_length)
    return run(built, job, terms=terms_of(job, changes.terms), counts=counts)


def trainer_for(settings: Any) -> Callable[..., SftTrainer]:
    """The trainer's constructor: with `token_weight: entropy` that of the trainer which weighs tokens."""
    if settings.token_weight != "entropy":
        return SftTrainer
    return weighing(settings.top_k)
