"""The contract of a world: a policy, its measurement against the base, and its updates."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from perdure.agent.run.steps import FIGURES
from perdure.agent.sweep.stacks import Trainer
from perdure.budget.config import RecoverConfig, Unit
from perdure.budget.estimate import Estimate
from perdure.budget.monitor import Measurement
from perdure.budget.penalty import Controller
from perdure.curriculum.policy import Policy
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.settings import Common
from perdure.curriculum.task import Item, Task
from perdure.curriculum.train import MethodSettings
from perdure.curriculum.worlds.methods import Method, Sizes

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Progress:
    """One optimiser step, just done, and its figures: each may be NaN, and is `None` where the method has none.

    Attributes:
        loss: that went down, with the terms beside it.
        reward: the mean over the answers (or episodes) sampled last, and `reward_std` their deviation (n - 1).
        entropy: of the policy, in nats, the mean over the tokens (labels, decisions) that it learned from.
        mean_length: of the answers sampled last, in tokens (of episodes, in decisions).
        grad_norm: of the gradient before it was clipped; outside of the language world only where it is clipped.
    """

    step: int
    max_steps: int
    loss: float | None = None
    reward: float | None = None
    learning_rate: float | None = None
    reward_std: float | None = None
    entropy: float | None = None
    mean_length: float | None = None
    grad_norm: float | None = None

    @property
    def figures(self) -> dict[str, float | None]:
        """The figures by their names, see `perdure.agent.run.steps.FIGURES`."""
        return {name: getattr(self, name) for name in FIGURES}


Counts = Mapping[str, tuple[int, int]]
"""How many, of how many, by the name of the notice (`perdure.agent.run.events.Notice`)."""

Watch = Callable[[Progress], bool]
"""Called after every optimiser step, with the policy's weights as they are then; true ends the update at once."""


@dataclass(frozen=True)
class Outcome:
    """The end of an update, after so many optimiser steps; `counts` are of what it did not learn from."""

    steps: int
    ended: Literal["completed", "stopped"]
    counts: Counts = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights on the disk, and its SHA-256."""

    path: Path
    sha256: str


Saving = Callable[[], WeightsFile | None]
"""See `UpdateJob.saving`."""


class SaveAndStop(Exception):  # noqa: N818  (not an error: how a user's Ctrl-C reaches the trainer)
    """Raised by `watch`: write a checkpoint of this very step, then let the exception go on up."""


@dataclass(frozen=True)
class UpdateJob:
    """All that an update is asked.

    Attributes:
        policy: the world's own, trained in place.
        settings: those of the objective, and of each modifier by name.
        folder: keeps the checkpoints from which a killed update goes on.
        earlier: the tasks of the stages before, first to last.
        aside: the keys of items that a trial or race measures on, which are in none of the tasks (see `is_among`).
        texts: the groups of texts of the base (see `base_prompts.py`) on which a KL term or a Fisher information is
            taken: never on the prompts that the monitor reads, which would then read too little.
        unit: the unit of the KL of such a term.
        controller: steers the weight of a KL term in the loss by the KL of every step; `None`: there is no such term.
            Its `weight` belongs to the state that a checkpoint keeps.
        saving: to be called before a checkpoint is written, so that all that `watch` was told is on the disk by then.
            It gives the file that already holds the weights as they are now, if there is one.
    """

    method: Method
    policy: Any
    task: Task
    settings: MethodSettings
    seed: int
    folder: Path
    watch: Watch
    earlier: tuple[Task, ...] = ()
    aside: frozenset[str] = frozenset()
    texts: tuple[str, ...] = ()
    unit: Unit = "token"
    controller: Controller | None = None
    saving: Saving = lambda: None


class Largest:
    """The bytes of the largest tensor that was seen."""

    def __init__(self) -> None:
        self.bytes = 0

    def see(self, _module: Any, _inputs: Any, output: Any) -> None:
        """A forward hook of torch."""
        self.bytes = max(self.bytes, output.numel() * output.element_size())


class World(Protocol):
    """One kind of policy and of tasks."""

    @property
    def policy(self) -> Policy: ...

    @property
    def kind(self) -> str:
        """The name of the world."""
        ...

    @property
    def base_id(self) -> str:
        """The identity of the base, see `perdure.budget.base_id`: runs with the same one may be pooled for the law."""
        ...

    @property
    def resolved(self) -> Mapping[str, str]:
        """Automatic choices that decide the last bits of a result, such as the device and the threads."""
        ...

    @property
    def warnings(self) -> Sequence[str]:
        """What the user should know of the world before anything is trained, a line each."""
        ...

    def fitted(self, tasks: Sequence[Task]) -> tuple[Task, ...]:
        """The tasks as the policy takes them. Raises ModelError: what it cannot take."""
        ...

    def refuse_unfit(
        self,
        tasks: Sequence[Task],
        methods: Sequence[Sequence[str]],
        benchmarks: Sequence[Task],
        prompts: Mapping[str, Sequence[Any]],
    ) -> None:
        """Refuse items that the policy cannot be asked or trained on, before a run has a folder.

        `methods` are those that each stage may come to use, `prompts` those of `prepare_base`.

        Raises:
            ModelError: names the place.
        """
        ...

    def neutral_prompts(self, count: int, curriculum: Curriculum) -> Sequence[Any]:
        """`count` prompts of the generic probe, from which the base shows what it does by itself.

        They need no data of the user's, and follow from the seed of the curriculum of the run, which may be another
        than the world was made for, with the same base; fewer are the first of more. Asked only where the world's
        specification says that it has them.
        """
        ...

    def prepare_base(self, prompts: Mapping[str, Sequence[Any]], folder: Path, *, seed: int) -> None:
        """Compute the base's side of the KL into `folder`, or, where that exists, read it from there.

        The policy is the base now. What is in an existing folder is whole; a second call makes the same bytes.
        """
        ...

    def measure(self, names: Sequence[str]) -> Measurement:
        """Divergences between the base and the policy as it is now."""
        ...

    def conflicts(self, items: Sequence[Item]) -> Estimate | None:
        """The share of the writer's tokens that the policy as it is finds improbable while it is sure of others.

        `None`: nobody wrote for these items. See `perdure.agent.worlds.losses.confident_conflicts`.
        """
        ...

    def kl_from_writer(self, items: Sequence[Item]) -> Sequence[float]:
        """KL(writer ‖ policy as it is) of each demonstration, in nats an answer; empty where nobody wrote.

        Of a writer who gives one answer it is the negative log-likelihood of that answer.
        """
        ...

    def update(self, job: UpdateJob) -> Outcome:
        """Train the policy in place."""
        ...

    @property
    def sizes(self) -> Sizes:
        """The sizes of the policy, in bytes."""
        ...

    def largest_logits(self) -> AbstractContextManager[Largest]:
        """Watch, inside, for the largest logits that a forward pass gives."""
        ...

    def recover(self, config: RecoverConfig, learning_rate: float, *, seed: int, watch: Watch) -> int:
        """Distil from the original base on generic prompts, in place, until `watch` says so or the steps are used up.

        The loss is KL(π0 ‖ π), exact over the vocabulary, on texts of the base. Returns the steps that were made. It is
        repeatable at a seed and keeps no checkpoints.
        """
        ...

    @property
    def trained(self) -> "Mapping[str, Tensor]":
        """The weights that updates may change, by name: what is written into them changes the policy.

        The names are those in the policy's own file, where `Policy.save` writes one.
        """
        ...

    def become_base(self) -> None:
        """Make the policy the original base again."""
        ...


class WorldPlugin(Protocol):
    """The module `WorldSpec.plugin`. Importing it imports no torch."""

    make_world: Callable[[Curriculum], World]
    """The world of a curriculum, with its base. Raises PerdureError: the model cannot be loaded or made."""

    check: Callable[[Method, MethodSettings, Task, Sequence[Task]], None]
    """Refuse settings that a method cannot carry out, and a task that it cannot learn with them after earlier ones.

    Raises ConfigError or DataError.
    """

    count_steps: Callable[[Method, Common, int], int]
    """The optimiser steps on a task of so many training items, if nothing ends it sooner. Raises ConfigError."""

    import_method: Callable[[Method], None]
    """Import what a method needs, which may take seconds."""

    stack_trainer: Trainer | None
    """Trains points of a sweep together; `None`: each is a run of its own."""
