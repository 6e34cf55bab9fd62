"""What every on-policy method keeps to: resumable under a penalty, repeatable, stoppable; and what it refuses."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from perdure.agent.weights import digest, trainable
from perdure.agent.worlds.contract import Outcome, SaveAndStop
from perdure.agent.worlds.language.base_loss import Base
from perdure.agent.worlds.language.base_texts import sample_base_texts
from perdure.agent.worlds.language.plugin import check, import_method
from perdure.agent.worlds.language.policy import LanguagePolicy
from perdure.budget.config import PenaltyConfig
from perdure.budget.errors import ConfigError, DataError
from perdure.budget.penalty import Controller
from perdure.curriculum.task import Task
from tests.agent.worlds.language.jobs import method_of, settings_of, with_objective
from tests.agent.worlds.language.on_policy import SMALL, Killed, Run, based
from tests.agent.worlds.language.tiny_world import TinyPolicy, tiny_lora_policy, toy_task


def penalised(policy: TinyPolicy) -> tuple[LanguagePolicy, dict[str, Any]]:
    """The policy with texts of its base, and a penalty to the KL on them that is steered from step to step."""
    whole = LanguagePolicy(policy.model, policy.tokenizer)
    whole.load_base = policy.load_base
    prompts = [item.prompt for item in toy_task(8).heldout]
    texts = sample_base_texts(whole, {"term/toy": prompts}, max_completion_length=6, batch_size=8, seed=0)
    whole.base = Base(texts)
    controller = Controller(PenaltyConfig(weight=1.0, rate=1.0, num_prompts=4), 0.01)
    return whole, {"texts": ("term/toy",), "controller": controller}


WINDOWS = {"steps_per_generation": 2}
RESUMES: list[tuple[str, dict[str, Any], int, bool]] = [
    ("tilt", {"save_steps": 3}, 5, True),
    ("tilt", {"save_steps": 3}, 5, False),
    ("tilt", {"save_steps": 1, "samples_from": "base", "trl": WINDOWS}, 6, False),
    ("gate", {"save_steps": 3, "gradient_accumulation_steps": 2}, 5, False),
    ("gate", {"save_steps": 1, "trl": WINDOWS}, 6, True),
    ("sdft", {"save_steps": 3}, 5, False),
    ("sdft", {"save_steps": 2, "trl": {"num_iterations": 2}}, 6, True),
    ("rl_kl", {"save_steps": 3}, 5, True),
    ("chord", {"save_steps": 3}, 5, False),
]


@pytest.mark.parametrize(("method", "more", "step", "lora"), RESUMES)
def test_resumed_under_a_penalty_equals_undisturbed(
    method: str, more: dict[str, Any], step: int, lora: bool, tmp_path: Path
) -> None:
    settings = with_objective(SMALL[method], **({"max_steps": 7} | more))

    def start(folder: str) -> Run:
        policy, more = penalised(tiny_lora_policy() if lora else based(tmp_path / "base"))
        return Run(policy, tmp_path / folder, **more)

    whole = start("whole")
    assert whole.update(method, settings) == Outcome(7, "completed")
    killed = start("killed")
    with pytest.raises(Killed):
        killed.update(method, settings, at=lambda now: now == step, error=Killed())
    resumed = start("killed")
    torch.manual_seed(99)
    resumed.update(method, settings)
    first = resumed.seen[0].step - 1
    assert 0 < first < step
    assert killed.seen == whole.seen[:step]
    assert resumed.seen == whole.seen[first:]
    assert resumed.digests == whole.digests[first:]
    assert resumed.more["controller"].weight == whole.more["controller"].weight != 1.0


@pytest.mark.parametrize("method", ["tilt", "gate", "sdft"])
def test_repeatable_and_without_a_trace(method: str, tmp_path: Path, capfd: Any) -> None:
    settings = with_objective(SMALL[method], max_steps=2)
    import_method(method_of(method))
    capfd.readouterr()
    runs = []
    for number in range(2):
        torch.manual_seed(number)
        run = Run(tiny_lora_policy(), tmp_path / str(number))
        modules = {name: vars(module).copy() for name, module in run.policy.model.named_modules()}
        before = torch.get_rng_state()
        capfd.readouterr()
        run.update(method, settings)
        assert capfd.readouterr() == ("", "")
        assert torch.equal(torch.get_rng_state(), before)
        assert {name: vars(module) for name, module in run.policy.model.named_modules()} == modules
        assert not run.policy.model.training
        assert all(parameter.grad is None for parameter in run.policy.model.parameters())
        runs.append(run)
    assert runs[0].seen == runs[1].seen
    assert runs[0].digests == runs[1].digests
    assert runs[0].digests[-1] != digest(trainable(tiny_lora_policy().model))


@pytest.mark.parametrize("method", ["tilt", "gate", "sdft"])
def test_stops_and_saves_at_any_step(method: str, tmp_path: Path) -> None:
    settings = with_objective(SMALL[method], max_steps=3)
    stopped = Run(tiny_lora_policy(), tmp_path / "stopped")
    assert stopped.update(method, settings, at=lambda step: step == 2) == Outcome(2, "stopped")
    saved = Run(tiny_lora_policy(), tmp_path / "saved")
    with pytest.raises(SaveAndStop):
        saved.update(method, settings, at=lambda step: step == 2, error=SaveAndStop())
    resumed = Run(tiny_lora_policy(), tmp_path / "saved")
    resumed.update(method, settings)
    assert [progress.step for progress in resumed.seen] == [3]
    assert stopped.digests == saved.digests


@pytest.mark.parametrize("method", ["tilt", "gate", "sdft"])
def test_a_ruined_policy_is_reported(method: str, tmp_path: Path) -> None:
    settings = with_objective(SMALL[method], max_steps=4, learning_rate=1e30)
    run = Run(based(tmp_path / "base"), tmp_path / "run")
    outcome = run.update(method, settings, at=lambda step: not math.isfinite(run.seen[-1].loss or 0))
    assert outcome.ended == "stopped"
    assert run.seen[-1].loss is not None
    assert not math.isfinite(run.seen[-1].loss)


REFUSALS: list[tuple[str, dict[str, Any], str]] = [
    ("tilt", {"num_generations": 1}, "num_generations is 1, and TRL samples at least 2"),
    ("tilt", {"trl": {"temperature": 0.7}}, "temperature must be 1.0: the weights"),
    ("tilt", {"trl": {"top_p": 0.9}}, "top_p must be 1.0"),
    ("tilt", {"trl": {"beta": 0.0}}, "beta would do nothing"),
    ("sdft", {"trl": {"loss_type": "dapo"}}, "loss_type would do nothing"),
    ("sdft", {"trl": {"num_generations": 1}}, "num_generations is 1"),
]


@pytest.mark.parametrize(("method", "own", "message"), REFUSALS)
def test_settings_that_a_method_cannot_have_are_refused(method: str, own: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^train settings of `{method}`: (trl\.)?{message}"):
        check(method_of(method), settings_of(method, **{method: own}), toy_task(16), ())


def test_what_each_needs_of_a_task() -> None:
    def checked(method: str, task: Task) -> None:
        check(method_of(method), SMALL[method], task, ())

    task = toy_task(16)
    bare = replace(task, train=tuple(replace(item, demonstration=None) for item in task.train))
    for method in ("gate", "sdft"):
        with pytest.raises(DataError, match="lacks demonstrations for 16 of its 16"):
            checked(method, bare)
    for method in ("tilt", "gate", "rl_kl"):
        with pytest.raises(ConfigError, match="has no reward"):
            checked(method, replace(task, reward=None))
    checked("tilt", bare)
    checked("rl_kl", bare)
    checked("sdft", replace(task, reward=None))
