"""What the tests of the methods share: policies with a base, trainers, and one update."""

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import torch
from torch import Tensor

from perdure.agent.weights import digest, trainable
from perdure.agent.worlds.contract import Outcome, Progress
from perdure.agent.worlds.language.methods.rl import build_sampler
from perdure.agent.worlds.language.trl.config import build_config
from perdure.agent.worlds.language.trl.rows import RewardMeter
from perdure.curriculum.task import Task
from perdure.curriculum.train import MethodSettings
from tests.agent.worlds.language.jobs import job_of, method_of, settings_of, update
from tests.agent.worlds.language.tiny_world import TinyPolicy, share_of_vowels, tiny_policy, toy_task

QUICK: dict[str, Any] = {"learning_rate": 3e-3, "warmup_steps": 0, "per_device_train_batch_size": 8}
PLAIN: dict[str, Any] = {"learning_rate": 0.1, "warmup_steps": 0, "max_grad_norm": 0, "trl": {"optim": "sgd"}}
"""A step is the gradient times 0.1, so that weights show gradients."""
SAMPLING: dict[str, Any] = {"num_generations": 4, "max_completion_length": 6}
SDFT: dict[str, Any] = {"max_completion_length": 6, "teacher_template": "{prompt} like {demonstration}?"}
SMALL: dict[str, MethodSettings] = {
    "tilt": settings_of("tilt", **QUICK, **SAMPLING),
    "gate": settings_of("gate", **QUICK, **SAMPLING, gate={"success_reward": 0.3}),
    "sdft": settings_of("sdft", **QUICK, sdft=SDFT | {"teacher_decay": 0.8}),
    "rl_kl": settings_of("rl_kl", **QUICK, **SAMPLING),
    "chord": settings_of("chord", **QUICK, **SAMPLING, chord={"sft_batch_size": 3}),
}


def based(folder: Path, seed: int = 0) -> TinyPolicy:
    """A policy whose base can be loaded a second time, from `folder`."""
    from transformers import AutoModelForCausalLM

    policy = tiny_policy(seed)
    if not (folder / "config.json").exists():
        policy.model.save_pretrained(folder)

    def load() -> Any:
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    return TinyPolicy(load(), policy.tokenizer, load_base=load)


def move(policy: TinyPolicy, scale: float = 0.02) -> None:
    """Take the policy away from its base."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for tensor in trainable(policy.model).values():
            tensor.add_(scale * torch.randn(tensor.shape, generator=generator))


def sampler(trainer_class: Any, method: str, policy: TinyPolicy, settings: MethodSettings, task: Task) -> Any:
    """A trainer of the method, in training mode."""
    objective = settings.objective
    config = build_config(
        method_of(method), objective, folder=Path(gettempdir()), seed=5, device_type="cpu", dtype="float32"
    )
    trainer = build_sampler(
        trainer_class, policy, task, config, RewardMeter(task.reward or share_of_vowels, task.train)
    )
    trainer.model.train()
    return trainer


def sampled(trainer: Any, items: Sequence[int], generations: int) -> dict[str, Any]:
    """A window of samples of these items."""
    rows = [{"prompt": trainer.train_dataset[item]["prompt"], "item": item} for item in items]
    torch.manual_seed(11)
    output: dict[str, Any] = trainer._generate_and_score_completions([row for row in rows for _ in range(generations)])
    return output


def answer_logp(model: Any, output: dict[str, Any], row: int) -> Tensor:
    """ln π(y|x) of one row without padding or a fused head."""
    prompt = output["prompt_ids"][row][output["prompt_mask"][row].bool()]
    answer = output["completion_ids"][row][output["completion_mask"][row].bool()]
    logits_TV = model(torch.cat([prompt, answer])[None]).logits[0, len(prompt) - 1 : -1]
    logps: Tensor = logits_TV.log_softmax(-1).gather(-1, answer[:, None]).sum()
    return logps


def end(
    method: str, settings: MethodSettings, task: Task, folder: Path, policy: Any = None, **more: Any
) -> tuple[dict[str, Tensor], list[Any]]:
    """The weights after an update, and the losses of its steps; `more` are fields of `UpdateJob`."""
    policy = policy or tiny_policy()
    losses: list[Any] = []

    def watch(progress: Progress) -> bool:
        losses.append(progress.loss)
        return False

    update(job_of(method, policy, task, folder, settings, watch=watch, **more))
    return trainable(policy.model), losses


def same(one: dict[str, Tensor], other: dict[str, Tensor], start: dict[str, Tensor]) -> bool:
    """Whether two updates moved the weights alike, to a hundredth of how far they moved them."""
    moved = max((one[name] - start[name]).abs().max().item() for name in one)
    return moved > 1e-4 and all((one[name] - other[name]).abs().max() < moved / 100 for name in one)


class Killed(BaseException):
    """What a kill would be."""


class Run:
    """One update, what its watch was told, and the weights' hash at every step; `more` are fields of `UpdateJob`."""

    def __init__(self, policy: Any, folder: Path, task: Task | None = None, **more: Any) -> None:
        self.policy, self.folder, self.task, self.more = policy, folder, task or toy_task(16), more
        self.seen: list[Progress] = []
        self.digests: list[str] = []

    def update(
        self,
        method: str,
        settings: MethodSettings,
        *,
        seed: int = 5,
        at: Callable[[int], bool] = lambda step: False,
        error: BaseException | None = None,
    ) -> Outcome:
        """Update; where `at` says so, end it: by raising `error`, or by asking."""

        def watch(progress: Progress) -> bool:
            self.seen.append(progress)
            self.digests.append(self.digest)
            if at(progress.step) and error is not None:
                raise error
            return at(progress.step)

        return update(
            job_of(method, self.policy, self.task, self.folder, settings, seed=seed, watch=watch, **self.more)
        )

    @property
    def digest(self) -> str:
        return digest(trainable(self.policy.model))

    @property
    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())
