"""Runs of an update method, killed and resumed as tests need them, with small settings and a base in a folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from perdure.agent.weights import digest, trainable
from perdure.agent.worlds.contract import Outcome, Progress
from perdure.curriculum.task import Task
from perdure.curriculum.train import MethodSettings
from perdure.curriculum.worlds.registry import spec_of
from tests.agent.worlds.language.jobs import job_of, settings_of, update
from tests.agent.worlds.language.tiny_world import TinyPolicy, tiny_policy
from tests.agent.worlds.language.toy import toy_task

COMBINATIONS = (
    "rl+replay",
    "chord+replay",
    "tilt+replay",
    "sft+replay+kl",
    "rl+ewc",
    "rl+low_rank",
)
METHODS = (*spec_of("language").names, *COMBINATIONS)
"""Every objective and recipe, and some combinations."""
QUICK: dict[str, Any] = {"learning_rate": 3e-3, "warmup_steps": 0, "per_device_train_batch_size": 8}
SAMPLING: dict[str, Any] = {"num_generations": 4, "max_completion_length": 6}
SECTIONS: dict[str, Any] = {
    "gate": {"success_reward": 0.3},
    "sdft": {"teacher_template": "{prompt} like {demonstration}?", "teacher_decay": 0.8},
    "chord": {"sft_batch_size": 3},
    "ewc": {"fisher_items": 3},
}


def small(name: str, **more: Any) -> MethodSettings:
    """Settings of a method: 16 items make 2 steps a pass for what imitates and 8 for what samples."""
    return settings_of(name, **(QUICK | SAMPLING | SECTIONS | more))


def based(folder: Path, seed: int = 0) -> TinyPolicy:
    """A policy whose base can be loaded a second time, from `folder`."""
    policy = tiny_policy(seed)
    if not (folder / "config.json").exists():
        policy.model.save_pretrained(folder)
    load = loader(folder)
    return TinyPolicy(load(), policy.tokenizer, load_base=load)


def loader(folder: Path) -> Callable[[], Any]:
    """Loads the model in a folder."""
    from transformers import AutoModelForCausalLM

    return lambda: AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


class Killed(BaseException):
    """As abrupt as a kill."""


class Run:
    """One update, the progress that its watch saw, and the weights' hash at every step; `more` as in `job_of`."""

    def __init__(self, policy: Any, folder: Path, task: Task | None = None, **more: Any) -> None:
        self.policy, self.folder, self.task, self.more = policy, folder, task or toy_task(16), more
        self.seen: list[Progress] = []
        self.digests: list[str] = []

    def update(
        self,
        name: str,
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

        return update(job_of(name, self.policy, self.task, self.folder, settings, watch=watch, seed=seed, **self.more))

    @property
    def digest(self) -> str:
        return digest(self.weights)

    @property
    def weights(self) -> dict[str, Tensor]:
        return trainable(self.policy.model)

    @property
    def losses(self) -> list[float]:
        return [float("nan") if progress.loss is None else progress.loss for progress in self.seen]

    @property
    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())


def end(
    name: str, settings: MethodSettings, task: Task, folder: Path, policy: TinyPolicy | None = None, **more: Any
) -> Run:
    """An update that was made to its end; `more` are fields of the job."""
    run = Run(policy or tiny_policy(), folder, task, **more)
    run.update(name, settings)
    return run
