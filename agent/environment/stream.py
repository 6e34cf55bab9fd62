"""`Stream-v0`: a life as an episode. One step is one stage; the action is its method and its share of the budget.

    observation  what a strategy may know before it chooses: `perdure.agent.environment.observation.NAMES`, float32
    action       MultiDiscrete([methods, shares]): which of `methods`, and which of `shares` of what is left of the
                 budget the stage may take. Two short lists, since that is what the fewest learners fail to take: those
                 for continuous actions are few, and a share between two others is worth little
    reward       gain minus forgetting: `perdure.agent.environment.rewards`
    terminated   after the last stage; an episode is never cut off

The life is one of `perdure run`: the same loop, budget, monitor, allocation and scorecard, in a run folder of its own,
so that an episode ends with the same weights as a run with the same seed and decisions.
"""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any
from weakref import finalize

import gymnasium
import numpy as np
from numpy.typing import NDArray

from perdure.agent.environment.action_strategy import PATH, Acting
from perdure.agent.environment.actions import SHARES, mask_of, methods_for, possible, shares_for
from perdure.agent.environment.episodes import Lives, Scratch, episode, left_to, read
from perdure.agent.environment.observation import NAMES, Observation, Sight, observation
from perdure.agent.environment.rewards import parts_of, weights_for
from perdure.agent.life import Life
from perdure.agent.loop import begin, run_stage
from perdure.agent.run.events import Finished
from perdure.agent.run.state import StageState
from perdure.budget.errors import ConfigError
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.strategies import PythonStrategy

Action = NDArray[np.int64]
LARGEST_SEED = 2**32


class Stream(gymnasium.Env[Observation, Action]):
    """See the module.

    Args:
        curriculum: the name of a shipped one, a path, or a `Curriculum`. What it says of methods and of the strategy is
            left aside: the actions choose.
        overrides: `path=value` each, as `--set` of `perdure run`.
        methods: those that an action chooses among; default: `actions.DEFAULT`.
        shares: the shares of what is left of the budget that an action chooses among, each above 0 and at most 1.
        shuffle: whether the stages of a life come in an order that follows from its seed.
        gain_weight, forgetting_weight, benchmark_weight: of the parts of the reward; default: what the curriculum's
            `environment` says.
        folder: where the run folders are made that are not kept; default: in memory for the vision world where the
            system has such a folder, else in the system's folder for temporary files.

    Raises:
        CurriculumError: as `perdure run`.
        ConfigError: methods, shares, weights or overrides that make no sense.
    """

    metadata = {"render_modes": []}

    def __init__(
        self,
        curriculum: str | PathLike[str] | Curriculum = "stream-gym",
        overrides: Sequence[str] = (),
        *,
        methods: Sequence[str] | None = None,
        shares: Sequence[float] = SHARES,
        shuffle: bool = False,
        gain_weight: float | None = None,
        forgetting_weight: float | None = None,
        benchmark_weight: float | None = None,
        folder: str | PathLike[str] | None = None,
    ) -> None:
        told = read(curriculum, overrides)
        self._curriculum = left_to(PythonStrategy(type="python", path=PATH), told)
        self.methods, self.shares = methods_for(methods, told.spec), shares_for(shares)
        self.observation_names = tuple(NAMES)
        self._weights = weights_for(told.environment, gain_weight, forgetting_weight, benchmark_weight)
        self._lives, self._shuffle = Lives(), shuffle
        self._scratch = Scratch(None if folder is None else Path(folder), small=told.model.IS_SMALL)
        self._life: Life | None = None
        self._number, self._able, self._acting = 0, list[Sequence[str]](), Acting()
        low, high = np.array(list(NAMES.values()), np.float32).T
        self.observation_space = gymnasium.spaces.Box(low, high)
        self.action_space = gymnasium.spaces.MultiDiscrete([len(self.methods), len(self.shares)])
        finalize(self, self._scratch.clear)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """A new life, at `seed`; without one, at a seed drawn from the environment's generator.

        `options={"keep": path}` makes its run folder there and leaves it, for `perdure show`.

        Raises:
            ConfigError: an option that is not known, or a seed that is not below 2**32.
            PerdureError: whatever is wrong with the data, the settings, the benchmarks, the model or the folder.
        """
        super().reset(seed=seed)
        keep = _keep(options or {})
        drawn = int(self.np_random.integers(LARGEST_SEED)) if seed is None else seed
        if drawn >= LARGEST_SEED:
            raise ConfigError(f"the seed of a life is below 2**32; got {drawn}")
        self._life, self._number = None, 1
        path = self._scratch.fresh() if keep is None else keep
        life = self._lives.begin(episode(self._curriculum, drawn, shuffle=self._shuffle), path)
        life.strategy = self._acting
        able = [possible(self.methods, task, self._curriculum.spec) for task in life.tasks]
        begin(life)
        self._life, self._able = life, [*able, ()]
        about = {"seed": drawn, "stages": tuple(task.name for task in life.tasks), "methods": self.methods}
        return self._observe(), self._info() | about | {"shares": self.shares, "names": self.observation_names}

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Live the stage to come by this action.

        A method that cannot learn the task, for want of demonstrations or of a reward, is replaced by the first of
        `methods` that can: `info["replaced"]` names it, and nothing else comes of it.

        Raises:
            gymnasium.error.ResetNeeded: there is no life, or it is over.
            PerdureError: as `perdure run`.
        """
        life, number = self._life, self._number
        if life is None or number > len(life.tasks):
            raise gymnasium.error.ResetNeeded("the life is over; call reset() for another one")
        method, replaced = self._tell(action)
        run_stage(life, *life.stages[number - 1])
        self._number += 1
        over = self._number > len(life.tasks)
        if over:
            life.logger.log(Finished(seconds=life.logger.active_seconds()))
        before, after = self._row(number - 1), self._row(number)
        names = [task.name for task in life.tasks]
        parts = parts_of(
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
        self._scratch.clear()

    def _tell(self, action: Action) -> tuple[str, str | None]:
        """Tell the strategy what to choose: the method, and the one that it stands in for, if any."""
        asked, share = self.methods[int(action[0])], self.shares[int(action[1])]
        able = self._able[self._number - 1]
        method = asked if asked in able else able[0]
        replaced = None if method == asked else asked
        self._acting.tell(method, share, None if replaced is None else f"{replaced} cannot learn this task")
        return method, replaced

    def _observe(self) -> Observation:
        """The observation before the stage to come."""
        life, number = self._living(), self._number
        reading = life.monitor.read(0, [task.name for task in life.tasks[:number]])
        return observation(
            Sight(
                number=number,
                coming=life.stages[number - 1][1:] if number <= len(life.tasks) else None,
                curriculum=life.curriculum,
                policy=life.world.policy,
                kl=reading.kl.value,
                left=reading.left,
                record=life.logger.state,
            )
        )

    def _info(self) -> dict[str, Any]:
        life = self._living()
        able = self._able[self._number - 1]
        scores = {name: value.value for name, value in self._row(self._number - 1).scores.items()}
        return {"action_mask": mask_of(self.methods, able, len(self.shares)), "scores": scores} | (
            {"task": life.tasks[self._number - 1].name} if able else {}
        )

    def _row(self, number: int) -> StageState:
        row = self._living().logger.state.row(number)
        assert row is not None
        return row

    def _living(self) -> Life:
        assert self._life is not None
        return self._life


def _of_row(row: StageState) -> dict[str, Any]:
    """What else is told of a stage: KL at its end and its cap, in nats, steps, and what was done about it."""
    last = row.readings[-1]
    actions = tuple(str(intervention.action) for intervention in row.interventions)
    return {"kl": last.kl.value, "cap": row.cap, "steps": row.steps, "interventions": actions}


def _keep(options: dict[str, Any]) -> Path | None:
    unknown = ", ".join(repr(name) for name in options if name != "keep")
    if unknown:
        raise ConfigError(f"reset knows one option, 'keep', the path of a run folder; got {unknown}")
    return Path(options["keep"]) if options.get("keep") is not None else None
