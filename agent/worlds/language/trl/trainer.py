"""Everything around a TRL trainer: silence, progress, stopping, checkpoints, and restoring the model's other state."""

import copy
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PrinterCallback, TrainerCallback
from transformers.utils import logging as transformers_logging

from perdure.agent.worlds import stage_checkpoints
from perdure.agent.worlds.contract import Counts, Outcome, Progress, SaveAndStop, UpdateJob
from perdure.agent.worlds.language.generation import plain_generation
from perdure.agent.worlds.language.methods.terms import Terms
from perdure.agent.worlds.language.trl import checkpoint
from perdure.agent.worlds.language.trl.config import save_steps
from perdure.agent.worlds.language.trl.step_figures import NotedFigures
from perdure.agent.worlds.language.vllm.colocated import same_environment, shut_down
from perdure.budget import ranks
from perdure.budget.errors import ConfigError, PerdureError
from perdure.budget.heap import young_heap

LIBRARIES = ("trl", "transformers", "accelerate", "datasets", "peft", "bitsandbytes")

MeanReward = Callable[[], float | None] | None
"""The mean reward of the last samples; `None` where nothing is sampled."""


class NonFiniteLogitsError(ArithmeticError):
    """The policy's logits are NaN or infinite where a token is to be sampled."""


class StepEnd(TrainerCallback):  # type: ignore[misc]
    """After every optimiser step: steer the terms, call the watch, then stop or, when it is due, write a checkpoint."""

    def __init__(self, trainer: Any, folder: Path, job: UpdateJob, every: int, mean_reward: MeanReward) -> None:
        self.trainer, self.folder, self.every = trainer, folder, every
        self.watch, self.saving = job.watch, job.saving
        self.mean_reward = mean_reward
        self.stopped = False
        self.saved = 0
        self.learning_rate: float | None = None
        self.noted = NotedFigures(trainer)

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Called before the first micro-batch of a step."""
        self.noted.begin()
        return control

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Called between the optimiser's step and the scheduler's."""
        self.learning_rate = float(self.trainer.optimizer.param_groups[0]["lr"])
        return control

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Called by transformers once the optimiser has stepped and the gradients are gone."""
        self.trainer.terms.steer()
        try:
            self.stopped = self.watch(self._progress(state))
        except SaveAndStop:
            self._save_if(self.trainer.may_save() or state.global_step >= state.max_steps)
            raise
        if self.stopped:
            control.should_training_stop = True
        else:
            self._save_if(self._is_due(state))
        return control

    def _save_if(self, wanted: bool) -> None:
        if wanted:
            checkpoint.save(self.trainer, self.folder, self.saving())
            self.saved = self.trainer.state.global_step

    def _progress(self, state: Any) -> Progress:
        """The step, and the means of its figures over the processes of the run."""
        norm = self.trainer.grad_norm
        figures = {
            "loss": self.trainer.step_losses.drain(),
            "reward": self.mean_reward() if self.mean_reward else None,
            "learning_rate": self.learning_rate,
            "grad_norm": None if norm is None else float(norm),
            **self.noted.read(rewarded=self.mean_reward is not None),
        }
        return Progress(step=state.global_step, max_steps=state.max_steps, **ranks.means(figures))

    def _is_due(self, state: Any) -> bool:
        if state.global_step >= state.max_steps:
            return True
        return state.global_step - self.saved >= self.every and bool(self.trainer.may_save())


def run(
    build: Callable[[], Any],
    job: UpdateJob,
    *,
    mean_reward: MeanReward = None,
    terms: Terms | None = None,
    counts: dict[str, int] | None = None,
) -> Outcome:
    """Train the job's policy with the trainer that `build` makes, from the newest checkpoint in its folder.

    `terms` are added to the trainer's loss, and `counts` (see `counted`), which the trainer's rewards go on with, are
    part of a checkpoint. A policy whose logits are NaN or infinite when RL is to sample ends the
    update, and is reported to the watch as a step with NaN loss and reward, which was not made.

    Raises:
        ConfigError: TRL refuses to build the trainer, or the device's memory is too small for the settings.
        DiskFullError: no room for a checkpoint.
        SaveAndStop: the watch raised it; a checkpoint of the step is written first, or, where samples are still to be
            used up, the one before stands.
    """
    policy, terms, folder = job.policy, terms or Terms(), job.folder / "checkpoints"
    every = save_steps(job.settings.objective)
    resume, counts = ranks.told(lambda: stage_checkpoints.sweep(folder)), {} if counts is None else counts
    counts.update({} if resume is None else checkpoint.counts(resume))
    if resume is not None and checkpoint.is_finished(resume):
        checkpoint.load_weights(policy.model, resume)
        terms.put_back(checkpoint.penalty_weight(resume))
        counted_all = counted(checkpoint.all_counts(counts))
        return Outcome(steps=stage_checkpoints.step_of(resume), ended="completed", counts=counted_all)
    with (
        same_environment(),
        young_heap(),
        quiet(),
        no_trace(policy.model, policy.tokenizer),
        plain_generation(policy.model),
    ):
        trainer = _built(build, policy.model)
        trainer.terms, trainer.counts = terms, counts
        terms.begin()
        outcome = _train(trainer, StepEnd(trainer, folder, job, every, mean_reward), resume)
        return replace(outcome, counts=counted(checkpoint.all_counts(counts)))


COUNTED_OF = {
    "too_long": "rows",
    "cut_off": "rows",
    "no_reward": "answers",
    "unrewarded": "answers",
    "truncated": "answers",
    "equal_rewards": "groups",
    "no_success": "groups",
}
"""What the counts of a notice are of."""


def counted(counts: Mapping[str, int]) -> Counts:
    """The counts of an update by their notice, each with the number that it is of."""
    return {name: (counts[name], counts.get(whole, 0)) for name, whole in COUNTED_OF.items() if name in counts}


def _built(build: Callable[[], Any], model: nn.Module) -> Any:
    """The trainer; TRL's refusal becomes a ConfigError.

    TRL rounds an adapter over a quantized base to bfloat16, in which small steps vanish; its weights are put back.
    """
    trained = [(one, one.data) for one in model.parameters() if one.requires_grad]
    try:
        trainer = build()
        for parameter, data in trained:
            parameter.data = data
        return trainer
    except PerdureError:
        raise
    except (ValueError, ImportError) as error:
        raise ConfigError(f"TRL refuses to train this model with these settings: {error}") from error


def _train(trainer: Any, step_end: StepEnd, resume: Path | None) -> Outcome:
    """Train to the last step, or until the watch ends it, then release the trainer."""
    step_end.saved = 0 if resume is None else stage_checkpoints.step_of(resume)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(step_end)
    try:
        trainer.train(resume_from_checkpoint=None if resume is None else str(resume))
    except torch.OutOfMemoryError as error:
        raise ConfigError(
            "the device has no memory left for this update: lower train.per_device_train_batch_size (and raise "
            f"train.gradient_accumulation_steps in turn), or the lengths; {error}"
        ) from error
    except NonFiniteLogitsError:
        nan = float("nan")
        step_end.watch(Progress(trainer.state.global_step + 1, trainer.state.max_steps, loss=nan, reward=nan))
        step_end.stopped = True
    finally:
        state = trainer.state
        shut_down(trainer)
        _release(trainer)
    return Outcome(steps=state.global_step, ended="stopped" if step_end.stopped else "completed")


def _release(trainer: Any) -> None:
    """Drop all that the trainer holds (the optimiser, a reference, a teacher); it cannot be used afterwards.

    Its attributes are cleared, since trainer, callbacks and accelerator refer to each other in circles, and a traceback
    may still refer to the trainer.
    """
    accelerator, handler = trainer.accelerator, trainer.callback_handler
    handler.optimizer = handler.lr_scheduler = None
    vars(trainer).clear()
    accelerator.free_memory()  # collects garbage


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings, log lines or progress bars of the libraries inside; their settings as before after."""
    import datasets

    levels = {name: logging.getLogger(name).level for name in LIBRARIES}
    had_bars = datasets.are_progress_bars_disabled(), transformers_logging.is_progress_bar_enabled()
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.ERROR)
    datasets.disable_progress_bars()
    transformers_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            for name in (*LIBRARIES, "torch", "perdure"):
                warnings.filterwarnings("ignore", module=rf"{name}(\.|$)")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        if not had_bars[0]:
            datasets.enable_progress_bars()
        if had_bars[1]:
            transformers_logging.enable_progress_bar()


@contextmanager
def no_trace(model: Any, tokenizer: Any) -> Iterator[None]:
    """Restore everything of the model but its weights.

    TRL and accelerate replace `forward`, add hooks, and write token ids into the configurations. All attributes and
    hooks of all modules, the configurations, the tokenizer's padding, the mode, `requires_grad`, and the global
    generator states are put back; gradients are dropped.
    """
    modules = [(module, dict(vars(module)), _hooks(module)) for module in model.modules()]
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    configs = [(config, copy.deepcopy(vars(config))) for config in (inner.config, inner.generation_config)]
    trainable = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    pad_token, generators = tokenizer.pad_token, checkpoint.generator_states()
    try:
        yield
    finally:
        for module, attributes, hooks in modules:
            vars(module).clear()
            vars(module).update(attributes)
            for name, entries in hooks.items():
                attributes[name].clear()
                attributes[name].update(entries)
        for config, attributes in configs:
            vars(config).clear()
            vars(config).update(attributes)
        for parameter, flag in trainable:
            parameter.requires_grad_(flag)
            parameter.grad = None
        tokenizer.pad_token = pad_token
        checkpoint.set_generator_states(generators)


def _hooks(module: nn.Module) -> dict[str, dict[Any, Any]]:
    return {name: dict(value) for name, value in vars(module).items() if name.endswith("_hooks") and value is not None}


@contextmanager
def finite_logits(model: Any) -> Iterator[None]:
    """Raise `NonFiniteLogitsError` as soon as the output head gives NaN or infinity.

    `torch.multinomial` would raise a plain RuntimeError on the CPU and on CUDA kill the device's context.
    """

    def check(_module: nn.Module, _inputs: Any, logits: Tensor) -> None:
        if not bool(torch.isfinite(logits).all()):
            raise NonFiniteLogitsError("the policy's logits are not finite")

    handle = model.get_output_embeddings().register_forward_hook(check)
    try:
        yield
    finally:
        handle.remove()
