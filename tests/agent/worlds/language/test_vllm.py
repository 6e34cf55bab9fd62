"""Texts by a vLLM server: those of the policy as it is, in scores and in updates, and what is refused."""

import fcntl
import os
import socket
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from perdure.agent.weights import digest, trainable
from perdure.agent.worlds.language.base_texts import sample_base_texts
from perdure.agent.worlds.language.plugin import check
from perdure.agent.worlds.language.policy import LanguagePolicy
from perdure.agent.worlds.language.vllm.colocated import same_environment, shut_down
from perdure.agent.worlds.language.vllm.locks import lock_of
from perdure.agent.worlds.language.vllm.server import VllmServer
from perdure.agent.worlds.language.vllm.weights import served_weights
from perdure.budget.errors import ConfigError, ModelError
from perdure.curriculum.evaluation import Evaluation
from tests.agent.worlds.language.jobs import job_of, method_of, settings_of, update
from tests.agent.worlds.language.runs import Killed, Run, small
from tests.agent.worlds.language.tiny_world import tiny_lora_policy, tiny_policy, tiny_policy_parts
from tests.agent.worlds.language.toy import toy_task
from tests.agent.worlds.language.vllm_stand_in import StandIn, standing_in

ASKED: dict[str, Any] = {"max_completion_length": 6, "batch_size": 4}
PROMPTS = ["ab", "b a c", "dd"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the locks."""
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "perdure"


@pytest.fixture
def server() -> Iterator[StandIn]:
    """It begins with other weights than any policy here."""
    model = tiny_policy_parts(seed=9)[0]
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(20)  # sharp, so that the log-probabilities are far apart
    with standing_in(model) as one:
        yield one


def by_server(policy: Any, server: StandIn, timeout: float = 30.0) -> LanguagePolicy:
    found = LanguagePolicy(policy.model, policy.tokenizer)
    found.server = VllmServer(server.url, timeout)
    found.server.check()
    return found


def through(server: StandIn, **more: Any) -> dict[str, Any]:
    fields = {"use_vllm": True, "vllm_mode": "server", "vllm_server_base_url": server.url, "vllm_server_timeout": 30.0}
    return {"trl": fields | more}


@pytest.mark.parametrize("make", [tiny_policy, tiny_lora_policy])
def test_greedy_answers_are_those_of_the_policy_as_it_is(make: Any, server: StandIn) -> None:
    policy = by_server(make(), server)
    plain = LanguagePolicy(policy.model, policy.tokenizer)
    before = policy.fingerprint()
    for _ in range(2):
        assert policy.respond(PROMPTS, **ASKED) == plain.respond(PROMPTS, **ASKED)
        assert policy.truncated == plain.truncated
        policy.respond(PROMPTS, **ASKED)
        with torch.no_grad():
            for weight in trainable(policy.model).values():
                weight.add_(0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    assert server.taken == 2, "once for each state of the policy"
    assert policy.fingerprint() != before


def test_samples_follow_the_seed_and_differ_between_rows(server: StandIn) -> None:
    policy = by_server(tiny_policy(), server)

    def drawn(seed: int) -> list[list[str]]:
        return policy.respond(["ab"], temperature=1.0, num_samples=4, seed=seed, **ASKED)

    first = drawn(1)
    assert first == drawn(1) != drawn(2) and len(set(first[0])) > 1


def test_an_adapter_is_merged_into_copies_alone() -> None:
    policy = tiny_lora_policy()
    before = digest({name: one.detach() for name, one in policy.model.named_parameters()})
    inner = tiny_policy().model
    weights = served_weights(policy.model)
    assert set(weights) == set(dict(inner.named_parameters()))
    inner.load_state_dict(weights, strict=False)
    ids = torch.arange(5)[None]
    assert torch.allclose(inner(input_ids=ids).logits, policy.model(input_ids=ids).logits, atol=1e-5)
    assert digest({name: one.detach() for name, one in policy.model.named_parameters()}) == before


def test_texts_of_the_base_are_drawn_by_it(server: StandIn) -> None:
    policy = by_server(tiny_policy(), server)
    texts = sample_base_texts(policy, {"toy": PROMPTS}, max_completion_length=6, batch_size=2, seed=1)
    assert sum(texts.measure(["toy"]).kl_base_to_policy[0].sums) == pytest.approx(0, abs=1e-6)
    assert server.taken == 1


def test_rl_learns_by_it_through_two_stages(server: StandIn, tmp_path: Path) -> None:
    policy = tiny_lora_policy()
    settings = small("rl", max_steps=2, **through(server))
    before = digest(trainable(policy.model))
    for stage in ("first", "second"):
        run = Run(policy, tmp_path / stage)
        run.update("rl", settings)
        assert [one.step for one in run.seen] == [1, 2] and run.digest != before
        before = run.digest
    assert server.taken == 4, "before each step, and the server is the same in both stages"
    assert all(body["logprobs"] == 0 for path, body in server.asked if path == "/v1/completions")


def test_a_resumed_update_asks_as_one_that_was_not_stopped(server: StandIn, tmp_path: Path) -> None:
    settings = small("rl", save_steps=1, max_steps=3, **through(server))
    whole = Run(tiny_policy(), tmp_path / "whole")
    whole.update("rl", settings)
    with pytest.raises(Killed):
        Run(tiny_policy(), tmp_path / "cut").update("rl", settings, at=lambda step: step == 2, error=Killed())
    resumed = Run(tiny_policy(), tmp_path / "cut")
    resumed.update("rl", settings)
    assert resumed.seen[0].step == 2 and resumed.digest == whole.digest


def test_a_policy_is_given_anew_after_training_by_the_same_server(server: StandIn, tmp_path: Path) -> None:
    policy = by_server(tiny_policy(), server)
    plain = LanguagePolicy(policy.model, policy.tokenizer)
    policy.respond(PROMPTS, **ASKED)
    state = {name: one.clone() for name, one in trainable(policy.model).items()}
    update(job_of("rl", policy, toy_task(16), tmp_path, small("rl", max_steps=1, **through(server))))
    policy.model.load_state_dict(state, strict=False)  # as a rollback does
    assert policy.respond(PROMPTS, **ASKED) == plain.respond(PROMPTS, **ASKED)
    assert server.taken == 3


def test_a_server_that_did_not_take_the_weights_is_found_out(server: StandIn) -> None:
    server.deaf = True
    with pytest.raises(ModelError, match=r"log-probabilities of its own text are .* nats a token from the policy's"):
        by_server(tiny_policy(), server).respond(PROMPTS, **ASKED)


def test_a_server_that_cuts_answers_short_is_found_out(server: StandIn) -> None:
    policy = by_server(tiny_policy(), server)
    policy.respond(PROMPTS, **ASKED)
    server.most = 2
    with pytest.raises(ModelError, match=r"it cut an answer after 2 of \d+ tokens: .* --generation-config vllm"):
        policy.respond(PROMPTS, **ASKED)


def test_a_late_reply_is_told(server: StandIn) -> None:
    policy = by_server(tiny_policy(), server, timeout=0.3)
    server.slow = 0.6
    with pytest.raises(ModelError, match=r"no answer in 0\.3 s \(vllm_server_timeout\)"):
        policy.respond(PROMPTS, **ASKED)


def test_a_server_is_checked_before_anything_is_trained(server: StandIn) -> None:
    def checked(url: str = server.url) -> None:
        fields = through(server, vllm_server_base_url=url)
        check(method_of("rl"), settings_of("rl", **fields), toy_task(), ())

    checked()
    server.logprobs_mode = "raw_logprobs"
    with pytest.raises(ModelError, match="its --logprobs-mode is raw_logprobs; start it with: VLLM_SERVER_DEV_MODE=1"):
        checked()
    server.developing = False
    with pytest.raises(
        ModelError, match=r"it refused /server_info.* with 404 .*; start it with: VLLM_SERVER_DEV_MODE=1"
    ):
        checked()
    with pytest.raises(
        ModelError, match=r"the vLLM server http://127\.0\.0\.1:9: it is not up \(.*refused.*\); start it"
    ):
        checked("http://127.0.0.1:9")


def test_an_engine_in_this_process_needs_its_package() -> None:
    pytest.importorskip("trl")
    settings = settings_of("rl", trl={"use_vllm": True, "vllm_mode": "colocate"})
    with pytest.raises(ConfigError, match=r"vllm_mode 'colocate' needs (vllm in this environment|a GPU)"):
        check(method_of("rl"), settings, toy_task(), ())


def test_one_server_serves_one_run(server: StandIn, cache: Path) -> None:
    with lock_of(server.url).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # as another process would
        with pytest.raises(ModelError, match="is in use by another run of this machine, and holds the weights of one"):
            VllmServer(server.url, 9.0).check()
    lock_of(server.url).unlink()
    for _ in range(2):
        VllmServer(server.url, 9.0).check()
    assert [path.stat().st_mode & 0o777 for path in (cache, *cache.iterdir())] == [0o700, 0o600]


def test_a_server_has_one_lock_by_all_names_of_this_machine(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("http://localhost:8000", "http://127.0.0.1:8000/", "http://0.0.0.0:8000", "http://[::1]:8000")
    assert len({lock_of(name.rstrip("/")) for name in names}) == 1
    others = ("http://localhost:8001", "http://node7:8000", "http://localhost:8000/b")
    assert len({lock_of(name) for name in (names[0], *others)}) == 4
    assert lock_of("https://node7") == lock_of("https://node7:443") != lock_of("http://node7")
    assert lock_of(names[0]) == lock_of(f"http://{socket.gethostname()}:8000")
    runtime = cache.parent / "runtime"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    assert lock_of(names[0]).parent == cache  # as in a job of a cluster, whose login had the folder
    runtime.mkdir()
    assert lock_of(names[0]).parent == runtime / "perdure"


def test_a_folder_of_locks_that_others_can_write_is_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.mkdir()
    cache.chmod(0o777)
    with pytest.raises(ModelError, match="is not yours alone: make it a folder of yours"):
        lock_of("http://localhost:8000")
    cache.rmdir()
    cache.symlink_to(cache.parent)
    with pytest.raises(ModelError, match="is not yours alone"):
        lock_of("http://localhost:8000")
    (cache.parent / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache.parent / "file"))
    with pytest.raises(ModelError, match=r"no folder for locks of vLLM servers: .*; set XDG_CACHE_HOME"):
        lock_of("http://localhost:8000")


def test_the_default_address_is_trl_s_in_both_places() -> None:
    trl = pytest.importorskip("trl")
    given = {one.name: one.default for one in fields(trl.GRPOConfig)}
    assert Evaluation().vllm_server_base_url == f"http://{given['vllm_server_host']}:{given['vllm_server_port']}"


def test_an_engine_is_shut_down_and_the_environment_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setenv("WORLD_SIZE", "1")
    ended = []
    core = SimpleNamespace(shutdown=lambda: ended.append("core"))
    generation = SimpleNamespace(llm=SimpleNamespace(llm_engine=SimpleNamespace(engine_core=core)))
    with same_environment():
        os.environ |= {"RANK": "0", "WORLD_SIZE": "7"}
        shut_down(SimpleNamespace(vllm_generation=generation))
    assert ended == ["core"] and not hasattr(generation, "llm")
    assert "RANK" not in os.environ and os.environ["WORLD_SIZE"] == "1"
    shut_down(SimpleNamespace())
