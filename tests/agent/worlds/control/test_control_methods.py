"""Objectives and modifiers of the control world on the point world."""

from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from perdure.agent.worlds.contract import Progress
from perdure.agent.worlds.control.batches import deals, practised
from perdure.agent.worlds.control.changes import Changes
from perdure.agent.worlds.control.inputs import inputs_of
from perdure.agent.worlds.control.losses import log_of
from perdure.agent.worlds.control.methods import replay, rl, tilt
from perdure.agent.worlds.control.methods.ewc import remembered, spaced
from perdure.agent.worlds.control.policy import Played
from perdure.agent.worlds.control.pretrain import ControlBase
from perdure.agent.worlds.control.training import Update
from perdure.agent.worlds.schedule import plan_for
from perdure.budget.errors import DataError
from perdure.curriculum.settings import Replay
from perdure.curriculum.task import Item, Task, questions
from perdure.curriculum.worlds.control.episodes import Episode
from perdure.curriculum.worlds.control.starts import Environment, Start
from perdure.curriculum.worlds.registry import spec_of
from tests.agent.worlds.control.point_runs import after, fresh_world, job_of, same, task, updated, with_success

NEVER = "return >= 100"
STRONG: dict[str, Any] = {"replay": {"replay_ratio": 0.5}, "kl": {"beta": 1.0}}


def items(count: int, name: str) -> list[Item]:
    return [Item(f"{name}{number}") for number in range(count)]


def dealt(count: int, batches: int, **more: Any) -> list[list[str]]:
    return [[item.prompt for item in one] for one in islice(deals(items(6, "new"), count, 1, **more), batches)]


def test_every_start_is_dealt_once_a_pass() -> None:
    batches = dealt(2, 6)
    assert [sorted(name for batch in batches[first : first + 3] for name in batch) for first in (0, 3)] == [
        [f"new{n}" for n in range(6)]
    ] * 2
    assert batches[:3] != batches[3:]


def test_replayed_starts_are_their_share_of_the_batches() -> None:
    # 1/4 of 2 is one replayed start in every second batch; of two earlier starts each comes before one comes again
    batches = dealt(2, 8, earlier=items(2, "old"), share=0.25)
    old = [[name for name in batch if name.startswith("old")] for batch in batches]
    assert [len(some) for some in old] == [0, 1] * 4
    assert [sorted(old[first][0] for first in pair) for pair in ((1, 3), (5, 7))] == [["old0", "old1"]] * 2


def played(start: Start, actions: int, reward: float) -> Played:
    """An episode of so many decisions, of which the actions are all 0."""
    seen = inputs_of([])
    if actions:
        seen = replace(seen, vector=torch.zeros(actions, 2), image=torch.zeros(actions, 0, 0, 0))
        seen = replace(seen, words=torch.full((actions, 1, 3), -1))
    zeros = np.zeros((actions, 2), np.int64)
    episode = Episode((), zeros, np.zeros(actions), actions, bool(reward), {})
    return Played(start, episode, reward, seen, torch.full((actions,), -1.0))


def test_episodes_that_never_began_have_no_decisions_and_count_as_episodes() -> None:
    start = Start(Environment("none", horizon=4))
    batch = practised([played(start, 2, 1.0), played(start, 0, 0.0)], torch.tensor([0.5, -0.5]))
    assert (batch.reward, batch.mean_length) == (0.5, 1.0)
    assert batch.reward_std == pytest.approx(0.5**0.5)  # of 1 and 0: sqrt((0.25 + 0.25) / 1)
    # two episodes of at most 4 decisions: a share of 1/8 each, and 1/2 of it as the weight
    assert batch.shares_N is not None and batch.weights_N is not None
    assert batch.shares_N.tolist() == [1 / 8] * 2
    assert batch.weights_N.tolist() == [1 / 16] * 2
    assert (len(batch), batch.reward) == (2, 0.5)
    with pytest.raises(DataError, match="none of 1 episodes came to a first decision"):
        practised([played(start, 0, 0.0)], torch.zeros(1))


def test_a_start_that_comes_again_is_played_by_other_draws() -> None:
    policy, (one, other, *_) = fresh_world().policy, [item.prompt for item in task().train]
    found, again = (policy.play(some, temperature=5.0, seed=3) for some in ([one, one, other, one], [other, one]))
    assert len({each.episode for each in found}) == 4
    assert [each.episode for each in again] == [found[2].episode, found[0].episode]


def test_starts_whose_demonstrations_failed_leave_the_weights_alone(tmp_path: Path) -> None:
    base = fresh_world()
    failed = replace(task(), train=tuple(replace(item, columns={"episodes": ()}) for item in task().train))
    found, outcome = updated("sft", tmp_path, failed)
    assert same(found, dict(base.policy.actor.network.named_parameters()))
    assert (outcome.steps, outcome.ended) == (4, "completed")


EQUAL, NONE = "equal_rewards", "no_success"


@pytest.mark.parametrize(
    ("name", "notice", "groups"), [("rl", EQUAL, 8), ("tilt", NONE, 8), ("reinforce", EQUAL, 4), ("chord", EQUAL, 8)]
)
def test_without_success_there_is_nothing_to_reinforce_and_that_is_counted(
    name: str, notice: str, groups: int, tmp_path: Path
) -> None:
    # 4 steps: of 3 on each of two batches of 4 starts, or of one each; 6 episodes a start
    found, outcome = updated(name, tmp_path, with_success(task(), NEVER))
    episodes = 6 * 4 * (4 if name == "reinforce" else 2)
    assert outcome.counts == {notice: (groups, groups), "unrewarded": (episodes, episodes)}
    assert same(found, after(name, tmp_path, with_success(task(), NEVER)))
    assert same(found, dict(fresh_world().policy.actor.network.named_parameters())) is (name != "chord")


@pytest.mark.parametrize("name", spec_of("control").names)
def test_an_update_learns_and_repeats_to_the_bit(name: str, tmp_path: Path) -> None:
    found = after(name, tmp_path, earlier=[task("left")])
    assert all(tensor.isfinite().all() for tensor in found.values())
    assert not same(found, dict(fresh_world().policy.actor.network.named_parameters()))
    assert same(found, after(name, tmp_path, earlier=[task("left")]))


@pytest.mark.parametrize("name", ["rl+replay", "chord+replay+kl", "tilt+ewc", "reinforce+l2+low_rank"])
def test_each_modifier_does_something(name: str, tmp_path: Path) -> None:
    parts = name.split("+")
    found = after(name, tmp_path, earlier=[task("left")], train=STRONG)
    for modifier in parts[1:]:
        others = "+".join(one for one in parts if one != modifier)
        assert not same(found, after(others, tmp_path, earlier=[task("left")], train=STRONG)), modifier


def pool_of(name: str, base: ControlBase, earlier: list[Task], aside: frozenset[str] = frozenset()) -> list[str]:
    """The prompts that `replay` gives a method."""
    job = SimpleNamespace(method=spec_of("control").method(f"{name}+replay"), earlier=earlier, aside=aside)
    return [item.prompt for item in replay.modify(job, Replay(), base, Changes()).earlier]  # type: ignore[arg-type]


def test_replay_is_of_what_the_base_imitated_and_of_earlier_tasks() -> None:
    shown = {"episodes": ("an episode",)}
    recorded, known = Item(None, columns=shown), Item("known", columns=shown)
    base = ControlBase(None, None, (recorded, known))  # type: ignore[arg-type]
    earlier = [Task("earlier", (Item("shown", columns=shown), Item("failed", columns={"episodes": ()})), ())]
    assert pool_of("sft", base, earlier) == [None, "known", "shown"]
    assert pool_of("rl", base, earlier) == ["known", "shown", "failed"]
    assert pool_of("chord", base, earlier) == ["known", "shown"], "it plays and imitates the same starts"
    assert pool_of("rl", replace(base, items=()), []) == []
    # a trial measures on a start that the base imitated
    assert pool_of("rl", base, earlier, questions([known])) == ["shown", "failed"]


@pytest.mark.parametrize("count", [1, 4, 5, 8, 12])
def test_ewc_holds_to_all_that_the_base_imitated(count: int) -> None:
    """Of eight decisions, two an episode; each part of what is held to is spread over all of it."""
    episodes = [Episode((f"{one}a", f"{one}b"), *[()] * 2, 2, True, {}) for one in range(4)]  # type: ignore[arg-type]
    base = ControlBase(None, None, (Item("known", columns={"episodes": tuple(episodes)}),))  # type: ignore[arg-type]
    job: Any = SimpleNamespace(earlier=())
    held = [str(one)[0] for one in remembered(job, base, count, seed=0)]
    assert len(held) == min(count, 8)
    each = [held.count(str(one)) for one in range(4)]
    assert max(each) - min(each) <= 1
    assert spaced(range(15), 8) == [0, 1, 3, 5, 7, 9, 11, 13]


@pytest.mark.parametrize("name", ["rl", "tilt", "reinforce"])
def test_replayed_starts_are_judged_by_their_own_reward(name: str, tmp_path: Path) -> None:
    seen: list[float | None] = []

    def watch(progress: Progress) -> bool:
        seen.append(progress.reward)
        return False

    after(f"{name}+replay", tmp_path, with_success(task(), NEVER), train=STRONG, watch=watch)
    # half of each batch is of starts that the base was pretrained on, with their own reward; the others never succeed
    assert len(seen) == 4
    assert all(reward is not None and 0 < reward <= 0.5 for reward in seen)


def update_of(name: str, **train: Any) -> Update:
    """An update of a policy that has moved away from the base."""
    world = fresh_world()
    job = job_of(name, world, Path(), train=train)
    with torch.no_grad():
        for one in world.policy.actor.network.parameters():
            one.add_(0.1)
    plan = plan_for(job.method, job.settings.objective, len(task().train))
    return Update(name, world.policy, fresh_world().policy.actor, job.settings.objective, plan, 5)


def test_the_entropy_bonus_is_taken_off_the_loss() -> None:
    update = update_of("rl", entropy_coef=0.5)
    batch = rl.draw(update, task().train[:4], 0)
    log_NDB = update.actor.log_probabilities(batch.inputs, batch.actions_ND).detach()
    plain = rl.loss(update_of("rl"), batch, log_NDB, 0)
    entropy = -(log_NDB.exp() * log_NDB).sum((1, 2)).mean()
    assert float(plain - rl.loss(update, batch, log_NDB, 0)) == pytest.approx(0.5 * float(entropy), abs=1e-6)
    assert float(entropy) > 0.1


def test_tilt_weighs_a_whole_episode_by_the_base_over_the_policy() -> None:
    update = update_of("tilt")
    (one,) = update.policy.play([task().train[0].prompt], temperature=1.0, seed=3)
    actions_TD = torch.from_numpy(one.episode.actions)
    base_T, policy_T = (
        log_of(actor.log_probabilities(one.inputs, actions_TD), actions_TD) for actor in (update.base, update.actor)
    )
    assert tilt.log_ratio(update, one) == pytest.approx((base_T - policy_T).sum().item(), abs=1e-4)
    assert abs(tilt.log_ratio(update, one)) > 0.01


def test_tilt_by_samples_of_the_base_weighs_its_successes_alike() -> None:
    batch = tilt.draw(update_of("tilt", samples_from="base"), task().train[:4], 0)
    base = tilt.draw(replace(update_of("tilt", samples_from="base"), policy=fresh_world().policy), task().train[:4], 0)
    assert torch.equal(batch.actions_ND, base.actions_ND), "the base plays, wherever the policy is"
    assert batch.weights_N is not None and batch.shares_N is not None
    # of six episodes of a start k succeed, with weight 6/k each
    found = set((batch.weights_N / batch.shares_N).round(decimals=3).tolist())
    assert found <= {0.0, 6.0, 3.0, 2.0, 1.5, 1.2, 1.0} and len(found) > 1


@pytest.mark.parametrize(
    ("recipe", "combination", "settings"),
    [
        ("sft_kl", "sft+kl", {}),
        ("lora", "sft+low_rank", {}),
        ("eaft", "sft", {"token_weight": "entropy"}),
        ("low_lr_sft", "sft", {"learning_rate": 1e-2}),
        ("rl_kl", "rl", {"beta": 0.1}),
        ("dr_grpo", "rl", {}),
        ("grpo", "rl", {"scale_rewards": "group"}),
    ],
)
def test_a_recipe_is_its_combination_to_the_bit(
    recipe: str, combination: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    found = after(recipe, tmp_path)
    assert same(found, after(combination, tmp_path, train=settings))
    assert same(found, after(combination.partition("+")[0], tmp_path)) is (recipe in ("dr_grpo", "low_lr_sft"))
