"""Decisions: what is journaled, what is refused, and that a resumed run keeps those it made."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from perdure.agent.decide import checked, possible_methods
from perdure.agent.loop import run_curriculum
from perdure.agent.run.events import Committed, Decided
from perdure.agent.run.journal import read_journal
from perdure.agent.run.state import StageState
from perdure.agent.strategies import make_strategy
from perdure.agent.strategies.contract import Candidate, Decision, Situation
from perdure.budget.errors import ConfigError
from perdure.curriculum.schema import Curriculum
from tests.agent.scalar_run import Killed, Onlooker, outcome, record_of, row_of, scalar_run
from tests.agent.scalar_world import scalar_task
from tests.agent.strategies.situations import Trials, curriculum, situation
from tests.plugin.perdure_scalar.world import ScalarWorld

METHODS: Any = ("sft", "rl", "chord")


class Turns:
    """Another method, share and figure each time it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def choose(self, situation: Situation) -> Decision:
        self.asked += 1
        chosen = METHODS[(self.asked - 1) % 3]
        figures = {"turn": float(self.asked), "unknown": None}
        return Decision(chosen, f"turn {self.asked}", {"n": self.asked}, (Candidate(chosen, figures),), 0.5)


def config(strategy: dict[str, Any] | None = None, **changes: Any) -> Curriculum:
    own = strategy or {"type": "python", "path": "m:f", "candidates": list(METHODS)}
    return curriculum(own, train={"learning_rate": 0.1, "max_steps": 4}, **changes)


def decisions(path: Path) -> list[Decided]:
    return [event for event in read_journal(path / "journal.jsonl") if isinstance(event, Decided)]


def test_a_decision_is_journaled_with_its_candidates_share_and_cap(tmp_path: Path) -> None:
    run_curriculum(scalar_run(tmp_path / "run", config(), ScalarWorld(), strategy=Turns()))
    first = decisions(tmp_path / "run")[0]
    # half of what is left of a budget of 1 at a KL of 0
    assert first.cap == 0.5
    assert (first.method, first.reason, first.evidence, first.share) == ("sft", "turn 1", {"n": 1}, 0.5)
    assert first.candidates == (Candidate("sft", {"turn": 1.0, "unknown": None}),)
    assert row_of(record_of(tmp_path / "run"), 1).share == 0.5


def test_killed_after_any_event_a_run_keeps_its_decisions(tmp_path: Path) -> None:
    run_curriculum(scalar_run(tmp_path / "whole", config(), ScalarWorld(), strategy=Turns()))
    undisturbed = outcome(record_of(tmp_path / "whole"))
    events = list(read_journal(tmp_path / "whole" / "journal.jsonl"))
    made = [number for number, event in enumerate(events, 1) if isinstance(event, Decided)]
    for cut in (made[0], made[0] + 1, made[1], made[2] + 1):
        path = tmp_path / f"cut{cut}"
        strategy = Turns()
        with pytest.raises(Killed):
            run_curriculum(scalar_run(path, config(), ScalarWorld(), Onlooker(cry_at=cut), strategy))
        run_curriculum(scalar_run(path, config(), ScalarWorld(), strategy=strategy))
        assert strategy.asked == 3
        assert outcome(record_of(path)) == undisturbed
        assert len(decisions(path)) == 3


def dies_at(cut: int) -> Callable[[int], None]:
    """Killed at its n-th step, those of trials counted in."""
    steps = count(1)

    def die(_: int) -> None:
        if next(steps) == cut:
            raise Killed

    return die


def test_a_probe_that_was_killed_decides_again_as_it_would_have(tmp_path: Path) -> None:
    probe = config({"type": "probe", "candidates": ["sft", "rl"], "num_prompts": 2, "k": 1}, budget={"kl": 3.0})
    probe = probe.model_copy(update={"train": probe.train.model_copy(update={"max_steps": 16})})
    run_curriculum(scalar_run(tmp_path / "whole", probe, ScalarWorld(), strategy=make_strategy(probe)))
    undisturbed = record_of(tmp_path / "whole")
    assert all(row.evidence["trial_steps"] == 4 for row in undisturbed.rows[1:])
    # the stage has 16 steps, of which the trials took 4
    assert [(row.steps, row.steps_spent) for row in undisturbed.rows[1:]] == [(12, 4)] * 3
    # two items of one sample, of the task and of those before it, once before the two trials and after each
    assert all(row.evidence["trial_answers"] <= 2 * 2 * 1 * (2 + 1) for row in undisturbed.rows[1:])
    for cut in (1, 4, 5, 11, 16):
        path, world = tmp_path / f"cut{cut}", ScalarWorld(dies_at(cut))
        with pytest.raises(Killed):
            run_curriculum(scalar_run(path, probe, world, strategy=make_strategy(probe)))
        run_curriculum(scalar_run(path, probe, ScalarWorld(), strategy=make_strategy(probe)))
        assert outcome(record_of(path)) == outcome(undisturbed)
        assert [row.method for row in record_of(path).rows] == [row.method for row in undisturbed.rows]


def test_with_trials_that_do_not_count_the_stage_is_as_long_as_without(tmp_path: Path) -> None:
    about = {"type": "probe", "candidates": ["sft", "rl"], "num_prompts": 2, "k": 1, "trials_count": False}
    probe = config(about, budget={"kl": 3.0})
    probe = probe.model_copy(update={"train": probe.train.model_copy(update={"max_steps": 16})})
    run_curriculum(scalar_run(tmp_path / "run", probe, ScalarWorld(), strategy=make_strategy(probe)))
    record = record_of(tmp_path / "run")
    assert [(row.evidence["trial_steps"], row.steps, row.steps_spent) for row in record.rows[1:]] == [(4, 16, 0)] * 3


def test_a_bandit_that_was_killed_goes_on_with_what_it_knew(tmp_path: Path) -> None:
    bandit = config({"type": "bandit", "candidates": ["sft", "rl"], "num_prompts": 2, "k": 1}, budget={"kl": 3.0})
    bandit = bandit.model_copy(update={"train": bandit.train.model_copy(update={"max_steps": 8})})
    run_curriculum(scalar_run(tmp_path / "whole", bandit, ScalarWorld(), strategy=make_strategy(bandit)))
    undisturbed = record_of(tmp_path / "whole")
    # the policy's number is 0.6 at no stage's beginning, so that every stage is of the kind without success
    paid = [row.evidence.get("paid") for row in undisturbed.rows[1:]]
    assert paid[0] is None and [one["stage"] for one in paid[1:]] == [1, 2]
    events = list(read_journal(tmp_path / "whole" / "journal.jsonl"))
    cuts = [number for number, event in enumerate(events, 1) if isinstance(event, Decided | Committed)]
    for cut in cuts:
        path = tmp_path / f"cut{cut}"
        with pytest.raises(Killed):
            run_curriculum(scalar_run(path, bandit, ScalarWorld(), Onlooker(cry_at=cut), make_strategy(bandit)))
        run_curriculum(scalar_run(path, bandit, ScalarWorld(), strategy=make_strategy(bandit)))
        assert outcome(record_of(path)) == outcome(undisturbed)
        assert [known(row) for row in record_of(path).rows] == [known(row) for row in undisturbed.rows]


def known(row: StageState) -> Any:
    """What a bandit learns from, without the seconds of its trials."""
    timed = ("predicted_seconds", "gain_per_second")
    figures = [{k: v for k, v in one.figures.items() if k not in timed} for one in row.candidates]
    return row.method, {k: v for k, v in row.evidence.items() if k != "trial_seconds"}, figures


def test_the_stages_own_method_wins_and_no_strategy_is_asked(tmp_path: Path) -> None:
    own = config()
    own = own.model_copy(update={"stages": [stage.model_copy(update={"method": "rl"}) for stage in own.stages]})
    strategy = Turns()
    run_curriculum(scalar_run(tmp_path / "run", own, ScalarWorld(), strategy=strategy))
    assert strategy.asked == 0
    assert {event.method for event in decisions(tmp_path / "run")} == {"rl"}
    assert decisions(tmp_path / "run")[0].reason == "the stage names it"


def here() -> Situation:
    return situation(config(), Trials({"sft": {}, "rl": {}}))


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        ("rl", "'rl', which is no Decision"),
        (None, "None, which is no Decision"),
        (Decision("slf", "why"), "there is no method 'slf'; did you mean 'sft'"),  # type: ignore[arg-type]
        (Decision(7, "why"), "there is no method 7; choose one of 'sft', 'rl'"),  # type: ignore[arg-type]
        (Decision("simpo", "why"), "'simpo' is not of the language world; choose one of"),
        (Decision("chord", "why"), "'chord' is not among its candidates"),
        (Decision("rl", "why", share=0.0), "share of the budget is 0.0; it lies above 0"),
        (Decision("rl", "why", share=1.5), "share of the budget is 1.5"),
        (Decision("rl", "why", share=float("nan")), "share of the budget is nan"),
        (Decision("rl", "why", share=True), "share of the budget is True"),
        (Decision("rl", "why", steps_spent=100), "`steps_spent` is 100; give a whole number below the stage's 100"),
        (Decision("rl", "why", steps_spent=-1), "`steps_spent` is -1"),
        (Decision("rl", "why", steps_spent=0.5), "`steps_spent` is 0.5"),  # type: ignore[arg-type]
        (Decision("rl", "why", whole_schedule="no"), "`whole_schedule` is 'no'"),  # type: ignore[arg-type]
        (Decision("rl", None), "the reason is None"),  # type: ignore[arg-type]
        (Decision("rl", "why", {"a": object()}), "the evidence cannot be journaled"),
        (Decision("rl", "why", candidates=("rl",)), "a candidate is 'rl'"),  # type: ignore[arg-type]
        (Decision("rl", "why", candidates=(Candidate("rl", {"a": "b"}),)), "a candidate is"),  # type: ignore[dict-item]
    ],
)
def test_what_cannot_be_carried_out_is_refused(decision: Any, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        checked(decision, here())
    assert said in str(raised.value)
    assert "strategy 'm:f', stage 'first'" in str(raised.value)


def test_a_hybrid_without_demonstrations_is_refused() -> None:
    bare = replace(here(), task=without_demonstrations())
    with pytest.raises(ConfigError, match="'chord' cannot learn this task, which has no demonstrations; choose one of"):
        checked(Decision("chord", "why"), bare)


def test_where_no_method_is_left_the_message_names_what_is() -> None:
    only = config({"type": "probe", "candidates": ["sft", "chord"]})
    with pytest.raises(ConfigError, match=r"none of its methods \(sft, chord\) can learn .*no demonstrations.* by rl"):
        possible_methods(only, without_demonstrations())
    assert possible_methods(only, scalar_task("first", "0.0")) == ("sft", "chord")


def without_demonstrations() -> Any:
    task = scalar_task("first", "0.0")
    return replace(task, train=tuple(replace(item, demonstration=None) for item in task.train))
