"""What holds the control world to its budget, and checkpoints inside a stage."""

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from perdure.agent.weights import blend, restore_weights, write_weights
from perdure.agent.worlds.contract import Progress, SaveAndStop
from perdure.agent.worlds.control.base_kl import StateKl
from perdure.agent.worlds.control.base_states import States, measured, shown_states
from perdure.agent.worlds.control.inputs import Inputs
from perdure.agent.worlds.control.pretrain import weights_of
from perdure.agent.worlds.control.world import ControlWorld
from perdure.budget.config import PenaltyConfig, RecoverConfig
from perdure.budget.errors import ModelError
from perdure.budget.penalty import Controller
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.worlds.registry import spec_of
from tests.agent.worlds.control.point_runs import Weights, curriculum, fresh_world, job_of, same, task

READ, TERM = "right", "term/right"
UNUSED = Inputs(torch.zeros(3, 1), torch.zeros(3, 0, 0, 0), torch.zeros(3, 1, 3, dtype=torch.int64))


class Flat:
    """An actor of one dimension of two values, as likely one as the other, by one number that is learned."""

    def __init__(self) -> None:
        self.tilt = torch.zeros(1, requires_grad=True)

    def log_probabilities(self, inputs: Inputs, actions_ND: Tensor) -> Tensor:
        logits_2 = torch.stack([self.tilt[0], torch.zeros(())])
        return logits_2.log_softmax(-1).expand(len(inputs), 1, 2)


def states(lengths: tuple[int, ...], *first: float) -> States:
    """Episodes of these lengths whose decisions have the first value so likely in the base."""
    base = torch.tensor([[[one, 1 - one]] for one in first]).log()
    rows = Inputs(*(part[:1].expand(len(first), *part.shape[1:]) for part in vars(UNUSED).values()))
    return States(rows, torch.zeros(len(first), 1, dtype=torch.int64), base, lengths)


def test_the_kl_of_a_step_is_that_of_a_reading_and_has_its_gradient() -> None:
    """Two groups count alike. Base (3/4, 1/4) at one of three decisions, else (1/2, 1/2), where the policy is.

    Its KL is a = 3/4 ln(3/2) + 1/4 ln(1/2) = 0.1308; so a decision has a/3 in the first group and 0 in the other, on
    average a/6; an episode a/2 and 0, on average a/4.
    """
    a = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    groups = {"far": states((2, 1), 0.75, 0.5, 0.5), "near": states((2,), 0.5, 0.5)}
    for unit, expected, slope in (("token", a / 6, -1 / 24), ("sequence", a / 4, -1 / 16)):
        actor: Any = Flat()
        kl = StateKl(actor, groups, unit=unit, episodes=4, seed=0)  # type: ignore[arg-type]
        assert float(kl.backward(0, 0.0, torch.Tensor.backward)) == pytest.approx(expected)
        assert actor.tilt.grad is None, "at a weight of 0 there is no gradient"
        kl.backward(0, 1.0, torch.Tensor.backward)
        # the slope of ln-odds at the decision that differs is 1/2 - 3/4
        assert float(actor.tilt.grad) == pytest.approx(slope)
    first = measured(actor, list(groups.values())).kl_base_to_policy[0]
    assert first.sums == pytest.approx((a, 0.0))


def test_the_episodes_of_a_step_follow_from_the_seed_and_the_step() -> None:
    groups = {"far": states((1,) * 9, *[0.5] * 9)}
    one, again, other = (StateKl(Flat(), groups, unit="token", episodes=3, seed=seed) for seed in (1, 1, 2))  # type: ignore[arg-type]
    assert one.chosen(7) == again.chosen(7) != one.chosen(8)
    assert one.chosen(7) != other.chosen(7)


class Held:
    """The small world with the groups of one task."""

    def __init__(self, folder: Path, config: Curriculum | None = None) -> None:
        self.folder = folder
        self.world = fresh_world() if config is None else ControlWorld(config)
        starts = [item.prompt for item in task().train]
        self.world.prepare_base({READ: starts[:4], TERM: starts[4:]}, folder / "base", seed=0)

    def kl(self) -> float:
        (group,) = self.world.measure([READ]).kl_base_to_policy
        return sum(group.sums) / sum(group.lengths)

    def learn(self, controller: Controller | None = None, method: str = "sft", steps: int = 30, **more: Any) -> Weights:
        self.world.become_base()
        texts = () if controller is None else (TERM,)
        folder = self.folder / f"stage-{method}-{steps}-{controller is None}"
        train = {"max_steps": steps, "learning_rate": 1e-2, **more}
        self.world.update(job_of(method, self.world, folder, train=train, texts=texts, controller=controller))
        return weights_of(self.world.policy.actor.network)


@pytest.fixture
def held(tmp_path: Path) -> Held:
    return Held(tmp_path)


@pytest.mark.parametrize("method", ["sft", "rl", "tilt+l2", "chord+low_rank"])
def test_every_method_has_the_penalty(held: Held, method: str) -> None:
    held.learn(method=method)
    free = held.kl()
    config = PenaltyConfig.model_validate({"num_prompts": 4, "weight": 30.0, "controller": "proportional"})
    held.learn(Controller(config, cap=0.05), method=method)
    assert held.kl() < 0.7 * free


def test_a_penalty_of_weight_0_changes_no_bit(held: Held) -> None:
    free = held.learn()
    assert same(free, held.learn(Controller(PenaltyConfig(rate=1e-12), cap=1e6, weight=0.0)))


def test_the_recovery_goes_back_towards_the_base_and_stops_when_told(held: Held) -> None:
    held.learn()
    moved, end = held.kl(), held.folder / "end.safetensors"
    write_weights(held.world.trained, end)

    def recovered(enough: int) -> tuple[int, float]:
        restore_weights(held.world.trained, end)
        return held.world.recover(
            RecoverConfig(max_steps=12), 1e-2, seed=5, watch=lambda at: at.step == enough
        ), held.kl()

    some, all_of_it = recovered(4), recovered(100)
    assert (some[0], all_of_it[0]) == (4, 12)
    assert all_of_it[1] < moved
    assert recovered(4) == some, "it is repeatable"


def saved_base(folder: Path, *enforce: str, **changes: Any) -> Curriculum:
    """A curriculum whose base is a saved policy; by default with `recover`."""
    fresh_world().policy.save(folder)
    model = {"type": "control", "policy": {"type": "mlp", "hidden_sizes": [16]}, "bins": 5, "path": str(folder)}
    return curriculum(
        model=model, budget={"kl": 1.0, "enforce": list(enforce) or ["recover"], "num_prompts": 4}, **changes
    )


def test_a_base_that_was_loaded_is_recovered_on_starts_that_are_not_read(tmp_path: Path) -> None:
    held = Held(tmp_path / "run", saved_base(tmp_path / "saved"))
    starts = [item.prompt for item in task().train]
    held.world.refuse_unfit([task()], [["sft"]], [], {READ: starts[:4]})
    held.learn()
    moved = held.kl()
    held.world.recover(RecoverConfig(max_steps=12), 1e-2, seed=5, watch=lambda _: False)
    assert held.kl() < moved
    with pytest.raises(ModelError, match="reads all of them"):
        held.world.refuse_unfit([task()], [["sft"]], [], {READ: starts})
    for method in ("rl+ewc", "sft+cpo"):
        held.world.refuse_unfit([task()], [["sft", method]], [], {READ: starts[:4]})
        first = held.learn(method=method, steps=3)
        assert same(first, held.learn(method=method, steps=3))
        assert not same(first, held.learn(method=method.partition("+")[0], steps=3))


def test_the_recovery_of_a_loaded_base_is_on_starts_of_the_run(tmp_path: Path) -> None:
    """A world is used for many runs of `Stream-v0`; starts of the run before may be examined in this one."""
    used, new = (Held(tmp_path / name, saved_base(tmp_path / "saved")) for name in ("used", "new"))
    starts = [item.prompt for item in task().train]

    def recovered(held: Held, read: Sequence[Any]) -> Weights:
        held.world.refuse_unfit([task()], [["sft"]], [], {READ: read})
        held.learn()
        held.world.recover(RecoverConfig(max_steps=12), 1e-2, seed=5, watch=lambda _: False)
        return weights_of(held.world.policy.actor.network)

    recovered(used, starts[4:])
    assert same(recovered(used, starts[:4]), recovered(new, starts[:4]))


@pytest.mark.parametrize("set_aside", [2, 4])
def test_ewc_of_a_loaded_base_is_refused_where_trials_set_aside_all_that_is_not_read(
    tmp_path: Path, set_aside: int
) -> None:
    strategy = {"type": "race", "candidates": ["sft", "rl+ewc"], "min_gain": None, "num_prompts": set_aside}
    world = ControlWorld(saved_base(tmp_path, strategy=strategy))
    read = {READ: [item.prompt for item in task().train[:4]]}
    world.refuse_unfit([task()], [["rl+ewc"]], [], read)
    refused = pytest.raises(ModelError, match="it reads all but those that trials set aside")
    with refused if set_aside == 4 else nullcontext():
        world.refuse_unfit([task()], [["sft", "rl+ewc"]], [], read)


def test_ewc_of_a_loaded_base_is_refused_although_earlier_tasks_have_demonstrations(tmp_path: Path) -> None:
    """They would be all that it holds to, and the base no part of it."""
    world, starts = ControlWorld(saved_base(tmp_path, "rollback")), [item.prompt for item in task().train]
    assert all(item.columns["episodes"] for item in task().train)
    with pytest.raises(ModelError, match=r"stages\.\w+: `ewc` holds to what the base does .* it reads all of them"):
        world.refuse_unfit([task(), task()], [["sft"], ["rl+ewc"]], [], {READ: starts})
    world.refuse_unfit([task(), task()], [["sft"], ["rl+ewc"]], [], {READ: starts[:-1]})


def test_the_line_between_two_snapshots_is_exact_at_its_ends(held: Held) -> None:
    start, end = held.folder / "start.safetensors", held.folder / "end.safetensors"
    first = held.learn(steps=2)
    write_weights(held.world.trained, start)
    last = held.learn(steps=8)
    write_weights(held.world.trained, end)
    network = held.world.policy.actor.network
    for share, expected in ((0, first), (1, last)):
        blend(held.world.trained, start, end, share)
        assert same(expected, dict(network.named_parameters()))


def test_what_was_demonstrated_has_the_distributions_of_the_actor() -> None:
    world = fresh_world()
    episodes = [one for item in task().train[:2] for one in item.columns["episodes"]]
    found = shown_states(world.policy.actor, episodes)
    assert found.lengths == tuple(len(one.actions) for one in episodes)
    assert sum(measured(world.policy.actor, [found]).kl_base_to_policy[0].sums) == 0
    second = found.take([1])
    assert torch.equal(second.actions_SD, torch.from_numpy(episodes[1].actions))


KEEP: Mapping[str, Any] = {"save_steps": 2, "max_steps": 9, "num_iterations": 2}


class Kill(Exception):  # noqa: N818
    """In place of a kill."""


@pytest.mark.parametrize(
    ("name", "stop"),
    [("rl", 5), ("sft", 6), ("tilt+replay+kl", 6), ("chord+ewc", 5), ("reinforce+l2+low_rank", 5), ("rl_kl", 6)],
)
def test_a_killed_update_goes_on_from_its_checkpoint_to_the_same_bits(name: str, stop: int, tmp_path: Path) -> None:
    train = {key: value for key, value in KEEP.items() if key != "num_iterations" or name[0] not in "s"}
    train = {key: value for key, value in train.items() if key != "num_iterations" or not name.startswith("rein")}
    config = PenaltyConfig.model_validate({"num_prompts": 2, "weight": 1.0})
    seen: list[Progress] = []

    def ended(folder: Path, stop_at: int | None, exception: type[Exception] = Kill) -> tuple[Weights, float, Any]:
        held, controller = Held(tmp_path), Controller(config, cap=0.1)

        def watch(progress: Progress) -> bool:
            seen.append(progress)
            if progress.step == stop_at:
                raise exception
            return False

        more = {"texts": (TERM,), "controller": controller, "earlier": [task("left")]}
        outcome = held.world.update(job_of(name, held.world, folder, train=train, watch=watch, **more))
        return weights_of(held.world.policy.actor.network), controller.weight, outcome

    whole = ended(tmp_path / "whole", None)
    all_steps = list(seen)
    with pytest.raises(Kill):
        ended(tmp_path / "killed", stop)
    seen.clear()
    again = ended(tmp_path / "killed", None)
    assert 1 < seen[0].step <= stop, "it went on from a checkpoint"
    assert seen == all_steps[-len(seen) :], "every figure of every step is the same"
    assert all(one.entropy is not None and one.entropy > 0 for one in seen)
    assert same(whole[0], again[0]) and whole[1:] == again[1:] and whole[2].counts == again[2].counts
    seen.clear()
    assert same(whole[0], ended(tmp_path / "killed", None)[0]) and not seen, "the last step has a checkpoint, too"


def test_a_user_who_stops_loses_no_step_between_batches(tmp_path: Path) -> None:
    def stopped_at(step: int, folder: Path) -> int:
        first: list[int] = []
        asked = [step]

        def watch(progress: Progress) -> bool:
            first.append(progress.step)
            if progress.step in asked:
                raise SaveAndStop
            return False

        train = {"save_steps": 100, "max_steps": 6, "num_iterations": 2}
        with pytest.raises(SaveAndStop):
            world = fresh_world()
            world.update(job_of("rl", world, folder, train=train, watch=watch))
        first.clear()
        asked.clear()
        world = fresh_world()
        world.update(job_of("rl", world, folder, train=train, watch=watch))
        return first[0]

    assert stopped_at(4, tmp_path / "between") == 5
    assert stopped_at(3, tmp_path / "within") == 1, "the episodes of a batch are not kept"


@pytest.mark.parametrize("name", ["sft", "rl", "tilt", "chord", "reinforce"])
def test_every_objective_keeps_checkpoints(name: str) -> None:
    assert "save_steps" in spec_of("control").objectives[name].settings.model_fields
    assert spec_of("control").objectives[name].defaults["save_steps"] == 30
