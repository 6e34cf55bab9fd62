"""A VLA in a worker process: a stand-in of OpenVLA's layout, which speaks OpenVLA's worker's protocol."""

import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from perdure.agent.weights import read_tensors
from perdure.agent.worlds.control.actor import sampled
from perdure.agent.worlds.control.base_states import States, measured
from perdure.agent.worlds.control.inputs import Inputs
from perdure.agent.worlds.control.losses import batch_advantages, cross_entropy, log_of
from perdure.agent.worlds.control.vla import openvla_worker
from perdure.agent.worlds.control.vla.actor import VlaActor
from perdure.agent.worlds.control.vla.link import Link
from perdure.agent.worlds.control.vla.remote import Remote, WorkerModel
from perdure.agent.worlds.control.vla.worker_policy import WorkerPolicy
from perdure.budget.errors import ModelError
from perdure.curriculum.worlds.control.token_actions import token_actions
from perdure.curriculum.worlds.control.vla import Worker
from tests.agent.worlds.control.test_vla import picks, seen
from tests.point_world import Point
from tests.prismatic import save_prismatic


def config_of(folder: Path, **more: object) -> Worker:
    said = {"type": "worker", "command": [sys.executable], "model_name_or_path": str(folder), "seconds": 60.0}
    lora = {"r": 4, "lora_alpha": 8}
    kept = {"trust_remote_code": True, "lora": lora, "append_token": 32, "prompt": "In: {instruction}?\nOut:"}
    return Worker.model_validate(said | kept | more)


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    folder = save_prismatic(tmp_path_factory.mktemp("worker") / "model", actions=8)
    found = Remote(config_of(folder), dtype="float32", device="cpu", threads=1, seed=0)
    yield found
    found.link.close()


@pytest.fixture
def actor(remote: Remote) -> Iterator[VlaActor]:
    before = {name: one.detach().clone() for name, one in remote.mirror.named_parameters()}
    yield VlaActor(WorkerModel(remote), 2)
    with torch.no_grad():
        for name, one in remote.mirror.named_parameters():
            one.copy_(before[name])


def test_teacher_forced_log_probabilities_are_those_it_acted_by(actor: VlaActor) -> None:
    inputs = actor.encode(seen())
    assert [int(row[row >= 0][-1]) for row in inputs.words[:, :, 0]] == [32] * 5  # the appended token
    actions_ND, log_NDV = actor.act(inputs, picks(5))
    with torch.no_grad():
        assert torch.allclose(actor.log_probabilities(inputs, actions_ND), log_NDV, atol=1e-5)
    alone, uniforms = actor.encode(seen()[1:2]), np.random.default_rng(2).random((5, 2))[1:2]
    actions_1D, log_1DV = actor.act(alone, sampled(torch.from_numpy(uniforms), 1.0))
    assert torch.equal(actions_1D[0], actions_ND[1]) and torch.equal(log_1DV[0], log_NDV[1])


def test_the_kl_of_decisions_is_that_of_all_actions(actor: VlaActor, remote: Remote) -> None:
    base = VlaActor(WorkerModel(remote, base=True), 2)
    with torch.no_grad():
        for one in remote.mirror.parameters():
            one.add_(0.1 * torch.randn(one.shape, generator=torch.Generator().manual_seed(1)))
        one_1 = base.encode(seen()[:1])
        vocabulary = base.log_probabilities(one_1, torch.zeros(1, 2, dtype=torch.long)).shape[-1]
        firsts = torch.arange(vocabulary)
        actions_VD = torch.stack([firsts, torch.zeros_like(firsts)], dim=1)
        parts = (one_1.vector, one_1.image, one_1.words)
        many = Inputs(*(part.expand(vocabulary, *part.shape[1:]) for part in parts))
        p_VDV, q_VDV = (which.log_probabilities(many, actions_VD).double() for which in (base, actor))
    joint_p, joint_q = (log[:, 0, firsts].diagonal()[:, None] + log[:, 1] for log in (p_VDV, q_VDV))
    exact = float((joint_p.exp() * (joint_p - joint_q)).sum())
    states = States(many, actions_VD, p_VDV.float(), (1,) * vocabulary)
    per_first_V = torch.tensor(measured(actor, [states]).kl_base_to_policy[0].sums, dtype=torch.float64)
    assert exact > 0.001
    assert float((p_VDV[0, 0].exp() * per_first_V).sum()) == pytest.approx(exact, rel=1e-3)


def test_the_gradient_is_that_of_finite_differences(actor: VlaActor, remote: Remote) -> None:
    inputs = actor.encode(seen()[:2])
    actions_ND = torch.tensor([[260, 261], [262, 263]])
    weight = next(one for name, one in remote.mirror.named_parameters() if "lora_B" in name)
    loss = cross_entropy(actor.log_probabilities(inputs, actions_ND), actions_ND)
    (gradient,) = torch.autograd.grad(loss, [weight])
    place = int(gradient.abs().argmax())
    values = []
    for step in (0.01, -0.01):
        with torch.no_grad():
            weight.view(-1)[place] += step
            values.append(float(cross_entropy(actor.log_probabilities(inputs, actions_ND), actions_ND)))
            weight.view(-1)[place] -= step
    assert (values[0] - values[1]) / 0.02 == pytest.approx(float(gradient.view(-1)[place]), rel=0.02)


@pytest.mark.parametrize("objective", ["sft", "reinforce"])
def test_steps_of_an_optimiser_here_train_the_model_there(actor: VlaActor, remote: Remote, objective: str) -> None:
    base, inputs = VlaActor(WorkerModel(remote, base=True), 2), actor.encode(seen())
    actions_ND, before = actor.act(inputs, picks(5))
    advantages = batch_advantages(torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0]))
    wanted = torch.ones(5) if objective == "sft" else advantages
    optimizer = torch.optim.AdamW(actor.network.parameters(), lr=0.02)
    found = []
    for _ in range(4):
        log_N = log_of(actor.log_probabilities(inputs, actions_ND), actions_ND)
        found.append(float((wanted * log_N).sum().detach()))
        optimizer.zero_grad()
        (-(wanted * log_N).sum()).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert found[-1] > found[0] + 0.1
    assert torch.equal(base.act(inputs, picks(5))[1], before)  # which began as the base


def test_what_is_saved_comes_back_and_is_peft_s_file(actor: VlaActor, remote: Remote, tmp_path: Path) -> None:
    folder = Path(remote.lora["base_model_name_or_path"])
    policy = WorkerPolicy(remote, token_actions(config_of(folder), 8, Point().action_space, "x"))
    fresh = policy.fingerprint()
    policy.save(tmp_path)
    with torch.no_grad():
        next(remote.mirror.parameters()).add_(1)
    assert policy.fingerprint() != fresh
    policy.restore(tmp_path)
    assert policy.fingerprint() == fresh
    names = set(read_tensors(tmp_path / "adapter_model.safetensors"))
    assert names and all(name.endswith((".lora_A.weight", ".lora_B.weight")) for name in names)
    assert not any("vision" in name for name in names)
    assert policy.actions.tokens[0] == 266 and policy.actions.sizes == (272, 272)  # type: ignore[attr-defined]


def test_a_worker_that_fails_dies_or_hangs_is_one_message(remote: Remote, tmp_path: Path) -> None:
    config = config_of(tmp_path / "none")
    with pytest.raises(ModelError, match=r"the worker failed: ValueError: no such message: 'sing'"):
        remote.ask({"do": "sing"}, {})
    with pytest.raises(ModelError, match=r"cannot be run.*docs/openvla\.md"):
        Link(config.model_copy(update={"command": ["/no/python"]}))
    dying = tmp_path / "dying.py"
    dying.write_text("import sys; print('no timm here', file=sys.stderr); sys.exit(3)")
    with pytest.raises(ModelError, match=r"died \(exit code 3\)\. Its last lines: no timm here"):
        Link(config, dying).ask({}, {})
    hanging = tmp_path / "hanging.py"
    hanging.write_text("import time; time.sleep(60)")
    begun = time.monotonic()
    with pytest.raises(ModelError, match=r"no answer within 0\.3 s"):
        Link(config.model_copy(update={"seconds": 0.3}), hanging).ask({}, {})
    assert time.monotonic() - begun < 10


def test_messages_hold_arrays_and_no_objects() -> None:
    near, far = socket.socketpair()
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros((0, 4), np.int64)}
    openvla_worker.send(near, {"do": "x"}, arrays)
    header, found = openvla_worker.receive(far)
    assert header == {"do": "x"} and all(np.array_equal(found[name], one) for name, one in arrays.items())
    said = b'{"header": {}, "arrays": [["a", "|O", [1]]]}'
    near.sendall(len(said).to_bytes(4, "big") + said)
    with pytest.raises(ValueError, match="objects"):
        openvla_worker.receive(far)
    near.close()
    with pytest.raises(EOFError):
        openvla_worker.receive(far)
