"""Reinforcement learning on the task's reward: TRL's GRPOTrainer with the Dr. GRPO loss (arXiv 2503.20783).

The loss sums over tokens and divides by batch and `max_completion_length`, the advantages are rewards less their
group's mean and not divided by its deviation, and there is no KL term. With `beta` above 0 TRL's own KL term is added;
its reference is the original base: the policy with its adapter off under LoRA, else a second copy of the model, which
the policy loads (`load_base`) and checks to be the base. `entropy_coef` is TRL's entropy bonus, the mean over tokens.

Departures from TRL: the reference is not loaded by the model's name, which may stand for another revision or for what
has changed since, and there is no reference adapter that starts at the stage's weights; a reward that is NaN or
infinite is reported but has no part in the gradient, a policy whose logits are not finite ends the update, a resumed
stage passes over the data in the order that it would have had uninterrupted, checkpoints are perdure's own
(`agent/worlds/language/trl/checkpoint.py`), and no usage figures are sent anywhere.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from trl import GRPOTrainer
from trl.trainer.utils import add_fused_lm_head

from perdure.agent.worlds.contract import Outcome, UpdateJob
from perdure.agent.worlds.language.changes import changes_of
from perdure.agent.worlds.language.conversations import has_more, render
from perdure.agent.worlds.language.generation import end_tokens
from perdure.agent.worlds.language.methods.terms import Terms, terms_of
from perdure.agent.worlds.language.trl import checkpoint
from perdure.agent.worlds.language.trl.config import config_for
from perdure.agent.worlds.language.trl.prefix_sharing import no_gradient, sampled, scored
from perdure.agent.worlds.language.trl.rows import (
    EQUAL_REWARDS,
    IdleGroups,
    RewardMeter,
    check_task,
    prompt_rows,
)
from perdure.agent.worlds.language.trl.step_figures import StepLosses
from perdure.agent.worlds.language.trl.trainer import NonFiniteLogitsError, finite_logits, run
from perdure.agent.worlds.language.turns import environment_factory
from perdure.agent.worlds.language.vllm.generation import sample_by_server
from perdure.agent.worlds.language.vllm.settings import uses_server
from perdure.budget import ranks
from perdure.budget.errors import ModelError
from perdure.curriculum.task import Item, Task


class RlTrainer(GRPOTrainer):  # type: ignore[misc]
    """TRL's trainer with perdure's checkpoints and terms."""

    step_losses: StepLosses
    terms: Terms = Terms()
    grad_norm: Any = None
    prefix_caching: bool = True
    idle_B: Tensor | None = None

    def may_save(self) -> bool:
        """A checkpoint can be written once every sampled batch is used up, since samples are not saved."""
        return bool(self._step % (self.args.steps_per_generation * self.num_iterations) == 0)

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        """One micro-batch; its share of the step's loss is noted. The first of a step adds the terms.

        They come first: of several processes, each averages all that is there once its last micro-batch is done.
        """
        added = self.terms.add(self)
        share: Tensor = super().training_step(*args, **kwargs)
        for one in (share, *added):
            self.step_losses.add(one)
        return share

    def _tokenize_prompts(self, prompts: list[Any]) -> Any:
        if not has_more(prompts):
            return super()._tokenize_prompts(prompts)
        how = {"add_generation_prompt": True, "tokenize": True, "return_dict": True}
        return [render(self.processing_class, prompt, **how)["input_ids"] for prompt in prompts], None, {}

    def _generate_single_turn(self, prompt_ids: list[list[int]], *args: Any, **kwargs: Any) -> Any:
        if self.use_vllm or self.use_transformers_continuous_batching:
            return super()._generate_single_turn(prompt_ids, *args, **kwargs)
        # An adapter generates through the model below it, which accelerate has not put under autocast.
        found, broken = None, None
        try:
            with finite_logits(self.model), self.accelerator.autocast():
                found = sampled(self, prompt_ids)
        except NonFiniteLogitsError as error:
            broken = error
        if ranks.any_of(broken is not None):
            raise broken or NonFiniteLogitsError("the policy's logits are not finite in another process")
        return found, None

    def _get_per_token_logps_and_entropies(self, model: Any, *args: Any, **kwargs: Any) -> Any:
        return scored(self, super()._get_per_token_logps_and_entropies, model, *args, **kwargs)

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        """TRL's loss; no backward pass for rows whose gradient is 0: of advantage 0, and no other term."""
        more = self.beta != 0 or self.aux_loss_enabled or self._entropy_bonus_enabled
        idle_B = inputs["advantages"] == 0
        alone = ranks.count() == 1 or not bool(idle_B.all())  # DDP waits for a backward pass of each process
        self.idle_B = idle_B if alone and not more else None
        loss: Tensor = super()._compute_loss(model, inputs)
        self.idle_B = None
        return loss if loss.requires_grad else loss + no_gradient(model)

    def _get_grad_norm(self, *args: Any, **kwargs: Any) -> Any:
        self.grad_norm = super()._get_grad_norm(*args, **kwargs)
        return self.grad_norm

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        checkpoint.load_weights(self.model, Path(resume_from_checkpoint))

    def _load_optimizer_and_scheduler(self, folder: str | None) -> None:
        checkpoint.load_optimizer(self, Path(str(folder)))

    def _load_rng_state(self, folder: str | None) -> None:
        checkpoint.load_generators(Path(str(folder)))

    def _init_training_state(self, *args: Any, **kwargs: Any) -> tuple[int, int]:
        # The order of each pass is drawn from one generator, which a resumed trainer starts afresh.
        passes, batches = super()._init_training_state(*args, **kwargs)
        generator = getattr(self.sampler, "generator", None)
        for _ in range(passes if generator is not None else 0):
            torch.randperm(self.sampler.num_samples, generator=generator)
        return passes, batches

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        self.sampler = super()._get_train_sampler(dataset)
        return self.sampler

    def _send_telemetry(self) -> None:
        pass


def update(job: UpdateJob) -> Outcome:
    """Train `job.policy.model` in place on the task's reward for its own samples.

    Resumes from the newest checkpoint in `folder/checkpoints`; bit-for-bit repeatable at a seed, resumed or not.
    `Progress.reward` is the mean over the completions sampled last.

    Raises:
        ConfigError: TRL refuses the settings, or the task has no reward.
        DataError: fewer training items than one batch of prompts.
        ModelError: `beta` above 0 and no original base to be found.
        DiskFullError: no room for a checkpoint.
    """
    return train(job, RlTrainer)


def train(
    job: UpdateJob,
    trainer_class: type[RlTrainer],
    configure: Callable[[Any, Task], None] = lambda trainer, task: None,
    idle: IdleGroups | None = None,
) -> Outcome:
    """Train `job.policy.model` in place with a trainer of `trainer_class`.

    `configure` sets the trainer's own attributes, from the task as modifiers have changed it. A task without a reward
    gets one of 0, and then no mean reward is reported. `idle` tells the groups of answers that teach nothing: by
    default those of equal rewards, or none where the method has a loss of its own.

    Raises:
        ConfigError: TRL refuses the settings, or the method needs a reward and the task has none.
        DataError: demonstrations are missing, or fewer training items than one batch of prompts.
        ModelError: the original base is needed a second time and not to be found.
        DiskFullError: no room for a checkpoint.
    """
    config = config_for(job)
    check_task(job.method, job.task, config)
    changes = changes_of(job)
    task = changes.task
    ends = end_tokens(job.policy.model, job.policy.tokenizer)
    is_rewarded = task.reward is not None
    if idle is None and is_rewarded and not job.method.objective.has_own_loss:  # type: ignore[attr-defined]
        idle = EQUAL_REWARDS
    meter = RewardMeter(task.reward or zero_reward, task.train, ends, idle, is_rewarded)

    def built() -> Any:
        trainer = build_sampler(
            trainer_class, job.policy, task, config, meter, **playing(task, config), **changes.optimizers(config)
        )
        configure(trainer, task)
        return trainer

    return run(
        built,
        job,
        mean_reward=meter.mean if task.reward else None,
        terms=terms_of(job, changes.terms),
        counts=meter.counts,
    )


def zero_reward(
    items: Sequence[Item], completions: Sequence[str], completion_ids: Sequence[Sequence[int]] | None = None
) -> list[float | None]:
    """0 for every answer, for a task without a reward."""
    return [0.0] * len(items)


def playing(task: Task, config: Any) -> dict[str, Any]:
    """The arguments of TRL's trainer for a task that is played in turns; their most is written into the config."""
    if not task.is_played:
        return {}
    prompts = [item.prompt for item in task.train]
    config.max_tool_calling_iterations = prompts[0].turns
    return {"environment_factory": environment_factory(prompts)}


def build_sampler(
    trainer_class: type[RlTrainer], policy: Any, task: Task, config: Any, meter: RewardMeter, **more: Any
) -> Any:
    """A trainer of `trainer_class` for the task, its reference the original base; `more` are arguments of TRL's own.

    Raises:
        ModelError: the base is needed (`beta` above 0, `tilt`) and not to be found, or no longer the same.
    """
    beta, config.beta = config.beta, 0.0  # with another TRL would make a reference of its own
    by_server = uses_server(config)
    config.use_vllm = config.use_vllm and not by_server  # TRL would speak to it itself, over NCCL
    trainer = trainer_class(
        model=policy.model,
        reward_funcs=[meter],
        args=config,
        train_dataset=prompt_rows(task.train),
        processing_class=policy.tokenizer,
        **more,
    )
    config.beta = trainer.beta = beta
    if task.is_played:  # an environment's own reward is asked by the meter, and not once more
        trainer.reward_funcs, trainer.reward_func_names = trainer.reward_funcs[:1], trainer.reward_func_names[:1]
        trainer.reward_processing_classes = trainer.reward_processing_classes[:1]
        trainer.reward_weights = trainer.reward_weights[:1]
    if beta and not hasattr(policy.model, "peft_config"):  # with an adapter TRL takes the policy with it off
        trainer.ref_model = _reference(trainer, policy)
    trainer.step_losses = StepLosses()
    if by_server:
        sample_by_server(trainer, config)
    if getattr(policy, "server", None) is not None:
        policy.server.holds = None  # it may be the same
    trainer.prefix_caching = policy.prefix_caching
    return trainer


def _reference(trainer: RlTrainer, policy: Any) -> Any:
    """The original base as TRL keeps a reference: able to give log-probabilities alone, and on the trainer's device."""
    if policy.load_base is None:
        raise ModelError(
            "the method, or beta above 0, needs the original base a second time, and this policy has no `load_base`: "
            "give it a function that loads the base, or train a LoRA adapter, whose base is the model with it off"
        )
    base, in_float32 = policy.load_base(), trainer.args.cast_lm_head_to_fp32
    if in_float32:
        head = deepcopy(base.get_output_embeddings()).float()  # the embeddings that it may be tied to stay as they are
        head.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))
        base.set_output_embeddings(head)
    add_fused_lm_head(base, temperature=trainer.temperature, cast_lm_head_to_fp32=in_float32)
    return trainer.accelerator.prepare_model(base, evaluation_mode=True)
