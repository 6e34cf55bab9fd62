"""The law that a curriculum names: where it is found, and what it must have been fitted on."""

import json
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from perdure.agent.law_of_run import is_of_other_probe, law_for
from perdure.agent.loop import run_curriculum
from perdure.agent.run.journal import read_journal
from perdure.agent.run.state import read_state
from perdure.agent.worlds.base_prompts import probe_of
from perdure.budget.errors import ConfigError
from perdure.budget.law.file import load_law, save_law
from perdure.budget.law.shipped import law_path
from perdure.budget.monitor import Monitor
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.worlds.vision.model import MlpModel
from tests.agent.scalar_run import Onlooker, scalar_run
from tests.agent.scalar_run import curriculum as scalar_curriculum
from tests.budget.laws import a_law
from tests.plugin.perdure_scalar.world import ScalarWorld

LAW = a_law(base="base-1")


@dataclass(frozen=True)
class Here:
    """As much of a world as the check asks for."""

    kind: str = "vision"
    base_id: str = "base-1"


def curriculum(law: str | None) -> Curriculum:
    budget: dict[str, Any] = {"kl": 1.0} | ({} if law is None else {"law": law})
    task = {"type": "python", "path": "m:f"}
    return Curriculum.model_validate(
        {
            "model": {"model_name_or_path": "org/name", "revision": "v1"},
            "budget": budget,
            "strategy": {"type": "fixed", "method": "sft"},
            "stages": [{"name": "first", "task": task}],
        }
    )


def test_no_law_is_named() -> None:
    assert law_for(curriculum(None), Here()) is None


def test_a_law_of_this_base(tmp_path: Path) -> None:
    save_law(LAW, tmp_path / "law.json")
    assert law_for(curriculum(str(tmp_path / "law.json")), Here()) == LAW


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            {"base": "0123456789abcdef"},
            r"^budget\.law: .*/law\.json was fitted on another base\. Its base is 0123456789ab \(4 runs by sft; "
            r"forgetting of fashion; vision world\), and this curriculum's base, org/name at revision v1, is base-1: ",
        ),
        (
            {"base": "0123456789abcdef", "base_entropy": 1.584, "base_entropy_most": 1.609},
            r"forgetting of fashion; vision world, indifferent among right answers \(entropy over right answers 1\.58 "
            r"of 1\.61 nats\)\), and this curriculum's base",
        ),
        ({"world": "language"}, "was fitted in the language world, and this curriculum's model is of the vision world"),
    ],
)
def test_a_law_of_another_base_or_world(tmp_path: Path, other: dict[str, Any], message: str) -> None:
    save_law(replace(LAW, **other), tmp_path / "law.json")
    with pytest.raises(ConfigError, match=rf"{message}(.|\n)*perdure law RUN"):
        law_for(curriculum(str(tmp_path / "law.json")), Here())


def test_a_law_of_the_probe_alone_may_be_of_another_base(tmp_path: Path) -> None:
    law = replace(LAW, base="0123456789abcdef", predictor="generic", prompts="generic")
    save_law(law, tmp_path / "law.json")
    assert law_for(curriculum(str(tmp_path / "law.json")), Here()) == law
    given = curriculum(str(tmp_path / "law.json"))
    unread = given.model_copy(update={"budget": given.budget.model_copy(update={"probe": False})})
    with pytest.raises(ConfigError, match=r"predicts from the KL on the generic probe \(predictor generic\)"):
        law_for(unread, Here())


def test_a_law_of_a_probe_of_other_texts(tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "a"}\n')
    given = curriculum(None)
    with_file = given.model_copy(update={"budget": given.budget.model_copy(update={"generic": str(file)})})
    named = given.model_copy(update={"budget": given.budget.model_copy(update={"generic": "builtin:skills"})})
    assert [probe_of(one) for one in (given, named)] == [None, "builtin:skills"]
    assert probe_of(with_file) == sha256(file.read_bytes()).hexdigest()
    own, of_file = (
        replace(LAW, predictor="generic", prompts="generic", probe=probe or "") for probe in (None, probe_of(with_file))
    )
    assert [is_of_other_probe(own, one) for one in (given, with_file, named)] == [False, True, True]
    assert [is_of_other_probe(of_file, one) for one in (given, with_file, named)] == [True, False, True]
    assert not is_of_other_probe(LAW, with_file)  # of the KL on the task
    save_law(of_file, tmp_path / "law.json")
    assert load_law(tmp_path / "law.json") == of_file
    save_law(own, tmp_path / "law.json")
    assert "probe" not in json.loads((tmp_path / "law.json").read_text())
    file.write_text('{"prompt": "b"}\n')
    assert is_of_other_probe(of_file, with_file)


def test_a_law_of_both_is_of_its_own_base_alone(tmp_path: Path) -> None:
    both = replace(
        LAW,
        base="0123456789abcdef",
        predictor="both",
        kl_generic=(0.0, 1.0),
        forgetting_generic=(0.0, 0.1),
        width_kl=(),
        width_forgetting=(0.0, 1.0),
    )
    save_law(both, tmp_path / "law.json")
    with pytest.raises(ConfigError, match=r"was fitted on another base\. (.|\n)*--predictor generic"):
        law_for(curriculum(str(tmp_path / "law.json")), Here())


def test_a_law_of_another_precision(tmp_path: Path) -> None:
    save_law(LAW, tmp_path / "law.json")
    message = (
        "was fitted on KL at float32 throughout, and here it is at float32 weights, bfloat16 autocast: its figures"
    )
    with pytest.raises(ConfigError, match=message):
        law_for(curriculum(str(tmp_path / "law.json")), Here(base_id="float32 weights, bfloat16 autocast: base-1"))


def test_a_law_of_other_bins(tmp_path: Path) -> None:
    save_law(replace(LAW, base="bins 21, action_repeat 5: ab"), tmp_path / "law.json")
    message = r"was fitted on KL at bins 21, action_repeat 5, and here it is at bins 11, action_repeat 5: its figures"
    with pytest.raises(ConfigError, match=message):
        law_for(curriculum(str(tmp_path / "law.json")), Here(base_id="bins 11, action_repeat 5: ab"))


def test_the_base_of_a_vision_run_is_told_by_its_recipe(tmp_path: Path) -> None:
    save_law(LAW, tmp_path / "law.json")
    given = curriculum(str(tmp_path / "law.json")).model_copy(update={"model": MlpModel(type="mlp", seed=3)})
    with pytest.raises(ConfigError, match="mlp of 512 and 256 hidden units pretrained on shipped images, is base-2"):
        law_for(given, Here(base_id="base-2"))


def test_files_that_are_no_law(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        law_for(curriculum(str(tmp_path / "nowhere.json")), Here())
    (tmp_path / "other.json").write_text(json.dumps({"a": 1}))
    with pytest.raises(ConfigError, match="not a law"):
        law_for(curriculum(str(tmp_path / "other.json")), Here())


def test_shipped_laws_go_by_name(tmp_path: Path) -> None:
    (tmp_path / "paper.json").write_text("{}")
    assert law_path("builtin:paper", tmp_path) == tmp_path / "paper.json"
    with pytest.raises(ConfigError, match=r"builtin:papers is not shipped with perdure; there is builtin:paper$"):
        law_path("builtin:papers", tmp_path)
    with pytest.raises(ConfigError, match="there is none"):
        law_path("builtin:paper", tmp_path / "empty")
    assert law_path("some/law.json") == Path("some/law.json")


def test_every_reading_of_a_run_is_journaled_with_its_forecast(tmp_path: Path) -> None:
    world, config = ScalarWorld(), scalar_curriculum(stages=1)
    life = scalar_run(tmp_path / "run", config, world, Onlooker())
    run_curriculum(replace(life, monitor=Monitor(config.budget, world.measure, LAW)))
    row = read_state(read_journal(tmp_path / "run" / "journal.jsonl")).rows[1]
    found = [reading.predicted_forgetting for reading in row.readings]
    # the KL is the square of 0.1 a step, and the law says a tenth of it
    assert [one.value for one in found if one] == pytest.approx([0.1 * (0.1 * step) ** 2 for step in (0, 2, 4, 6, 6)])
    assert {(one.inside, one.benchmarks) for one in found if one} == {(True, ("fashion",))}
