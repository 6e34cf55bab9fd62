"""The modifier `average`, in runs of a policy of one number: an update adds 0.05 a step, and the KL is its square."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from perdure.agent.loop import run_curriculum
from perdure.agent.run.event import Event
from perdure.agent.run.events import Intervened
from perdure.agent.run.state import RunState
from perdure.agent.strategies import make_strategy
from perdure.cli.views.describe import describe_intervention
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.settings import Average
from perdure.curriculum.worlds.registry import worlds
from tests.agent.scalar_run import Killed, Onlooker, curriculum, in_memory, outcome, record_of, scalar_run
from tests.plugin.perdure_scalar.world import ScalarWorld


def config(kl: float = 9.0, enforce: str = "rollback", method: str = "sft+average", **average: Any) -> Curriculum:
    """Two stages of ten steps: 0.5 each."""
    settings = {f"average_{name}": value for name, value in average.items()}
    train = {"max_steps": 10, "save_steps": 4, "average": settings}
    told = curriculum(2, 0.05, train, kl=kl, enforce=enforce).model_dump(mode="json")
    return Curriculum.model_validate(told | {"strategy": {"type": "fixed", "method": method}})


def run(path: Path, of: Curriculum, on_step: Any = lambda step: None, view: Onlooker | None = None) -> RunState:
    run_curriculum(scalar_run(path, of, ScalarWorld(on_step), view, make_strategy(of)))
    return record_of(path)


def weights(record: RunState) -> list[float]:
    """The number that each stage ended with: the root of its KL."""
    return [row.readings[-1].kl.value ** 0.5 for row in record.rows[1:]]


@pytest.mark.parametrize(
    ("average", "ends"),
    [
        # half of 0.5; from there half of the way to 0.75
        ({}, [0.25, 0.5]),
        # half of 0.5; half of 0.75
        ({"with": "base"}, [0.25, 0.375]),
        # a fifth of 0.5; a fifth of 0.6
        ({"with": "base", "share": 0.2}, [0.1, 0.12]),
        ({"share": 0}, [0.0, 0.0]),
        ({"share": 1, "with": "base"}, [0.5, 1.0]),
    ],
)
def test_the_weights_lie_between_the_ends(tmp_path: Path, average: Any, ends: list[float]) -> None:
    record = run(tmp_path / "run", config(**average))
    assert weights(record) == pytest.approx(ends)
    assert [row.steps for row in record.rows[1:]] == [10, 10]
    begun = [0.0, ends[0]]
    for row, start in zip(record.rows[1:], begun, strict=True):
        (event,) = row.interventions
        assert (event.action, event.share) == ("average", average.get("share", 0.5))
        assert event.kl_beyond == pytest.approx((start + 0.5) ** 2)


class Looking(Onlooker):
    """Lists the ends of the line when an average is journaled."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.seen: list[list[Path]] = []

    def event(self, event: Event) -> None:
        super().event(event)
        if isinstance(event, Intervened):
            self.seen.append(list(self.folder.rglob("average-*")))


def test_the_ends_are_gone_before_the_policy_is_saved(tmp_path: Path) -> None:
    view = Looking(tmp_path)
    run(tmp_path / "run", config(), view=view)
    assert view.seen == [[], []]


def test_all_of_the_way_is_the_run_without_it(tmp_path: Path) -> None:
    with_it, without = run(tmp_path / "with", config(share=1)), run(tmp_path / "without", config(method="sft"))
    assert [row.weights_sha256 for row in with_it.rows] == [row.weights_sha256 for row in without.rows]
    none = run(tmp_path / "none", config(share=0))
    assert none.rows[1].weights_sha256 == none.rows[2].weights_sha256


def test_the_share_of_the_cap_is_the_largest_within_it(tmp_path: Path) -> None:
    # 0.5² is within 0.36, and of the second stage, 0.5 to 1, a fifth is: a cap of 0.6²
    first, second = run(tmp_path / "run", config(kl=0.36, enforce="observe", share="cap")).rows[1:]
    assert (first.interventions[0].share, first.interventions[0].readings) == (1.0, 0)
    assert second.interventions[0].share == pytest.approx(0.2, rel=0.03)
    assert 0.99 * 0.36 <= second.readings[-1].kl.value <= 0.36
    base = run(tmp_path / "base", config(kl=0.36, enforce="observe", share="cap", **{"with": "base"})).rows[2]
    assert base.interventions[0].share == pytest.approx(0.6, rel=0.01)


def test_what_begins_above_the_cap_stays_where_it_began(tmp_path: Path) -> None:
    of = config(kl=0.04, enforce="observe", share="cap")
    stages = [of.stages[0].model_copy(update={"method": "sft"}), *of.stages[1:]]
    record = run(tmp_path / "run", of.model_copy(update={"stages": stages}))
    assert weights(record) == pytest.approx([0.5, 0.5])
    assert [(one.share, one.readings) for one in record.rows[2].interventions] == [(0.0, 1)]


def test_a_broken_update_goes_back_and_is_not_averaged(tmp_path: Path) -> None:
    record = run(tmp_path / "run", config(), lambda step: float("nan") if step == 7 else None)
    assert [event.action for event in record.rows[1].interventions] == ["broken"]


def test_an_average_within_the_cap_needs_no_remedy(tmp_path: Path) -> None:
    # 0.5² is above a cap of 0.19, which ends the update at step 10; half of it is within, and it is told why it ended
    row = run(tmp_path / "run", config(kl=0.19)).rows[1]
    assert [(event.action, event.reason) for event in row.interventions] == [
        ("average", "KL 0.250 above the cap 0.190 nats a token")
    ]
    assert row.readings[-1].within


def test_a_run_that_was_killed_averages_the_same() -> None:
    for average in ({}, {"with": "base", "share": "cap"}):
        of = config(kl=0.2, enforce="observe", **average)
        with in_memory() as folder:
            whole = run(folder / "whole", of)
            for kind, at in (("step", 3), ("step", 10), ("step", 16), *(("event", at) for at in range(4, 22, 3))):
                steps, path = iter(range(1, 99)), folder / f"{kind}{at}"

                def dying(step: int, steps: Any = steps, at: int = at, kind: str = kind) -> None:
                    if kind == "step" and next(steps) == at:
                        raise Killed

                with pytest.raises(Killed):
                    run(path, of, dying, Onlooker(cry_at=at if kind == "event" else None))
                assert outcome(run(path, of)) == outcome(whole), (kind, at)


def test_the_winner_of_a_race_is_averaged_as_it_would_be_alone(tmp_path: Path) -> None:
    race = {
        "type": "race",
        "candidates": ["sft+average", "rl"],
        "num_prompts": 2,
        "k": 1,
        "min_gain": None,
        "rungs": [3],
    }
    raw = config().model_dump(mode="json") | {"strategy": race}
    record = run(tmp_path / "run", Curriculum.model_validate(raw))
    # 10 steps less the loser's 3: 0.35, and half of it; then half of the 0.35 more
    assert [row.method for row in record.rows[1:]] == ["sft+average"] * 2
    assert weights(record) == pytest.approx([0.175, 0.35])


def test_every_world_has_it_and_tells_it() -> None:
    assert all("average" in spec.modifiers for spec in worlds().values() if spec.plugin is None)
    with in_memory() as folder:
        rows = run(folder / "run", config(**{"with": "base"})).rows
    told = [describe_intervention(row.interventions[0]) for row in rows[1:]]
    assert told[0] == "averaged to 50.0% of the way from the base to where it ended at KL 0.250"
    assert told[1].endswith("at KL 0.563, which undoes part of stage 1")


@pytest.mark.parametrize("bad", [{"average_share": 1.5}, {"average_share": "half"}, {"average_with": "end"}])
def test_shares_that_are_none_are_refused(bad: Any) -> None:
    with pytest.raises(ValidationError):
        Average.model_validate(bad)
