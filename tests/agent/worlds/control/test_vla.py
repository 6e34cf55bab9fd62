"""Vision-language-action models of random weights: their distributions, and what is learned and saved."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from perdure.agent.weights import trainable
from perdure.agent.worlds.control.actor import sampled
from perdure.agent.worlds.control.base_states import States, measured
from perdure.agent.worlds.control.batches import Batch
from perdure.agent.worlds.control.inputs import Inputs
from perdure.agent.worlds.control.losses import clipped, log_of
from perdure.agent.worlds.control.methods import tilt
from perdure.agent.worlds.control.training import descend
from perdure.agent.worlds.control.vla.actor import VlaActor
from perdure.agent.worlds.control.vla.loading import load_vla
from perdure.agent.worlds.control.vla.model import LocalModel
from perdure.agent.worlds.control.vla.outside import outside
from perdure.agent.worlds.control.vla.policy import VlaPolicy
from perdure.agent.worlds.control.world import ControlWorld
from perdure.budget.base_id import kl_settings
from perdure.budget.errors import ConfigError, DataError, ModelError
from perdure.curriculum.worlds.build import build_task
from perdure.curriculum.worlds.control.environments.contract import Observation
from perdure.curriculum.worlds.control.token_actions import TokenActions, token_actions
from perdure.curriculum.worlds.control.vla import Vla
from perdure.eval.benchmarks import BenchmarkSet
from perdure.eval.scorecard import Scorecard
from perdure.eval.scorefile import key_of
from tests.control_runs import curriculum, point
from tests.point_world import Point
from tests.vla_models import save_llava, save_paligemma

CPU = torch.device("cpu")
WORDS = ("left", "right now", "up", "left", "down")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("vla")
    return {
        "llava": save_llava(root / "llava", actions=8),
        "paligemma": save_paligemma(root / "paligemma", actions=8),
    }


def config_of(folder: Path, **more: Any) -> Vla:
    return Vla(type="vla", model_name_or_path=str(folder), prompt="In: {instruction}?\nOut:", **more)


def actor_of(folder: Path, **more: Any) -> VlaActor:
    config = config_of(folder, **more)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return VlaActor(LocalModel(*load_vla(config, CPU), config.prompt), 2)


def policy_of(actor: VlaActor, actions: TokenActions, statistics: str | None = None) -> VlaPolicy:
    assert isinstance(actor.model, LocalModel)
    return VlaPolicy(actor.model, actions, statistics)


def seen(words: tuple[str, ...] = WORDS) -> list[Observation]:
    rng = np.random.default_rng(1)
    return [Observation(image=rng.integers(0, 256, (20, 24, 3), dtype=np.uint8), instruction=one) for one in words]


def picks(count: int) -> Callable[[Tensor, int], Tensor]:
    return sampled(torch.from_numpy(np.random.default_rng(2).random((count, 2))), 1.0)


def moved(actor: VlaActor) -> None:
    with torch.no_grad():
        generator = torch.Generator().manual_seed(3)
        for one in trainable(actor.network).values():
            one.add_(0.02 * torch.randn(one.shape, generator=generator))


@pytest.mark.parametrize("family", ["llava", "paligemma"])
def test_teacher_forced_log_probabilities_are_those_it_acted_by(folders: dict[str, Path], family: str) -> None:
    actor = actor_of(folders[family])
    inputs = actor.encode(seen())
    actions_ND, log_NDV = actor.act(inputs, picks(5))
    with torch.no_grad():
        forced_NDV = actor.log_probabilities(inputs, actions_ND)
    assert torch.allclose(log_NDV, forced_NDV, atol=1e-5)
    assert torch.allclose(log_NDV, actor.log_probabilities(inputs, actions_ND), atol=1e-5)  # with a gradient
    assert torch.allclose(log_NDV.exp().sum(-1), torch.ones(5, 2))
    other_ND = actions_ND.clone()
    other_ND[:, 0] = (other_ND[:, 0] + 1) % 200
    with torch.no_grad():
        changed_NDV = actor.log_probabilities(inputs, other_ND)
    assert torch.equal(changed_NDV[:, 0], forced_NDV[:, 0])
    assert not torch.allclose(changed_NDV[:, 1], forced_NDV[:, 1], atol=1e-3)  # the second depends on the first


@pytest.mark.parametrize("family", ["llava", "paligemma"])
def test_a_row_does_not_depend_on_the_others(folders: dict[str, Path], family: str) -> None:
    actor = actor_of(folders[family])
    inputs = actor.encode(seen())
    actions_ND, log_NDV = actor.act(inputs, picks(5))
    alone = actor.encode(seen()[1:2])
    uniforms = np.random.default_rng(2).random((5, 2))[1:2]
    actions_1D, log_1DV = actor.act(alone, sampled(torch.from_numpy(uniforms), 1.0))
    assert torch.equal(actions_1D[0], actions_ND[1]) and torch.equal(log_1DV[0], log_NDV[1])
    with torch.no_grad():
        forced = actor.log_probabilities(inputs, actions_ND)[1], actor.log_probabilities(alone, actions_1D)[0]
    assert torch.equal(*forced)


@pytest.mark.parametrize("family", ["llava", "paligemma"])
def test_the_kl_of_decisions_is_that_of_all_actions(folders: dict[str, Path], family: str) -> None:
    """Sum over every pair of tokens of p log p/q, against the chain rule that `measured` follows."""
    base, policy = actor_of(folders[family]), actor_of(folders[family])
    moved(policy)
    one = base.encode(seen()[:1])
    with torch.no_grad():
        vocabulary = base.log_probabilities(one, torch.zeros(1, 2, dtype=torch.long)).shape[-1]
        firsts = torch.arange(0, vocabulary)
        actions_VD = torch.stack([firsts, torch.zeros_like(firsts)], dim=1)
        many = Inputs(*(getattr(one, name).expand(vocabulary, *getattr(one, name).shape[1:]) for name in PARTS))
        p_VDV, q_VDV = (actor.log_probabilities(many, actions_VD).double() for actor in (base, policy))
    joint_p, joint_q = (log[:, 0, firsts].diagonal()[:, None] + log[:, 1] for log in (p_VDV, q_VDV))
    assert joint_p.exp().sum() == pytest.approx(1, abs=1e-5)
    exact = float((joint_p.exp() * (joint_p - joint_q)).sum())
    states = States(many, actions_VD, p_VDV.float(), (1,) * vocabulary)
    per_first_V = torch.tensor(measured(policy, [states]).kl_base_to_policy[0].sums, dtype=torch.float64)
    assert exact > 0.001
    assert float((p_VDV[0, 0].exp() * per_first_V).sum()) == pytest.approx(exact, rel=1e-3)


PARTS = ("vector", "image", "words")


def test_the_mass_outside_the_action_tokens_is_what_is_left(folders: dict[str, Path]) -> None:
    actor = actor_of(folders["llava"])
    _, log_NDV = actor.act(actor.encode(seen()), picks(5))
    mass_ND = outside(log_NDV, range(259, 267))
    assert torch.allclose(mass_ND, 1 - log_NDV[..., 259:].exp().sum(-1), atol=1e-5)


def test_with_lora_the_base_is_the_adapter_off_and_what_is_saved_comes_back(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    config = config_of(folders["llava"], lora={"r": 4, "lora_alpha": 8})
    actor = actor_of(folders["llava"], lora=config.lora)
    assert isinstance(actor.model, LocalModel)
    base = VlaActor(LocalModel(actor.network, actor.model.processor, config.prompt, base=True), 2)
    trained = {name for name, one in actor.network.named_parameters() if one.requires_grad}
    assert trained and all("lora_" in name and "vision" not in name for name in trained)
    inputs = actor.encode(seen())
    actions_ND, before = base.act(inputs, picks(5))
    assert {name for name, one in actor.network.named_parameters() if one.requires_grad} == trained
    policy = policy_of(actor, token_actions(config, 8, Point().action_space, "x"), None)
    fresh = policy.fingerprint()
    optimizer = torch.optim.AdamW([one for one in actor.network.parameters() if one.requires_grad], lr=0.01)
    losses = []
    for _ in range(5):
        loss = -log_of(actor.log_probabilities(inputs, actions_ND), actions_ND).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] - 0.1
    assert torch.equal(base.act(inputs, picks(5))[1], before)
    policy.save(tmp_path / "saved")
    assert (tmp_path / "saved" / "adapter_model.safetensors").is_file()
    other = policy_of(actor_of(folders["llava"], lora=config.lora), policy.actions, None)
    assert other.fingerprint() == fresh != policy.fingerprint()
    other.restore(tmp_path / "saved")
    assert other.fingerprint() == policy.fingerprint()
    merged = actor_of(tmp_path / "saved")  # a saved adapter is a base for the next run
    with torch.no_grad():
        pair = (one.log_probabilities(inputs, actions_ND) for one in (merged, actor))
        assert torch.allclose(*pair, atol=1e-4)


def test_a_whole_model_is_saved_as_one_that_loads(folders: dict[str, Path], tmp_path: Path) -> None:
    actor = actor_of(folders["paligemma"])
    moved(actor)
    actions = token_actions(config_of(folders["paligemma"]), 8, Point().action_space, "x")
    policy = policy_of(actor, actions, '{"a": 1}')
    policy.save(tmp_path / "saved")
    assert policy_of(actor_of(tmp_path / "saved"), actions, None).fingerprint() == policy.fingerprint()
    other = policy_of(actor_of(folders["paligemma"]), actions, None)
    other.restore(tmp_path / "saved")
    assert other.fingerprint() == policy.fingerprint()
    assert (tmp_path / "saved" / "dataset_statistics.json").read_text() == '{"a": 1}'


def test_a_frozen_vision_tower_does_not_learn(folders: dict[str, Path]) -> None:
    frozen = {name for name, one in actor_of(folders["llava"]).network.named_parameters() if not one.requires_grad}
    assert frozen and all("vision_tower" in name for name in frozen)
    whole = actor_of(folders["llava"], freeze_vision=False)
    assert all(one.requires_grad for one in whole.network.parameters())


def test_weights_that_are_not_the_models_and_observations_without_an_image_are_refused(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    actor = actor_of(folders["llava"])
    with pytest.raises(DataError, match="needs an image"):
        actor.encode([Observation(instruction="left")])
    folder = save_llava(tmp_path / "broken", actions=8)
    tensors = load_file(folder / "model.safetensors")
    name = sorted(tensors)[0]
    save_file({key: one for key, one in tensors.items() if key != name}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"model\.policy\.model_name_or_path: .*lack tensors"):
        actor_of(folder)
    save_file(tensors | {name: tensors[name] * float("nan")}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match="NaN"):
        actor_of(folder)


def test_the_identity_of_a_base_tells_tokens_and_holds_apart(folders: dict[str, Path]) -> None:
    def world(*holds: int, **policy: Any) -> ControlWorld:
        picture = point(id="tests.point_world:PointPicture-v0", demonstrations=None)
        section = config_of(folders["llava"], lora={"r": 1, "target_modules": ["q_proj"]}, **policy)
        model = {"type": "control", "bins": 8, "policy": section.model_dump()}
        tasks = [picture | {"action_repeat": held} for held in holds]
        return ControlWorld(curriculum(tasks, method="rl", model=model))

    tokens = token_actions(config_of(folders["llava"]), 8, Point().action_space, "here").tokens.tolist()
    assert world(1).base_id == world(1).base_id
    assert kl_settings(world(5).base_id) == "bins 8, action_repeat 5"
    assert len({world(1).base_id, world(5).base_id, world(1, action_tokens=tokens[::-1]).base_id}) == 3
    with pytest.raises(ConfigError, match="stage 'stage2' holds an action for 5 steps"):
        world(1, 5)


def test_scores_are_kept_apart_by_what_gives_the_weights_a_meaning(folders: dict[str, Path], tmp_path: Path) -> None:
    """The cells of a sweep share scores of the base by their keys; that over a prompt has the same weights in each."""
    picture = point(id="tests.point_world:PointPicture-v0", demonstrations=None, heldout=2)
    tokens = token_actions(config_of(folders["llava"]), 8, Point().action_space, "here").tokens.tolist()

    def key(**policy: Any) -> str | None:
        section = config_of(folders["llava"]).model_copy(update=policy)
        config = curriculum(
            [picture], method="rl", model={"type": "control", "bins": 8, "policy": section.model_dump()}
        )
        task = build_task(config.stages[0].task, name="stage1", seed=0, model=config.model)
        (stored,) = Scorecard([task], BenchmarkSet(), config.evaluation, tmp_path).score(
            ControlWorld(config).policy, "00-base"
        )
        return key_of(tmp_path / stored.file)

    first = key()
    assert key() == first
    assert len({first, key(prompt="Robot, {instruction}:"), key(action_tokens=tokens[::-1])}) == 3


def acted_in_bfloat16(folder: Path) -> tuple[VlaActor, dict[str, Any], Tensor, Tensor]:
    """A policy that is far from uniform, what it saw, the actions that it drew, and what it drew them by."""
    actor = VlaActor(actor_of(folder, dtype="bfloat16").model, 7)
    inputs = actor.encode(seen())
    with torch.no_grad():
        for weights in actor.network.parameters():
            weights.mul_(3.0)
        uniforms_ND = torch.from_numpy(np.random.default_rng(2).random((5, 7)))
        actions_ND, log_NDV = actor.act(inputs, sampled(uniforms_ND, 1.0))
    return actor, inputs, actions_ND, log_NDV


def test_tilt_takes_rounding_for_no_move(folders: dict[str, Path]) -> None:
    """In bfloat16 what it acted by, a token at a time, is not to the bit what a whole pass gives."""
    actor, inputs, actions_ND, log_NDV = acted_in_bfloat16(folders["llava"])
    with torch.no_grad():
        assert not torch.equal(log_NDV, actor.log_probabilities(inputs, actions_ND))
    update: Any = SimpleNamespace(base=actor, actor=actor)
    episode: Any = SimpleNamespace(actions=actions_ND.numpy())
    one: Any = SimpleNamespace(episode=episode, inputs=inputs, log_T=log_of(log_NDV, actions_ND))
    assert tilt.log_ratio(update, one) == 0.0


def test_the_first_ratio_of_a_batch_is_1(folders: dict[str, Path]) -> None:
    """In bfloat16, too, where what it acted by differs by rounding; the step after it has the ratio to the first."""
    actor, inputs, actions_ND, log_NDV = acted_in_bfloat16(folders["llava"])
    actor.network.requires_grad_(True)
    batch = Batch(inputs, actions_ND, log_of(log_NDV, actions_ND), torch.ones(5))
    logs: list[tuple[Tensor, Tensor]] = []

    def loss(update: Any, batch: Batch, log_NDB: Tensor, step: int) -> Tensor:
        assert batch.old_log_N is not None and batch.weights_N is not None
        log_N = log_of(log_NDB, batch.actions_ND)
        logs.append((log_N.detach(), batch.old_log_N))
        return clipped(log_N, batch.old_log_N, batch.weights_N, epsilon=0.2)

    plan = SimpleNamespace(steps=2, max_grad_norm=1.0, rate=lambda step: 0.1)
    update: Any = SimpleNamespace(actor=actor, plan=plan, setting=lambda name: 2)
    objective: Any = SimpleNamespace(draw=lambda *_: batch, loss=loss)
    changes: Any = SimpleNamespace(on_batch=(), terms=(), optimizer_clips=False)
    optimizer = torch.optim.SGD(actor.network.parameters(), lr=0.1)
    saved: Any = SimpleNamespace(optimizer=optimizer, take_up=lambda: 0, is_due=lambda *_: False)
    seen_losses: list[float | None] = []
    descend(update, objective, changes, iter([[]]), saved, lambda at: bool(seen_losses.append(at.loss)))
    (first, old), (second, same) = logs
    assert not torch.equal(first, log_of(log_NDV, actions_ND))
    # five decisions of weight 1
    assert torch.equal(first, old) and seen_losses[0] == -5.0
    assert torch.equal(same, old) and not torch.equal(second, old)
