"""Whole runs of a tiny language model, in this process: the budget held, faults survived, resumes refused."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from perdure.agent.loop import run_curriculum
from perdure.agent.run.journal import read_journal
from perdure.agent.run.log import NullView
from perdure.agent.run.state import RunState, read_state
from perdure.agent.setup import resume, start
from perdure.budget.errors import ConfigError, DataError, ModelError, PerdureError, RunError
from perdure.curriculum.schema import Curriculum
from tests.agent.killing import save_base, tiny_stream

TOY = {"type": "python", "path": "tests.agent.worlds.language.toy:toy"}
pytestmark = pytest.mark.xdist_group("trl")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "base"
    save_base(folder)
    return folder


def run_through(curriculum: Curriculum, path: Path) -> RunState:
    torch.set_num_threads(1)
    run_curriculum(start(curriculum, path, NullView()))
    return read_state(read_journal(path / "journal.jsonl"))


@pytest.mark.parametrize("lora", [None, {"r": 4}])
def test_absurd_learning_rates_never_end_above_the_cap(base: Path, tmp_path: Path, lora: Any) -> None:
    stages = [
        {"name": f"stage{n}", "method": method, "task": TOY, "train": {"learning_rate": rate, "max_steps": 4}}
        for n, (method, rate) in enumerate([("sft", 0.3), ("rl", 1e3), ("chord", 1e8), ("sft", 1e30)])
    ]
    model = {"model_name_or_path": str(base), "device": "cpu", "lora": lora}
    budget = {"kl": 0.004, "every": 2, "num_prompts": 4, "max_completion_length": 6}
    record = run_through(tiny_stream(base, stages=stages, model=model, budget=budget), tmp_path / "run")
    assert record.status == "finished"
    for row in record.rows:
        assert row.readings[-1].kl_per_token.value <= row.readings[-1].cap
    assert {event.action for row in record.rows for event in row.interventions} >= {"rollback"}


def test_a_reward_that_turns_nan_ends_the_stage_and_the_run_goes_on(base: Path, tmp_path: Path) -> None:
    stages = [
        {
            "name": "bad",
            "method": "rl",
            "task": {"type": "python", "path": "tests.agent.worlds.language.toy:nan_reward"},
        },
        {"name": "good", "method": "sft", "task": TOY},
    ]
    record = run_through(tiny_stream(base, stages=stages), tmp_path / "run")
    bad, good = record.rows[1:]
    assert bad.interventions[0].action == "broken"
    assert "reward" in bad.interventions[0].reason
    assert bad.weights_sha256 == record.rows[0].weights_sha256, "the only earlier state is the base"
    assert good.committed and good.weights_sha256 != bad.weights_sha256


def test_the_same_seed_runs_the_same_run_and_another_does_not(base: Path, tmp_path: Path) -> None:
    one, same, other = (
        run_through(tiny_stream(base, seed=seed, budget={"kl": 9.0}), tmp_path / name)
        for seed, name in [(0, "one"), (0, "same"), (1, "other")]
    )
    assert [row.weights_sha256 for row in one.rows] == [row.weights_sha256 for row in same.rows]
    assert [row.scores for row in one.rows] == [row.scores for row in same.rows]
    assert one.rows[-1].weights_sha256 != other.rows[-1].weights_sha256


def test_generic_prompts(base: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("".join(json.dumps({"prompt": f"tell me {n}"}) + "\n" for n in range(4)))
    budget = {"kl": 0.5, "prompts": "generic", "generic": str(prompts), "num_prompts": 4, "every": 2}
    record = run_through(
        tiny_stream(base, stages=[{"name": "a", "method": "sft", "task": TOY}], budget=budget), tmp_path / "run"
    )
    assert 0 < record.rows[1].readings[-1].kl_per_token.value <= 0.5
    prompts.write_text(prompts.read_text().replace("tell", "ask"))
    with pytest.raises(RunError, match=r"probe: was '\w{64}', is '\w{64}'"):
        resume(tmp_path / "run", NullView())
    journal = tmp_path / "run" / "journal.jsonl"
    older = re.sub(r', "(crc32": \d+|probe": "\w{64}")', "", journal.read_text())  # of a version that did not write it
    assert '"probe": "' not in older
    journal.write_text(older)
    assert resume(tmp_path / "run", NullView()).logger.state.status != "empty"


TASKLESS = {"type": "python", "path": "tests.agent.worlds.language.toy:nothing_there"}


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"model": {"model_name_or_path": "./nowhere"}}, ModelError, "no such folder"),
        ({"stages": [{"name": "a", "task": TASKLESS}]}, PerdureError, "nothing_there"),
        ({"stages": [{"name": "a", "task": {"type": "dataset", "path": "./no.jsonl"}}]}, DataError, "no.jsonl"),
        ({"benchmarks": [{"tasks": "perdure_nope", "include_path": "builtin"}]}, ConfigError, "perdure_nope"),
        ({"train": {"max_steps": 2, "trl": {"not_a_field": 3}}}, ConfigError, "stages."),
        ({"train": {"per_device_train_batch_size": 7, "num_generations": 4}}, ConfigError, "divi"),
    ],
)
def test_what_cannot_be_run_is_refused_and_nothing_is_written(
    base: Path, tmp_path: Path, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        start(tiny_stream(base, **changes), tmp_path / "run", NullView())
    assert list(tmp_path.iterdir()) == []


def test_a_resume_names_what_differs(base: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(base, model)
    path = tmp_path / "run"
    short = tiny_stream(model, stages=[{"name": "a", "method": "sft", "task": TOY}])
    start(short, path, NullView())
    description = json.loads((path / "run.json").read_text())

    changed = description | {"curriculum": description["curriculum"] | {"seed": 5}}
    (path / "run.json").write_text(json.dumps(changed))
    with pytest.raises(RunError, match=r"curriculum\.seed: was 0, is 5"):
        resume(path, NullView())
    (path / "run.json").write_text(json.dumps(description))

    journal = (path / "journal.jsonl").read_text()
    older = journal.replace(f'"trl": "{description["versions"]["trl"]}"', '"trl": "0.1"')
    (path / "journal.jsonl").write_text(re.sub(r', "crc32": \d+', "", older))  # as a version without checksums wrote it
    with pytest.raises(RunError, match=r"versions\.trl: was '0\.1'"):
        resume(path, NullView())
    (path / "journal.jsonl").write_text(journal)

    from perdure.agent.worlds.language.loading import load_policy

    policy = load_policy(short.model, seed=0)
    with torch.no_grad():
        next(policy.model.parameters()).add_(1)
    policy.save(model)
    with pytest.raises(RunError, match="base_sha256"):
        resume(path, NullView())
