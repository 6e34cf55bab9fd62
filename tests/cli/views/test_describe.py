"""Interventions, decisions and prices in one line each, in `show`, in the live view and in the log."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from perdure.agent.run.events import Candidate, Intervened
from perdure.agent.run.lines import from_json
from perdure.agent.run.report import run_object
from perdure.agent.run.state import RunState, StageState
from perdure.budget.estimate import Estimate
from perdure.budget.price import StagePrice
from perdure.cli.views.describe import describe_decision, describe_intervention, describe_price, describe_undone
from perdure.cli.views.format import format_cap, format_kl, name_state
from perdure.cli.views.live import LiveView, final, live
from perdure.cli.views.panels import price_lines
from perdure.cli.views.run_report import format_readings, marks_line, run_report
from perdure.cli.views.symbols import ASCII, UNICODE
from tests.cli.drawn import folded, plain, seen, state_of
from tests.cli.journals import START, Clock, Line, estimate, reading, scores, whole_run

CANDIDATES = [
    {"method": "sft", "figures": {"gain": 0.2, "value": 0.11}},
    {"method": "tilt", "figures": {"gain": 0.4, "value": 0.31}},
    {"method": "simpo", "figures": {"gain": None, "value": None}},
    {"method": "rl_kl", "figures": {"gain": 0.3, "value": 0.28}},
]
EVIDENCE = {"trial_steps": 26, "trial_share": 0.24, "trial_seconds": 1.9}
NOWHERE: Line = {"event": "intervention", "stage": 1, "reason": "", "target": "t"}
PROJECTED = NOWHERE | {"action": "project", "step": 60, "start": "step 40", "share": 0.37, "readings": 12, "kl": 0.498}
RECOVERED = NOWHERE | {"action": "recover", "step": 60, "steps": 15, "kl_before": 1.31, "kl_after": 0.49}
REFUSED = "stage 3 needs at least 0.298 nats, 0.100 remain"


def price(at: Clock, stage: int, name: str, need: float | None, left: float = 0.5) -> Line:
    figures = {"target": 0.98, "floor": 0.298, "floor_interval": [0.25, 0.35], "need": need, "left": left}
    return at("price", stage=stage, name=name, base_rate=estimate(0.8), **figures)


def intervened(line: Line) -> Intervened:
    event = from_json(line)
    assert isinstance(event, Intervened)
    return event


def an_enforced_run() -> list[Line]:
    """One task, recovered too little and so projected, with a penalty and a cap below the run's."""
    at = Clock()
    events = [at("started", run="r", tasks=["even"], benchmarks=[])]
    events += [*scores(at, 0, (0.2,), (("even", "task"),)), price(at, 1, "even", 0.149)]
    events += [reading(at, 1, 0, 0.0, entry=True)]
    about: dict[str, Any] = {"name": "even", "method": "tilt", "reason": "best of 4", "evidence": EVIDENCE}
    events += [at("decision", stage=1, **about, candidates=CANDIDATES, share=0.6, cap=0.3)]
    weight = {"cap": 0.3, "penalty_weight": 0.213, "bound": 0.29}
    events += [reading(at, 1, 40, 0.28) | weight, reading(at, 1, 60, 0.9) | weight | {"bound": 0.92}]
    events += [RECOVERED | {"time": START, "kl_after": 0.8}]
    events += [PROJECTED | {"time": START, "kl": 0.298}]
    events += [reading(at, 1, 60, 0.28, final=True) | weight]
    for end, value in (("within", 0.6), ("beyond", 0.95)):
        events += [at("end_score", stage=1, end=end, name="even", **estimate(value, 0.04, 100))]
    return events


def test_a_projection_tells_the_way_the_kl_and_the_scores_at_both_ends() -> None:
    row = folded(an_enforced_run()).rows[-1]
    assert describe_intervention(row.interventions[1], row) == (
        "projected to 37 % of the way from step 40 to step 60: KL 0.298 of 0.300 (12 readings); beyond the cap the "
        "task scored 0.950, at step 40 0.600"
    )
    assert describe_intervention(intervened(PROJECTED)) == (
        "projected to 37 % of the way from step 40 to step 60: KL 0.498 (12 readings)"
    )


def test_the_projected_state_has_a_name_of_its_own() -> None:
    events = an_enforced_run()
    row = folded(events).rows[-1]
    assert format_readings(row) == (
        "start 0.000, 40: 0.280, 60: 0.900 (at most 0.920) above the cap, end (projected) 0.280"
    )
    assert name_state(row, row.readings[-2]) == "step 60"
    assert name_state(row, row.readings[-1]) == "projected"
    recovered = replace(row, interventions=row.interventions[:1])
    assert name_state(recovered, row.readings[-1]) == "after recovery"
    assert name_state(replace(row, interventions=()), row.readings[-1]) == "step 60"
    # recovered in part, and then the update that its reading had ended is told as stopped: `stop` moves nothing
    stop = {"event": "intervention", "stage": 1, "action": "stop", "step": 60, "reason": "", "target": "step 60"}
    above = folded([*events[:-4], stop, events[-3] | {"bound": 0.31}]).rows[-1]
    assert [event.action for event in above.interventions] == ["recover", "stop"]
    assert format_readings(above).endswith("end (after recovery) 0.280 (at most 0.310) above the cap")
    # one that was undone left the update's last step; older journals say so in the target alone
    for told in (
        {"undone": True},
        {"target": "9 steps of distillation from the base, undone since the KL did not fall"},
    ):
        taken_back = intervened(RECOVERED | told)
        assert name_state(replace(row, interventions=(taken_back,)), row.readings[-1]) == "step 60"
        assert name_state(replace(row, interventions=(taken_back, intervened(stop))), row.readings[-1]) == "step 60"
        both = replace(row, interventions=(taken_back, row.interventions[1]))
        assert name_state(both, row.readings[-1]) == "projected"
    lines = live(state_of(events, stage=1), START, UNICODE, 100, 30)
    assert "of 0.300 nats/token  projected" in plain(lines)
    assert "projected" not in next(
        line.plain
        for line in live(state_of(events[:-5], stage=1), START, UNICODE, 100, 30)
        if line.plain.startswith("KL")
    )


def test_what_rounds_to_its_cap_is_told_from_it() -> None:
    at = Clock()
    over, under = (folded([reading(at, 1, 20, kl)]).rows[0] for kl in (0.50031, 0.4996))
    assert format_readings(over) == "20: 0.5003 above the cap"
    assert format_kl(over.readings[0]) == "0.5003 ± 0.010 of 0.5000 nats/token"
    assert format_kl(under.readings[0]) == "0.4996 ± 0.010 of 0.5000 nats/token"
    # with a confidence it is the bound that is held against the cap
    bound = replace(over.readings[0], kl_per_token=Estimate(0.49, 0.01, 32), upper_bound=0.50031)
    assert format_readings(replace(over, readings=(bound,))) == "20: 0.4900 (at most 0.5003) above the cap"
    assert format_kl(bound) == "0.4900 ± 0.010, at most 0.5003, of 0.5000 nats/token"
    assert format_cap(replace(over, cap=0.4999, readings=(replace(over.readings[0], entry=True),))) == (
        "0.4999 of the run's 0.5000 nats/token"
    )
    assert describe_intervention(intervened(PROJECTED | {"kl": 0.4999}), under).endswith(
        "KL 0.4999 of 0.5000 (12 readings)"
    )
    assert describe_intervention(intervened(RECOVERED | {"kl_after": 0.50031}), over).endswith(
        "to 0.5003, still above the cap"
    )
    near = StagePrice(3, "c", Estimate(0.8, 0.01, 32), 0.98, 0.3, None, 0.10002, 0.1)
    assert describe_price(near).endswith("WARNING: stage 3 needs at least 0.10002 nats, 0.10000 remain")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "15 steps of distillation from the base: KL 1.310 to 0.490, still above the cap"),
        ({"kl_after": 0.29}, "recovered in 15 steps: KL 1.310 to 0.290"),
        ({"kl_after": 1.5, "target": "undone"}, "15 steps of distillation from the base undone: KL 1.310 to 1.500"),
        ({"kl_after": None}, "15 steps of distillation from the base: KL 1.310 to n/a, still above the cap"),
        ({"kl_after": 1.5, "undone": True}, "15 steps of distillation from the base undone: KL 1.310 to 1.500"),
        # with a confidence the bound is judged, which the event does not hold
        (
            {"kl_after": 0.29, "within": False},
            "15 steps of distillation from the base: KL 1.310 to 0.290, the upper end of its interval still above the "
            "cap",
        ),
        (
            {"kl_after": 0.49, "within": False, "undone": False},
            "15 steps of distillation from the base: KL 1.310 to 0.490, still above the cap",
        ),
        ({"kl_after": 0.29, "within": True, "undone": False}, "recovered in 15 steps: KL 1.310 to 0.290"),
    ],
)
def test_a_recovery_says_whether_it_came_back(changes: dict[str, Any], words: str) -> None:
    row = folded(an_enforced_run()).rows[-1]
    assert describe_intervention(intervened(RECOVERED | changes), row) == words


def test_a_recovery_says_so_without_its_row() -> None:
    assert describe_intervention(intervened(RECOVERED)) == "recovered in 15 steps: KL 1.310 to 0.490"
    assert describe_intervention(intervened(RECOVERED | {"within": False})).endswith(
        "KL 1.310 to 0.490, still above the cap"
    )


def test_a_decision_is_explained_with_all_its_candidates() -> None:
    row = folded(an_enforced_run()).rows[-1]
    assert describe_decision(row) == (
        "tilt: best of 4; value 0.310 against rl_kl 0.280, sft 0.110, simpo n/a; trials of 26 steps, 24 % of the "
        "stage's steps, and 1.900 s"
    )
    assert describe_decision(replace(row, steps_spent=26, seconds=5.0)).endswith(
        "; trials of 26 steps, 24 % of the stage's steps (deducted), and 1.900 s, 38 % of its seconds"
    )
    asked = tuple(Candidate(name, {"possible": one}) for name, one in (("sft", 0.0), ("rl", 1.0)))
    assert describe_decision(StageState(1, "a", method="rl", candidates=asked)) == (
        "rl; candidates: sft (cannot learn the task), rl"
    )
    drawn = (Candidate("sft", {"value": 0.1, "drawn": -0.2}), Candidate("rl", {"drawn": 0.3}))
    assert describe_decision(StageState(1, "a", method="rl", candidates=drawn)) == "rl; drawn 0.300 against sft -0.200"
    at = {"steps": 6, "value": 0.31, "value_stderr": 0.02}
    rungs = [{"rung": 1, "kept": ["sft"], "out": ["rl"], "figures": {"sft": at, "rl": {"steps": 4, "ended_by_cap": 1}}}]
    race = StageState(1, "a", method="sft", reason="best", evidence={"rungs": rungs, "trial_steps": 4})
    assert describe_decision(race) == (
        "sft: best; rung 1 after 6 steps: sft 0.310 ± 0.020 (out: rl n/a, ended by the cap); "
        "what the losers of the race took: 4 steps, n/a of the stage's steps, and n/a s"
    )
    own = StageState(1, "a", method="sft", reason="mine", candidates=(Candidate("sft", {"my_score": 1.0}),))
    assert describe_decision(own) == "sft: mine; candidates: sft (my score 1.000)"
    assert describe_decision(StageState(1, "a", method="sft", reason="fixed")) == "sft: fixed"
    assert describe_decision(StageState(1, "a")) == ""


def test_prices_in_words() -> None:
    one = StagePrice(3, "c", Estimate(0.8, 0.01, 32), 0.98, 0.29817, None, 0.29817, 1.0)
    start = "base rate 0.800 ± 0.010, target 0.98: at least 0.298 nats an answer; "
    assert describe_price(one) == start + "0.298 needed, 1.000 remaining"
    dear = StagePrice(3, "c", Estimate(0.8, 0.01, 32), 0.98, 0.29817, (0.25, 0.35), 0.29817, 0.1)
    assert describe_price(dear).endswith(f"at least 0.298 [0.250, 0.350] nats an answer; WARNING: {REFUSED}")
    untold = StagePrice(3, "c", Estimate(0.8, 0.01, 32), 0.98, 0.29817, None, None, 0.1)
    assert describe_price(untold).endswith("the need in the budget's KL is not known, 0.100 remaining")


def test_show_tells_everything() -> None:
    lines = [line.plain for line in run_report(seen(an_enforced_run()), {}, ASCII, 200)]
    text = "\n".join(lines)
    assert "  price     base rate 0.800 +/- 0.010, target 0.98" in text
    assert "  method    tilt: best of 4; value 0.310 against" in text
    assert "  cap       0.300 of the run's 0.500 nats/token; the strategy asked for 60 % of the budget left" in text
    assert "  penalty   weight 0.213 at the last reading" in text
    assert "  KL        0.280 +/- 0.010, at most 0.290, of 0.300 nats/token" in text
    assert "  monitor   15 steps of distillation from the base: KL 1.310 to 0.800, still above the cap" in text
    assert "  monitor   projected to 37 % of the way" in text
    assert next(line for line in lines if line.startswith(" 1 even")).split()[2:4] == ["tilt", "+/"]


def test_json_tells_everything(tmp_path: Path) -> None:
    at = Clock()
    done = at("commit", stage=1, name="even", method="tilt", steps=60, seconds=1.0, weights_sha256="w")
    found = run_object(folded([*an_enforced_run(), done]), tmp_path)
    json.dumps(found, allow_nan=False)
    (row,) = found["rows"][1:]
    assert (row["cap"], row["kl_bound"], row["penalty_weight"]) == (0.3, 0.29, 0.213)
    assert row["candidates"] == CANDIDATES and row["evidence"] == EVIDENCE
    assert [one["action"] for one in row["interventions"]] == ["recover", "project"]
    assert row["interventions"][1]["share"] == 0.37
    assert row["end_scores"]["beyond"]["even"]["value"] == 0.95
    (told,) = found["prices"]
    assert (told["task"], told["floor"], told["need"], told["fits"]) == ("even", 0.298, 0.149, True)


def test_glyphs_of_interventions_in_the_table() -> None:
    lines = final(state_of(an_enforced_run()), {}, UNICODE, 100)
    assert next(line.plain for line in lines if line.plain.startswith(" 1 even")).split()[3] == "✚↤"


def test_a_stage_that_cannot_fit_is_warned_of_while_the_run_goes_on() -> None:
    at = Clock()
    events = [*whole_run()[:7], price(at, 3, "chain", 0.298, 0.1)]
    for height, width in ((24, 80), (12, 40)):
        lines = live(state_of(events, stage=1), START, UNICODE, width, height)
        warning = next(line.plain for line in lines if line.plain.startswith("price"))
        assert REFUSED.startswith(warning.removeprefix("price").strip().rstrip("…").strip())
        assert len(lines) <= height and all(line.cell_len <= width for line in lines)
    assert f"price   {REFUSED}" in plain(final(state_of(events), {}, UNICODE, 80))


def test_many_refusals_are_counted() -> None:
    prices = tuple(StagePrice(stage, "", Estimate(0.5, 0.1, 9), 0.9, 1.0, None, 1.0, 0.5) for stage in range(1, 6))
    lines = [line.plain for line in price_lines(RunState(prices=prices), 80, UNICODE)]
    assert len(lines) == 3
    assert lines[2].split() == ["3", "more:", "perdure", "show"]
    assert price_lines(RunState(), 80, UNICODE) == []


def test_the_log_has_a_line_for_each() -> None:
    file = io.StringIO()
    with LiveView("r", plain=True, console=Console(file=file)) as view:
        for event in an_enforced_run():
            view.event(from_json(event))
    said = [line[9:] for line in file.getvalue().splitlines()]
    assert len(said) == len(an_enforced_run())
    assert "stage 1/1 even: beyond the cap: even 0.950 +/- 0.040" in said
    assert any(line.startswith("stage 1/1 even: tilt: best of 4; value 0.310 against") for line in said)
    assert any("penalty weight 0.213" in line for line in said)
    assert any(line.startswith("stage 1/1 even: base rate 0.800 +/- 0.010, target 0.98") for line in said)
    assert [line.split(": ")[1].split(",")[0] for line in said if ", KL " in line] == [
        *("at the start", "step 40", "step 60", "at the end (projected)")
    ]
    # 0.28 is below the cap of 0.3; what is held against it is below, too, and then 0.92 is above.
    assert ["ABOVE" in line for line in said if ", KL " in line] == [False, False, True, False]


@pytest.mark.parametrize(
    ("stage", "state", "words"),
    [
        (4, "the base", ", which undoes stages 1 to 3"),
        (4, "the end of stage 2", ", which undoes stage 3"),
        (4, "the end of stage 3", ""),
        (1, "the base", ""),
        (4, "step 40", ""),
    ],
)
def test_going_back_farther_than_the_stage_says_what_it_undoes(stage: int, state: str, words: str) -> None:
    assert describe_undone(intervened(NOWHERE | {"action": "rollback", "step": 40, "stage": stage}), state) == words


@pytest.mark.parametrize(
    ("stage", "start", "share", "words"),
    [
        # nine tenths of stage 3 stay
        (4, "the end of stage 2", 0.9, ", which undoes part of stage 3"),
        (4, "the base", 0.9, ", which undoes part of stages 1 to 3"),
        (4, "the end of stage 3", 0.9, ""),
        # at the line's start nothing of it stays
        (4, "the end of stage 2", 0.0, ", which undoes stage 3"),
    ],
)
def test_a_projection_takes_back_part_of_the_stages_before(stage: int, start: str, share: float, words: str) -> None:
    event = PROJECTED | {"stage": stage, "start": start, "share": share}
    way = f"projected to {100 * share:.0f} % of the way from {start} to step 60"
    assert describe_intervention(intervened(event)) == f"{way}{words}: KL 0.498 (12 readings)"


def test_the_marks_of_the_table_are_explained() -> None:
    (line,) = marks_line(folded(an_enforced_run()), ASCII)
    assert "projected to the cap" in line.plain
    assert "stopped" not in line.plain
