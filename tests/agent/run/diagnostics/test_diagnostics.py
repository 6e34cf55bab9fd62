"""Each finding: a run that earns it, and one that does not."""

from dataclasses import replace
from typing import Any, get_args

import pytest

from perdure.agent.run.diagnostics.diagnose import diagnose, finding_objects
from perdure.agent.run.diagnostics.finding import Finding, Kind, RunFacts, StepCurve
from perdure.agent.run.event import Event
from perdure.agent.run.events import EndScored, Intervened, Measured, Noticed, Scored, Unscored
from perdure.agent.run.lines import from_json
from perdure.agent.run.report import Change
from perdure.agent.run.state import RunState, StageState, fold
from perdure.budget.estimate import Estimate
from perdure.budget.penalty import MAX_WEIGHT
from perdure.cli.views.finding_lines import finding_lines
from perdure.cli.views.symbols import ASCII
from tests.cli.drawn import plain


def run(*events: Event, **changed: Any) -> RunFacts:
    """Two stages of 40 steps by rl on 50 items each, from 20 % and 10 %, none of which earns a finding, and events."""
    scores = {"a": Estimate(0.2, 0.05, 50), "b": Estimate(0.1, 0.04, 50), "mark": Estimate(0.9, 0.04, 50)}
    rows = [StageState(0, "base", scores=scores, weights_sha256="w0")]
    for stage, name in ((1, "a"), (2, "b")):
        about: dict[str, Any] = {"method": "rl", "steps": 40, "weights_sha256": f"w{stage}", "scores": dict(scores)}
        rows.append(StageState(stage, name, **about))
    state = RunState("r", ("a", "b"), ("mark",), tuple(rows), status="finished")
    for event in events:
        state = fold(state, event)
    return replace(RunFacts(state), **changed)


def scored(stage: int, name: str, value: float, n: int = 50, **more: Any) -> Scored:
    return Scored(stage=stage, kind="task", file="f", name=name, value=value, stderr=0.0, n=n, **more)


def reading(stage: int, kl: float, cap: float, **kind: bool) -> Measured:
    kls = {name: {"value": kl, "stderr": 0.01, "n": 8} for name in ("kl_per_token", "kl_per_sequence")}
    about = {"event": "reading", "stage": stage, "cap": cap, "unit": "token", "step": 40, "within": kl <= cap}
    found = from_json(about | kls | {"entry": False, "final": False} | kind)
    assert isinstance(found, Measured)
    return found


def notice(name: Any, count: int, of: int, stage: int = 1) -> Noticed:
    return Noticed(stage=stage, notice=name, count=count, of=of)


def intervened(action: Any, target: str) -> Intervened:
    return Intervened(stage=2, step=40, action=action, reason="the loss became nan at step 9", target=target)


def end(which: Any, value: float) -> EndScored:
    return EndScored(stage=1, end=which, name="a", value=value, stderr=0.0, n=50)


def same_weights(facts: RunFacts, stage: int, steps: int) -> RunFacts:
    rows = [replace(row, weights_sha256="w0", steps=steps) if row.stage == stage else row for row in facts.record.rows]
    return replace(facts, record=replace(facts.record, rows=tuple(rows)))


def penalised(weight: float) -> RunFacts:
    facts = run()
    rows = [replace(row, penalty_weight=weight) if row.stage == 1 else row for row in facts.record.rows]
    return replace(facts, record=replace(facts.record, rows=tuple(rows)))


def moved(difference: float, p_value: float) -> dict[int, Change]:
    return {1: Change(difference, None, None, p_value, 50)}


ALL_EQUAL, NONE_RIGHT = notice("equal_rewards", 80, 80), notice("unrewarded", 320, 320)
STILL = StepCurve("loss", tuple(3 - 0.01 * step for step in range(64)))
DONE = StepCurve("loss", tuple(3 - 0.01 * min(step, 32) for step in range(64)))
RISING = StepCurve("reward", tuple(0.1 + 0.01 * step for step in range(64)))
REASON = "the loss became nan at step 9"

CASES: dict[Kind, list[tuple[RunFacts, str, RunFacts]]] = {
    "broken": [
        (
            run(intervened("broken", "step 5")),
            f"the update broke and went back to step 5: {REASON}",
            run(intervened("stop", "step 5")),
        )
    ],
    "no_update": [
        (
            run(intervened("stop", "no update")),
            "nothing was trained: no budget was left when the stage began",
            run(intervened("stop", "step 5")),
        )
    ],
    "unrewarded": [
        (
            run(NONE_RIGHT, ALL_EQUAL),
            "no sampled answer was right in 40 steps (320 sampled): rl had nothing to reinforce",
            run(ALL_EQUAL),
        ),
        # penalties differ, so that they do teach
        (run(NONE_RIGHT), "no sampled answer was right in 40 steps (320 sampled)", run()),
        (
            run(notice("no_success", 80, 80)),
            "no sampled answer was right in 40 steps: rl had nothing to reinforce",
            run(notice("no_success", 79, 80)),
        ),
    ],
    "equal_rewards": [
        (
            run(ALL_EQUAL),
            "in all 80 groups of answers the rewards were equal: rl had nothing to compare",
            run(notice("equal_rewards", 79, 80)),
        )
    ],
    "weights_unchanged": [
        (
            same_weights(run(), 1, 40),
            "nothing of its 40 steps was kept: the weights are those from before the stage",
            same_weights(run(), 1, 0),
        )
    ],
    "worse": [
        (
            run(own_changes=moved(-0.1, 0.03)),
            "its own task is worse than before the stage: -10.0 points, p = 0.030",
            run(own_changes=moved(0.1, 0.03)),
        )
    ],
    "unmoved": [
        (
            run(own_changes=moved(0.02, 0.61)),
            "the task did not move (+2.0 points, p = 0.610)",
            run(own_changes=moved(0.02, 0.04)),
        ),
        (
            run(own_changes=moved(0.02, 0.61), curves={1: STILL}),
            "the task did not move (+2.0 points, p = 0.610) and the loss was still falling: more steps",
            run(own_changes=moved(0.02, 0.04), curves={1: STILL}),
        ),
        (
            run(own_changes=moved(0.02, 0.61), curves={1: RISING}),
            "the task did not move (+2.0 points, p = 0.610) and the reward was still rising: more steps",
            run(NONE_RIGHT, ALL_EQUAL, own_changes=moved(0.02, 0.61), curves={1: RISING}),
        ),
        (
            run(own_changes=moved(0.02, 0.61), curves={1: DONE}),
            "the task did not move (+2.0 points, p = 0.610)",
            run(scored(0, "a", 1.0), own_changes=moved(0.0, 1.0), curves={1: DONE}),
        ),
    ],
    "cap_used_up": [
        (
            run(reading(1, 0.0, 0.5, entry=True), reading(1, 0.496, 0.5, final=True)),
            "the cap was used up here, KL 0.496 of 0.500 nats/token, and 1 more stage was to come",
            run(reading(1, 0.0, 0.5, entry=True), reading(1, 0.49, 0.5, final=True)),
        ),
        # the part of a stage is used up, not that of the run; and the last stage may use up all
        (
            run(reading(1, 0.0, 0.5, entry=True), reading(1, 0.5, 0.5, final=True)),
            "the cap was used up here, KL 0.500 of 0.500 nats/token, and 1 more stage was to come",
            run(
                *(reading(1, 0.0, 0.5, entry=True), reading(1, 0.25, 0.25, final=True)),
                *(reading(2, 0.25, 0.5, entry=True), reading(2, 0.5, 0.5, final=True)),
            ),
        ),
    ],
    "above_cap": [
        (
            run(reading(2, 0.6, 0.5, final=True)),
            "the policy ends above the cap: KL 0.600 of 0.500 nats/token",
            run(reading(1, 0.6, 0.5, final=True), reading(2, 0.5, 0.5, final=True)),
        )
    ],
    "projected": [
        # from 20 % to 70 % beyond the cap, 60 % at it: 10 of 50 points; 66 %: 4 of 50
        (
            run(end("beyond", 0.7), scored(1, "a", 0.6)),
            "going back to the cap cost 10.0 of the 50.0 points that it had learned of its own task",
            run(end("beyond", 0.7), scored(1, "a", 0.66)),
        )
    ],
    "largest_penalty": [
        (penalised(MAX_WEIGHT), "the penalty's weight ended at its largest, 1.0e+06", penalised(MAX_WEIGHT / 2))
    ],
    "all_truncated": [
        (
            run(notice("truncated", 320, 320)),
            "every sampled answer hit max_completion_length (320 of 320)",
            run(notice("truncated", 319, 320)),
        )
    ],
    "answers_truncated": [
        (
            run(scored(2, "b", 0.1, truncated=25)),
            "answers were cut off at evaluation.max_completion_length: 25 of 50 to 'b'",
            run(scored(2, "b", 0.1, truncated=24)),
        )
    ],
    "unscored": [
        (
            run(Unscored(stage=1, task="a", phase="scoring", answers={"too slow": 2, "crashed": 1})),
            "3 answers to 'a' counted 0 without a verdict when scored: 2 too slow, 1 crashed",
            run(),
        )
    ],
    "repeated": [
        (run(notice("repeated", 39, 50)), "39 of 50 rows were dropped as repeats", run(notice("repeated", 24, 50)))
    ],
    "base_perfect": [
        (run(scored(0, "b", 1.0)), "the base already has all 50 held-out items of 'b' right", run(scored(0, "b", 0.98)))
    ],
    "at_floor": [
        (
            run(scored(0, "mark", 0.0)),
            "benchmark 'mark' cannot show forgetting: the base has 0.0 %, which cannot fall",
            run(scored(0, "mark", 0.02)),
        ),
        # 18 of 50: Wilson's interval [0.241, 0.499] holds a quarter; 19 of 50: [0.259, 0.518]
        (
            run(scored(0, "mark", 0.36), guessing={"mark": 0.25}),
            "benchmark 'mark' cannot show forgetting: the base has 36.0 %, not above guessing, 25 %",
            run(scored(0, "mark", 0.38), guessing={"mark": 0.25}),
        ),
    ],
    "damaged": [
        (
            run(damaged="r/scores/01-a.a.jsonl is missing or damaged"),
            "r/scores/01-a.a.jsonl is missing or damaged: the intervals and tests that need it are left out; put it "
            "back from a copy",
            run(),
        )
    ],
    "few_items": [
        (
            run(scored(0, "a", 0.2, n=29), scored(0, "mark", 0.9, n=8)),
            "fewer than 30 items are scored (a 29, mark 8): no change can pass the paired test unless 6 of them change",
            run(scored(0, "a", 0.2, n=30)),
        )
    ],
    "notice": [
        (
            run(notice("cut_off", 3, 40)),
            "the ends of 3 of 40 demonstrations were not learned: they are longer than max_length",
            run(notice("truncated", 320, 320)),
        )
    ],
}


def told(facts: RunFacts, kind: Kind) -> list[Finding]:
    return [one for one in diagnose(facts) if one.kind == kind]


@pytest.mark.parametrize(
    ("kind", "earns", "text", "does_not"), [(kind, *case) for kind, cases in CASES.items() for case in cases]
)
def test_a_run_that_earns_it_and_one_that_does_not(kind: Kind, earns: RunFacts, text: str, does_not: RunFacts) -> None:
    (found,) = told(earns, kind)
    assert found.text == text
    assert told(does_not, kind) == []


def test_every_kind_is_tested() -> None:
    assert CASES.keys() == set(get_args(Kind))


def test_a_run_without_a_fault_has_no_findings() -> None:
    assert diagnose(run()) == ()
    assert finding_lines(run().record, (), ASCII, 80) == []


def test_the_most_serious_come_first_and_the_rest_is_counted() -> None:
    facts = run(notice("fewer", 30, 400), notice("repeated", 39, 50), NONE_RIGHT, ALL_EQUAL, scored(0, "b", 1.0))
    found = diagnose(facts)
    assert [one.kind for one in found] == ["unrewarded", "repeated", "base_perfect", "notice"]
    lines = plain(finding_lines(facts.record, found, ASCII, 200, most=2)).splitlines()
    assert lines == [
        "to know",
        "  stage 1 a: no sampled answer was right in 40 steps (320 sampled): rl had nothing to reinforce",
        "  stage 1 a: 39 of 50 rows were dropped as repeats",
        "  and 2 more: perdure show",
    ]
    narrow = plain(finding_lines(facts.record, found, ASCII, 60, most=2)).splitlines()
    assert max(map(len, narrow)) <= 60 and len(narrow) == 5
    assert finding_objects(found)[1] == {
        "kind": "repeated",
        "stage": 1,
        "text": "39 of 50 rows were dropped as repeats",
        "figures": {"count": 39, "of": 50},
    }
