"""The control world behind the loop's contract: KL is exact on every decision of the base's episodes."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from perdure.agent.seeds import derive
from perdure.agent.weights import trainable, trained
from perdure.agent.worlds.base_prompts import RECOVER, TERM, sides
from perdure.agent.worlds.contract import Largest, Outcome, UpdateJob, Watch
from perdure.agent.worlds.control.base_kl import StateKl
from perdure.agent.worlds.control.base_states import (
    States,
    measured,
    played_states,
    read_states,
    shown_states,
    write_states,
)
from perdure.agent.worlds.control.batches import demonstrations_of
from perdure.agent.worlds.control.begin import begin
from perdure.agent.worlds.control.losses import chosen_of, entropy_weights, log_of
from perdure.agent.worlds.control.networks.parts import matrices
from perdure.agent.worlds.control.neutral import neutral_starts
from perdure.agent.worlds.control.training import train
from perdure.agent.worlds.control.vla.begin import begin_vla
from perdure.agent.worlds.control.vla.outside import write_outside
from perdure.agent.worlds.distil import distil
from perdure.agent.worlds.job import trained_on
from perdure.agent.worlds.losses import confident_conflicts
from perdure.agent.worlds.sizes import sizes_of
from perdure.agent.worlds.terms import Penalty
from perdure.budget.config import RecoverConfig
from perdure.budget.errors import ModelError
from perdure.budget.estimate import Estimate, Group, per_token
from perdure.budget.files import make_folder
from perdure.budget.monitor import Measurement
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.strategies import Trying
from perdure.curriculum.task import Item, Task, question
from perdure.curriculum.worlds.control.model import ControlModel
from perdure.curriculum.worlds.control.rewards import EpisodeReward
from perdure.curriculum.worlds.control.tasks import Gymnasium
from perdure.curriculum.worlds.control.token_actions import TokenActions
from perdure.curriculum.worlds.control.vla import TokenPolicy
from perdure.curriculum.worlds.methods import Sizes

UNREAD = "on training starts that the monitor does not read"
MORE = "or raise `train` of a task"


class ControlWorld:
    """A policy of environments. Its base imitates experts at the curriculum's seed when the run begins."""

    kind = "control"
    warnings = ()

    def __init__(self, curriculum: Curriculum) -> None:
        model = curriculum.model
        assert isinstance(model, ControlModel), "the schema gives the control world its own model"
        first = curriculum.stages[0].task
        assert isinstance(first, Gymnasium), "the schema gives the control world its own tasks"
        self._repeat = first.action_repeat
        begun = (begin_vla if isinstance(model.policy, TokenPolicy) else begin)(curriculum, model)
        self.policy, self._base, self.base_id, self._fresh = begun.policy, begun.base, begun.base_id, begun.fresh
        self._device = begun.device
        self._bins = {} if begun.policy.actions.values is None else {"bins": str(model.bins)}
        said = f"imitates successes ({', '.join(begun.base.imitated)})"
        self._imitated = {"base": said} if begun.base.imitated else {}
        self._states: dict[str, States] = {}
        self._recovery: States | None = None
        self._unit, self._recovers = curriculum.budget.unit, curriculum.budget.enforces("recover")
        self._set_aside = curriculum.strategy.num_prompts if isinstance(curriculum.strategy, Trying) else 0

    @property
    def resolved(self) -> dict[str, str]:
        """See `World.resolved`."""
        threads = torch.get_num_threads() if self._device.type == "cpu" else 0
        return {
            "device": str(self._device),
            "threads": str(threads),
            **self._bins,
            **self._imitated,
            "action_repeat": str(self._repeat),
        }

    def fitted(self, tasks: Sequence[Task]) -> tuple[Task, ...]:
        """See `World.fitted`."""
        return tuple(tasks)

    def refuse_unfit(
        self,
        tasks: Sequence[Task],
        methods: Sequence[Sequence[str]],
        benchmarks: Sequence[Task],
        prompts: Mapping[str, Sequence[Any]],
    ) -> None:
        """See `World.refuse_unfit`. A base that was loaded has no episodes of its own to go back to: it plays some."""
        if self._base.episodes:
            return
        read = {question(start) for name, starts in prompts.items() if not name.startswith(TERM) for start in starts}
        starts = [one.prompt for task in tasks for one in task.train if one.prompt is not None]
        self._base = replace(self._base, spare=tuple(start for start in starts if question(start) not in read))
        self._recovery = None  # of another run's starts, where the world is used again
        if self._recovers and not self._base.spare:
            raise ModelError(
                f"budget.enforce: `recover` distils from the base {UNREAD}, and it reads all of them; lower "
                f"budget.num_prompts, {MORE}"
            )
        for number, possible in enumerate(methods):
            asking = next((one for one in ("ewc", "cpo") for name in possible if one in name.split("+")), None)
            if asking is None:
                continue
            aside = self._set_aside if len(possible) > 1 else 0
            task, earlier = trained_on(tasks[number], tasks[:number], aside)
            if not self._base.spare_of((*earlier, task)):
                why = "it reads all but those that trials set aside" if aside else "it reads all of them"
                fewer = "budget.num_prompts or strategy.num_prompts" if aside else "budget.num_prompts"
                raise ModelError(
                    f"stages.{task.name}: `{asking}` holds to what the base does {UNREAD}, and {why}; lower {fewer}, "
                    f"{MORE}"
                )

    def neutral_prompts(self, count: int, curriculum: Curriculum) -> Sequence[Any]:
        """See `World.neutral_prompts`, and `neutral.py`."""
        tasks = [stage.task for stage in curriculum.stages if isinstance(stage.task, Gymnasium)]
        return neutral_starts(tasks, self._base.episodes, count, curriculum.seed)

    def prepare_base(self, prompts: Mapping[str, Sequence[Any]], folder: Path, *, seed: int) -> None:
        """See `World.prepare_base`: the base plays one episode from each start."""
        file = folder / "states.safetensors"
        if not file.exists():
            make_folder(folder)
            played = {
                name: played_states(self.policy, starts, seed=derive(seed, name), name=name)
                for name, starts in prompts.items()
            }
            if isinstance(self.policy.actions, TokenActions):
                write_outside(played, self.policy.actions, folder)
            write_states(played, file)
        self._states = read_states(list(prompts), file, self._device)

    def measure(self, names: Sequence[str]) -> Measurement:
        """See `World.measure`."""
        return measured(self.policy.actor, [self._states[name] for name in names])

    def conflicts(self, items: Sequence[Item]) -> Estimate | None:
        """See `World.conflicts`. A token is a dimension of a decision."""
        states = self._shown(items)
        if states is None:
            return None
        log_SDB = states.base_log_SDB
        mask_SDB = confident_conflicts(log_SDB, entropy_weights(log_SDB, self.policy.actions.sizes))
        share_S = chosen_of(mask_SDB, states.actions_SD).double().mean(-1)
        sums = [float(part.sum()) for part in torch.split(share_S, list(states.lengths))]
        return per_token([Group(tuple(sums), states.lengths)])

    def kl_from_writer(self, items: Sequence[Item]) -> Sequence[float]:
        """See `World.kl_from_writer`: of each successful episode, the sum over its decisions."""
        states = self._shown(items)
        if states is None:
            return []
        log_S = log_of(states.base_log_SDB, states.actions_SD).double()
        return [-float(part.sum()) for part in torch.split(log_S, list(states.lengths))]

    def _shown(self, items: Sequence[Item]) -> States | None:
        """The states of the demonstrations, with the distributions of the policy as it is."""
        shown = [episode for item in items for episode in demonstrations_of(item) if len(episode.actions)]
        return shown_states(self.policy.actor, shown) if shown else None

    def update(self, job: UpdateJob) -> Outcome:
        """See `World.update`."""
        self.policy.faults.clear()
        outcome = train(job, self._base, self._penalty(job))
        assert isinstance(job.task.reward, EpisodeReward), "tasks of environments have one"
        for fault in self.policy.faults:
            job.task.reward.count_fault(fault)
        return outcome

    def _penalty(self, job: UpdateJob) -> tuple[Penalty, ...]:
        if job.controller is None:
            return ()
        count, seed = job.controller.num_prompts, derive(job.seed, "penalty")
        losses = [
            StateKl(
                self.policy.actor,
                {name: self._states[name] for name in some},
                unit=job.unit,
                episodes=count,
                seed=seed,
            )
            for some in sides(job.texts)
        ]
        return (Penalty(losses, job.controller),)

    @property
    def sizes(self) -> Sizes:
        """See `World.sizes`."""
        tensors = list(self.policy.actor.network.parameters())
        trained = [one for one in tensors if one.requires_grad]
        inner = list(matrices(self.policy.actor.network).values())
        return sizes_of(tensors, trained, inner, held=self._fresh is None, has_base=True)

    def largest_logits(self) -> AbstractContextManager[Largest]:
        """See `World.largest_logits`; those of a few hundred values count for nothing."""
        return nullcontext(Largest())

    def recover(self, config: RecoverConfig, learning_rate: float, *, seed: int, watch: Watch) -> int:
        """See `World.recover`: on episodes that the base imitated, or that it plays where the monitor reads none."""
        if self._recovery is None:
            self._recovery = self._recovered_on()
        loss = StateKl(
            self.policy.actor,
            {RECOVER: self._recovery},
            unit=self._unit,
            episodes=min(config.num_prompts, len(self._recovery.lengths)),
            seed=derive(seed, "recover"),
        )
        trained = [one for one in self.policy.actor.network.parameters() if one.requires_grad]
        return distil(trained, loss, config, learning_rate, watch)

    def _recovered_on(self) -> States:
        """Episodes of the base, with its distributions; a base that was loaded has none but those that it plays."""
        if self._base.episodes:
            return shown_states(self._base.actor, self._base.episodes)
        player = self.policy.played_by(self._base.actor)
        return played_states(player, self._base.spare, seed=derive(0, RECOVER), name=RECOVER)

    @property
    def trained(self) -> dict[str, Tensor]:
        """See `World.trained`."""
        return trained(self.policy.actor.network)

    @torch.no_grad()
    def become_base(self) -> None:
        """See `World.become_base`."""
        weights = self._fresh or dict(self._base.actor.network.named_parameters())
        for name, mine in trainable(self.policy.actor.network).items():
            mine.copy_(weights[name])
