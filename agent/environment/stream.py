"""`Stream-v0`: a run as an episode. One step is one stage; the action is its method and its share of the budget.

    observation  `perdure.agent.environment.observation.NAMES`, float32
    action       MultiDiscrete([methods, shares]): the index of the method, and of the share of the remaining budget
                 that the stage may use. Discrete, as most learners support that
    reward       gain minus forgetting: `perdure.agent.environment.rewards`
    terminated   after the last stage; an episode is never truncated

An episode has the loop, budget, monitor, allocation, scorecard and run folder of `perdure run`, so that it ends with
the same weights as a run with the same seed and decisions.
"""

from collections.abc import Sequence
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any
from weakref import finalize

import gymnasium
import numpy as np
from numpy.typing import NDArray

from perdure.agent.environment.action_strategy import PATH, ActionStrategy
from perdure.agent.environment.actions import (
    DEFAULT_SHARES,
    action_mask,
    action_methods,
    action_shares,
    learnable_methods,
)
from perdure.agent.environment.episodes import Episodes, TemporaryFolder, episode, load_curriculum, with_strategy
from perdure.agent.environment.observation import NAMES, ObservationInputs, ObservationVector, observation
from perdure.agent.environment.rewards import reward_parts, reward_weights
from perdure.agent.life import Life
from perdure.agent.loop import begin, run_stage
from perdure.agent.run.events import Finished
from perdure.agent.run.state import StageState
from perdure.budget.errors import ConfigError
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.strategies import PythonStrategy

StageAction = NDArray[np.int64]
SEED_LIMIT = 2**32


class Stream(gymnasium.Env[ObservationVector, StageAction]):
    """See the module.

    Args:
        curriculum: the name of a shipped one, a path, or a `Curriculum`. Its methods and strategy are ignored, as the
            actions choose.
        overrides: `path=value` each, as `--set` of `perdure run`.
        methods: those that an action chooses among; default: `actions.DEFAULT_METHODS`.
        shares: the shares of the remaining budget that an action chooses among, each above 0 and at most 1.
        shuffle: order the stages of each episode by its seed.
        gain_weight, forgetting_weight, benchmark_weight: of the parts of the reward; default: those of the curriculum's
            `environment`.
        folder: for the run folders that are not kept; default: in memory for small models if the system has such a
            folder, else the system's folder for temporary files.

    Raises:
        CurriculumError: as `perdure run`.
        ConfigError: invalid methods, shares, weights or overrides.
    """

    metadata = {"render_modes": []}

    def __init__(
        self,
        curriculum: str | PathLike[str] | Curriculum = "stream-gym",
        overrides: Sequence[str] = (),
        *,
        methods: Sequence[str] | None = None,
        shares: Sequence[float] = DEFAULT_SHARES,
        shuffle: bool = False,
        gain_weight: float | None = None,
        forgetting_weight: float | None = None,
        benchmark_weight: float | None = None,
        folder: str | PathLike[str] | None = None,
    ) -> None:
        given = load_curriculum(curriculum, overrides)
        self._curriculum = with_strategy(PythonStrategy(type="python", path=PATH), given)
        self.methods, self.shares = action_methods(methods, given.spec), action_shares(shares)
        self.observation_names = tuple(NAMES)
        self._weights = reward_weights(given.environment, gain_weight, forgetting_weight, benchmark_weight)
        self._episodes, self._shuffle = Episodes(), shuffle
        self._folder = TemporaryFolder(None if folder is None else Path(folder), small=given.model.IS_SMALL)
        self._life: Life | None = None
        self._number, self._learnable, self._strategy = 0, list[Sequence[str]](), ActionStrategy()
        low, high = np.array(list(NAMES.values()), np.float32).T
        self.observation_space = gymnasium.spaces.Box(low, high)
        self.action_space = gymnasium.spaces.MultiDiscrete([len(self.methods), len(self.shares)])
        finalize(self, self._folder.clear)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObservationVector, dict[str, Any]]:
        """Start a new run at `seed`; by default at one drawn from the environment's generator.

        `options={"keep": path}` makes its run folder there and keeps it, for `perdure show`.

        Raises:
            ConfigError: an unknown option, or a seed that is not below 2**32.
            PerdureError: as `perdure run`.
        """
        super().reset(seed=seed)
        keep = _keep(options or {})
        drawn = int(self.np_random.integers(SEED_LIMIT)) if seed is None else seed
        if drawn >= SEED_LIMIT:
            raise ConfigError(f"the seed of a run must be below 2**32; got {drawn}")
        self._life, self._number = None, 1
        path = self._folder.fresh() if keep is None else keep
        life = self._episodes.start(episode(self._curriculum, drawn, shuffle=self._shuffle), path)
        life.strategy = self._strategy
        learnable = [learnable_methods(self.methods, task, self._curriculum.spec) for task in life.tasks]
        begin(life)
        self._life, self._learnable = life, [*learnable, ()]
        about = {"seed": drawn, "stages": tuple(task.name for task in life.tasks), "methods": self.methods}
        return self._observe(), self._info() | about | {"shares": self.shares, "names": self.observation_names}

    def step(self, action: StageAction) -> tuple[ObservationVector, float, bool, bool, dict[str, Any]]:
        """Run the next stage with this action.

        A method that cannot learn the task, for lack of demonstrations or a reward, is replaced by the first of
        `methods` that can; `info["replaced"]` names it.

        Raises:
            gymnasium.error.ResetNeeded: there is no run, or it is over.
            PerdureError: as `perdure run`.
        """
        life, number = self._life, self._number
        if life is None or number > len(life.tasks):
            raise gymnasium.error.ResetNeeded("the episode is over; call reset() for another one")
        method, replaced = self._set_decision(action)
        run_stage(life, *life.stages[number - 1])
        self._number += 1
        over = self._number > len(life.tasks)
        if over:
            life.logger.log(Finished(seconds=life.logger.active_seconds()))
        before, after = self._row(number - 1), self._row(number)
        names = [task.name for task in life.tasks]
        parts = reward_parts(
            before.scores,
            after.scores,
            earlier=names[: number - 1],
            later=names[number - 1 :],
            benchmarks=life.logger.state.benchmarks,
        )
        about = {"method": method, "replaced": replaced, **vars(parts), **_of_row(after)}
        return self._observe(), parts.reward(self._weights), over, False, self._info() | about

    def close(self) -> None:
        """Remove the run folder, unless it is kept."""
        self._life = None
        self._folder.clear()

    def _set_decision(self, action: StageAction) -> tuple[str, str | None]:
        """Set the strategy's decision; returns the method, and the one that it replaces, if any."""
        wanted, share = self.methods[int(action[0])], self.shares[int(action[1])]
        learnable = self._learnable[self._number - 1]
        method = wanted if wanted in learnable else learnable[0]
        replaced = None if method == wanted else wanted
        self._strategy.set_decision(method, share, None if replaced is None else f"{replaced} cannot learn this task")
        return method, replaced

    def _observe(self) -> ObservationVector:
        """The observation before the next stage."""
        life, number = self._current(), self._number
        reading = life.monitor.read(0, [task.name for task in life.tasks[:number]])
        return observation(
            ObservationInputs(
                number=number,
                next_stage=life.stages[number - 1][1:] if number <= len(life.tasks) else None,
                curriculum=life.curriculum,
                policy=life.world.policy,
                kl=reading.kl.value,
                remaining=reading.left,
                record=life.logger.state,
            )
        )

    def _info(self) -> dict[str, Any]:
        life = self._current()
        learnable = self._learnable[self._number - 1]
        row = self._row(self._number - 1)
        return {
            "action_mask": action_mask(self.methods, learnable, len(self.shares)),
            "scores": {name: value.value for name, value in row.scores.items()},
            "asked": {name: asdict(asked) for name, asked in row.asked.items()},
        } | ({"task": life.tasks[self._number - 1].name} if learnable else {})

    def _row(self, number: int) -> StageState:
        row = self._current().logger.state.row(number)
        assert row is not None
        return row

    def _current(self) -> Life:
        assert self._life is not None
        return self._life


def _of_row(row: StageState) -> dict[str, Any]:
    """Further info of a stage: the KL at its end and its cap, in nats, its steps and interventions."""
    last = row.readings[-1]
    actions = tuple(str(intervention.action) for intervention in row.interventions)
    return {"kl": last.kl.value, "cap": row.cap, "steps": row.steps, "interventions": actions}


def _keep(options: dict[str, Any]) -> Path | None:
    unknown = ", ".join(repr(name) for name in options if name != "keep")
    if unknown:
        raise ConfigError(f"reset has one option, 'keep', the path of a run folder; got {unknown}")
    return Path(options["keep"]) if options.get("keep") is not None else None
