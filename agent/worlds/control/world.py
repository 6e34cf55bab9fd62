"""The control world behind the loop's contract: KL is exact on every decision of the base's episodes."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from perdure.agent.seeds import derive
from perdure.agent.weights import blend, restore_weights, write_tensors
from perdure.agent.worlds.contract import Largest, Outcome, UpdateJob, Watch
from perdure.agent.worlds.control.base_states import States, measured, played_states, read_states, write_states
from perdure.agent.worlds.control.loaded import loaded, loaded_id
from perdure.agent.worlds.control.networks.parts import matrices
from perdure.agent.worlds.control.policy import ControlPolicy
from perdure.agent.worlds.control.pretrain import Base, base_id, pretrained, weights_of
from perdure.agent.worlds.control.training import train
from perdure.agent.worlds.devices import device_of
from perdure.agent.worlds.sizes import sizes_of
from perdure.budget.config import RecoverConfig
from perdure.budget.files import make_folder
from perdure.budget.monitor import Measurement
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.task import Task
from perdure.curriculum.worlds.control.known import base_interface, environment_of
from perdure.curriculum.worlds.control.model import ControlModel
from perdure.curriculum.worlds.control.rewards import EpisodeReward
from perdure.curriculum.worlds.control.starts import Environment
from perdure.curriculum.worlds.control.tasks import Gymnasium
from perdure.curriculum.worlds.methods import Sizes


class ControlWorld:
    """A policy of environments. Its base imitates experts at the curriculum's seed when the run begins."""

    kind = "control"

    def __init__(self, curriculum: Curriculum) -> None:
        model = curriculum.model
        assert isinstance(model, ControlModel), "the schema gives the control world its own model"
        self._device = device_of(model.device, auto="cpu")
        torch.set_num_threads(model.threads if isinstance(model.threads, int) else 1)
        first = curriculum.stages[0].task
        assert isinstance(first, Gymnasium), "the schema gives the control world its own tasks"
        self._repeat = first.action_repeat
        base, interface = self._begun(model, curriculum.seed, environment_of(first)), base_interface(model)
        self._base = replace(base, actor=deepcopy(base.actor))
        network = self._base.actor.network.requires_grad_(False)
        about = {"model": model.model_dump(mode="json"), **(interface.to_json() if interface else {})}
        self.policy = ControlPolicy(deepcopy(base.actor), base.actions, about)
        made = model.path is None
        self.base_id = base_id(model, self._repeat) if made else loaded_id(model, network, self._repeat)
        self._bins = model.bins
        self._states: dict[str, States] = {}

    def _begun(self, model: ControlModel, seed: int, environment: Environment) -> Base:
        """The base, made or loaded."""
        if model.path is not None:
            return loaded(model, environment, self._device)
        drawn = int(model.drawn_from(seed) or 0)
        return pretrained(model.model_dump_json(), drawn, torch.get_num_threads(), str(self._device))

    @property
    def resolved(self) -> dict[str, str]:
        """See `World.resolved`."""
        threads = torch.get_num_threads() if self._device.type == "cpu" else 0
        return {
            "device": str(self._device),
            "threads": str(threads),
            "bins": str(self._bins),
            "action_repeat": str(self._repeat),
        }

    def fitted(self, tasks: Sequence[Task]) -> tuple[Task, ...]:
        """See `World.fitted`."""
        return tuple(tasks)

    def refuse_unfit(self, *items: Any) -> None:
        """See `World.refuse_unfit`."""

    def prepare_base(self, prompts: Mapping[str, Sequence[Any]], folder: Path, *, seed: int) -> None:
        """See `World.prepare_base`: the base plays one episode from each start."""
        file = folder / "states.safetensors"
        if not file.exists():
            make_folder(folder)
            played = {
                name: played_states(self.policy, starts, seed=derive(seed, name), name=name)
                for name, starts in prompts.items()
            }
            write_states(played, file)
        self._states = read_states(list(prompts), file, self._device)

    def measure(self, names: Sequence[str]) -> Measurement:
        """See `World.measure`."""
        return measured(self.policy.actor, [self._states[name] for name in names])

    def update(self, job: UpdateJob) -> Outcome:
        """See `World.update`."""
        self.policy.faults.clear()
        outcome = train(job, self._base)
        assert isinstance(job.task.reward, EpisodeReward), "tasks of environments have one"
        for fault in self.policy.faults:
            job.task.reward.count_fault(fault)
        return outcome

    @property
    def sizes(self) -> Sizes:
        """See `World.sizes`."""
        tensors = list(self.policy.actor.network.parameters())
        inner = list(matrices(self.policy.actor.network).values())
        return sizes_of(tensors, tensors, inner, held=True, has_base=True)

    def largest_logits(self) -> AbstractContextManager[Largest]:
        """See `World.largest_logits`; those of a few hundred values count for nothing."""
        return nullcontext(Largest())

    def recover(self, config: RecoverConfig, learning_rate: float, *, seed: int, watch: Watch) -> int:
        """See `World.recover`."""
        raise NotImplementedError

    def interpolate(self, start: Path, end: Path, share: float) -> None:
        """See `World.interpolate`."""
        blend(dict(self.policy.actor.network.named_parameters()), start, end, share)

    def snapshot(self, path: Path) -> None:
        """See `World.snapshot`."""
        write_tensors(weights_of(self.policy.actor.network), path)

    def restore_snapshot(self, path: Path) -> None:
        """See `World.restore_snapshot`."""
        restore_weights(self.policy.actor.network, path)

    @torch.no_grad()
    def become_base(self) -> None:
        """See `World.become_base`."""
        for mine, base in zip(
            self.policy.actor.network.parameters(), self._base.actor.network.parameters(), strict=True
        ):
            mine.copy_(base)
