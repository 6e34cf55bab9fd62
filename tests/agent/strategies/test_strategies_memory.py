"""What a race remembers of earlier ones, from journaled figures out of tables."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pytest

from perdure.agent.life import Life
from perdure.agent.loop import run_curriculum
from perdure.agent.run.state import RunState, StageState
from perdure.agent.strategies import make_strategy
from perdure.agent.strategies.contract import Decision
from perdure.agent.strategies.kinds import KIND, STAGE_SD
from perdure.agent.strategies.memory import PRIOR_SD, Difference, difference, races_on, remembered, told_by
from perdure.agent.strategies.race import Race
from tests.agent.scalar_run import Killed, in_memory, outcome, record_of, scalar_run
from tests.agent.scalar_world import scalar_task
from tests.agent.strategies.situations import Trials, curriculum, situation
from tests.agent.strategies.test_strategies_race import Forks, settings
from tests.plugin.perdure_scalar.world import ScalarWorld

SOME = "demonstrations and some success"
NONE_YET = "demonstrations and no success yet"


def at_rung(value: float | None, stderr: float | None = 0.03, **more: Any) -> dict[str, Any]:
    return {"before": 0.5, "gain": 0.1, "gain_stderr": 0.01, "value": value, "value_stderr": stderr} | more


def row(stage: int, *rungs: Mapping[str, Any], kind: str = SOME) -> StageState:
    """A stage that was raced, or, without rungs, decided alone."""
    told = {"rungs": [{"rung": 1, "figures": figures} for figures in rungs]} if rungs else {}
    return StageState(stage, f"stage {stage}", "rl", "best", evidence={KIND: kind, **told})


def record(*rows: StageState) -> RunState:
    return RunState(rows=(StageState(0, "base"), *rows))


def clear(stage: int, kind: str = SOME) -> StageState:
    """`rl` is worth 0.3 more than `sft`, 0.02 ± 0.02 more than `tilt`."""
    figures = {"rl": at_rung(0.3, 0.0), "sft": at_rung(0.0, 0.05), "tilt": at_rung(0.28, 0.02)}
    return row(stage, figures, kind=kind)


def choose(
    told: RunState,
    methods: Sequence[str],
    *,
    rate: float = 0.5,
    number: int = 2,
    forks: Forks | None = None,
    **more: Any,
) -> Decision:
    return Race(settings(**more)).choose(
        situation(
            curriculum({"type": "race"}),
            Trials({}),
            methods=methods,
            number=2,
            record=told,
            rates=[rate] * 3,
            fork=None if forks is None else lambda num_prompts, k: forks,
        )
    )


def test_a_difference_is_a_random_walk_observed_with_noise() -> None:
    # 0 ± 0.1, and 0.13 ± 0.05 observed: four fifths of the way, a fifth of the variance left
    seen = Difference().observed(0.13, 0.05)
    assert (seen.mean, seen.sd, seen.races) == (pytest.approx(0.104), pytest.approx(math.sqrt(0.002)), 1)
    later = seen.a_stage_later()
    assert later.sd == pytest.approx(math.sqrt(0.002 + STAGE_SD**2))
    assert later.chance == pytest.approx(NormalDist().cdf(0.104 / math.sqrt(0.0045)))
    assert Difference(0.1, 0.02).observed(0.3, 0.0).mean == pytest.approx(0.3)


def test_a_difference_is_that_of_the_last_rung_of_both_and_less_sure_with_every_stage() -> None:
    both = {"rl": at_rung(0.2), "sft": at_rung(0.1, 0.04)}
    raced = row(1, {**both, "tilt": at_rung(0.3)}, {"rl": at_rung(0.5), "sft": at_rung(0.1, 0.04)})
    assert told_by(raced, "rl", "sft") == (pytest.approx(0.4), pytest.approx(0.05))
    assert told_by(raced, "tilt", "rl") == (pytest.approx(0.1), pytest.approx(math.hypot(0.03, 0.03)))
    assert told_by(raced, "rl", "rl_kl") is None
    once, later = record(raced), record(raced, row(2), row(3, kind=NONE_YET))
    one, two = difference(once, SOME, "rl", "sft"), difference(later, SOME, "rl", "sft")
    assert (two.mean, two.races) == (one.mean, 1)
    assert two.sd == pytest.approx(math.hypot(one.sd, STAGE_SD))
    assert difference(later, NONE_YET, "rl", "sft").races == 0
    assert difference(once, SOME, "sft", "rl").mean == pytest.approx(-one.mean)


@pytest.mark.parametrize(
    "figures",
    [
        {"rl": at_rung(0.3, before=0.0, gain=0.0), "sft": at_rung(0.0, before=0.0, gain=0.0)},
        {"rl": at_rung(0.3), "sft": at_rung(None)},
        {"rl": at_rung(0.3), "sft": {"before": 0.5}},
        {"rl": at_rung(0.3), "sft": at_rung(0.0, 0.0, gain_stderr=None)},
    ],
)
def test_nothing_is_learned_without_success_values_or_errors(figures: Any) -> None:
    assert remembered(record(row(1, figures)), SOME, ["rl", "sft"]) is None


def test_the_best_starts_alone_where_no_other_is_in_question() -> None:
    told = record(clear(1))
    decision = choose(told, ["sft", "rl"])
    assert (decision.method, decision.steps_spent, decision.set_aside) == ("rl", 0, 0)
    # four answers to the one item of two that is set aside tell the kind
    assert decision.evidence == {"rate": 0.5, KIND: SOME, "settled": ["sft"], "trial_answers": 4}
    one = difference(told, SOME, "sft", "rl")
    figures = {candidate.method: candidate.figures for candidate in decision.candidates}
    assert figures["sft"] == {"chance": one.chance, "difference": one.mean, "difference_sd": one.sd, "races": 1}
    assert figures["rl"] == {"chance": 1 - one.chance}
    assert f"{one.chance:.0%} chance that sft is worth more" in decision.reason


def test_what_is_in_question_is_raced_without_what_is_not() -> None:
    # at 100 steps all four would start, and a place that is freed goes to none
    told = record(clear(1))
    forks = Forks({"tilt": [{"after": 0.52}], "rl": [{"after": 0.6}]})
    decision = choose(told, ["sft", "rl", "tilt"], forks=forks)
    assert [one[:2] for one in forks.asked] == [("rl", 1), ("tilt", 1)]
    # a quarter of the steps is the loser's
    assert (decision.method, decision.steps_spent, decision.set_aside) == ("rl", 25, 128)
    assert (decision.evidence["settled"], decision.evidence["untried"]) == (["sft"], [])
    # four that tell the kind, and the eight of each trial out of the table
    assert decision.evidence["trial_answers"] == 4 + 2 * 8
    figures = {candidate.method: candidate.figures for candidate in decision.candidates}
    assert set(figures["sft"]) == {"chance", "difference", "difference_sd", "races"}
    assert figures["tilt"]["races"] == 1 and figures["tilt"]["gain"] == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("told", "more"),
    [
        (record(), {}),
        (record(clear(1)), {"rate": 0.01}),
        (record(clear(1, kind="no demonstrations and some success")), {}),
        (record(row(1, {"rl": at_rung(0.1, 0.08), "sft": at_rung(0.0, 0.08)})), {}),
        (record(clear(1)), {"min_chance": 0}),
        (record(clear(1), *(row(stage) for stage in range(2, 60))), {}),
    ],
    ids=["first stage", "other rate", "without demonstrations", "within noise", "forgetful", "long ago"],
)
def test_all_are_raced_where_it_is_not_known(told: RunState, more: Any) -> None:
    forks = Forks({"sft": [{"after": 0.52}], "rl": [{"after": 0.6}]})
    choose(told, ["sft", "rl"], forks=forks, **more)
    assert {one[0] for one in forks.asked} == {"sft", "rl"}


def test_the_last_rung_is_weighed_with_the_memory() -> None:
    # rl was worth 0.1 more, ± 0: a stage later it is 0.1 ± 0.05
    told = record(row(1, {"rl": at_rung(0.1, 0.0), "sft": at_rung(0.0, 0.0)}))
    memory = remembered(told, SOME, ["sft", "rl"])
    assert memory is not None and memory.pairs["rl", "sft"].mean == pytest.approx(0.1)
    # sft is worth 0.09 more, ± 0.05, which makes 0.005 of the 0.1; of 0.11 more it makes -0.005; and ± 0.01 is believed
    assert memory.weighed("rl", "sft", -0.09, 0.05).mean == pytest.approx(0.005)
    assert memory.weighed("rl", "sft", -0.11, 0.05).mean == pytest.approx(-0.005)
    believed = memory.weighed("sft", "rl", 0.05, 0.01)
    assert believed.mean > 0.04 and believed.is_clear
    # of one item nobody knows how far to believe it, so that the memory decides
    assert memory.weighed("rl", "sft", -0.5, None) == memory.pairs["rl", "sft"]


@pytest.mark.parametrize(("stderr", "winner"), [(0.02, "rl"), (None, "rl"), (0.0001, "sft")])
def test_one_that_is_behind_by_noise_and_was_ahead_wins(stderr: float | None, winner: str) -> None:
    told = record(row(1, {"rl": at_rung(0.1, 0.0), "sft": at_rung(0.0, 0.0)}))
    gains = {"sft": [{"after": 0.51, "stderr": stderr}], "rl": [{"after": 0.50, "stderr": stderr}]}
    decision = choose(told, ["sft", "rl"], forks=Forks(gains), min_chance=0.01)
    assert decision.method == winner
    start = "ahead with earlier races, behind at the last rung, after" if winner == "rl" else "best of 2 after"
    assert decision.reason.startswith(f"{start} ") and "expected at KL" in decision.reason
    told_now = {one.method: one.figures["value_stderr"] for one in decision.candidates}
    assert all((one is None) == (stderr is None) for one in told_now.values())


def test_those_never_raced_are_in_question_if_they_would_have_started() -> None:
    told = record(row(1, {"rl": at_rung(0.3, 0.0), "sft": at_rung(0.0)}))
    for min_steps, started in ((5, {"rl", "tilt"}), (25, {"rl"})):
        forks = Forks({"rl": [{"after": 0.6}], "tilt": [{"after": 0.55}]})
        assert choose(told, ["sft", "rl", "tilt"], forks=forks, min_steps=min_steps).method == "rl"
        assert {one[0] for one in forks.asked} | {"rl"} == started


def test_the_leader_is_who_beats_all_others_and_always_starts() -> None:
    told = record(clear(1))
    memory = remembered(told, SOME, ["sft", "tilt", "rl", "rl_kl"])
    assert memory is not None and (memory.leader, memory.raced) == ("rl", ("sft", "tilt", "rl"))
    assert memory.others["rl_kl"].mean == 0 and memory.others["rl_kl"].sd == pytest.approx(
        math.hypot(PRIOR_SD, STAGE_SD)
    )
    assert memory.chance("rl_kl") == 0.5 and memory.figures("rl_kl") == {}
    assert memory.in_question(["sft", "rl_kl"], 0.1) == ["rl", "rl_kl", "tilt"]
    assert memory.in_question(["sft"], 0.49) == ["rl"]
    assert races_on(told, True) and not races_on(told, False) and not races_on(record(row(1)), True)


RACE = {"type": "race", "candidates": ["sft", "chord"], "num_prompts": 2, "k": 1, "min_gain": None, "rungs": [3]}


def easy(path: Path, on_step: Any = lambda step: None) -> Life:
    """Three tasks that the policy can do as it is: `chord`, which stays nearer, is worth more than `sft`."""
    config = curriculum(RACE, train={"learning_rate": 0.05, "max_steps": 9, "save_steps": 4}, budget={"kl": 3.0})
    life = scalar_run(path, config, ScalarWorld(on_step), strategy=make_strategy(config))
    return replace(life, tasks=tuple(scalar_task(one.name, "0.0", 4) for one in config.stages))


def test_a_run_that_was_killed_remembers_the_same() -> None:
    with in_memory() as folder:
        run_curriculum(easy(folder / "whole"))
        whole = record_of(folder / "whole")
        # 9 steps less the loser's 3, all 9, and again where nothing succeeds any more
        assert [one.steps for one in whole.rows[1:]] == [6, 9, 6]
        assert settled(whole) == [(SOME, []), (SOME, ["sft"]), (NONE_YET, [])]
        for at in (2, 8, 12, 22):
            steps = iter(range(1, at + 1))

            def dying(step: int, steps: Any = steps, at: int = at) -> None:
                if next(steps) == at:
                    raise Killed

            with pytest.raises(Killed):
                run_curriculum(easy(folder / str(at), dying))
            run_curriculum(easy(folder / str(at)))
            again = record_of(folder / str(at))
            assert (outcome(again), settled(again)) == (outcome(whole), settled(whole)), at


def settled(run: RunState) -> list[tuple[str, list[str]]]:
    """The kind of each stage, and who did not start."""
    return [(one.evidence[KIND], one.evidence["settled"]) for one in run.rows[1:]]
