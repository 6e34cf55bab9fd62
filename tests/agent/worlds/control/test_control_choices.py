"""What is chosen in the control world where there is little to learn from, and what a plan says of its KL."""

from pathlib import Path

from perdure.agent.loop import run_curriculum
from perdure.agent.planning.plan import plan
from perdure.agent.run.journal import read_journal
from perdure.agent.run.log import NullView
from perdure.agent.run.notice_words import describe_notice
from perdure.agent.run.state import StageState, read_state
from perdure.agent.setup import start
from perdure.cli.views.plan_report import plan_report
from perdure.cli.views.symbols import ASCII
from tests.control_runs import curriculum, point


def ruled(places: list[float], goal: str, horizon: int, folder: Path) -> StageState:
    """A stage by the rule of thumb, which looks at the first two starts; the last two are held out."""
    starts = [{"options": {"x": x, "y": 0.0}} for x in places]
    task = point(starts=starts, heldout=2, kwargs={"goal": goal}, horizon=horizon)
    rule = {"type": "rule", "num_prompts": 2, "k": 4}
    stages = [{"name": "stage1", "task": task}]
    run_curriculum(start(curriculum([], strategy=rule, stages=stages, max_steps=1), folder, NullView()))
    return read_state(read_journal(folder / "journal.jsonl")).rows[1]


def test_where_there_is_nothing_to_reinforce_the_rule_imitates(tmp_path: Path) -> None:
    # A decision moves the point by at most 0.3, so that 0.8 is in reach of the third start alone, also for the expert.
    row = ruled([-0.5, -0.4, 0.6, -0.45, -0.35], "right", 1, tmp_path / "run")
    assert (row.method, row.reason) == ("sft", "no success to reinforce (pass@4 0.00)")
    assert [describe_notice(one) for one in row.notices] == ["2 of 3 demonstrations failed and were not imitated"]


def test_where_there_is_success_it_learns_by_both(tmp_path: Path) -> None:
    row = ruled([-0.75, -0.7, -0.6, -0.65, -0.55], "left", 30, tmp_path / "run")
    assert (row.method, row.evidence["pass_at_k"]) == ("chord", 1)
    assert not row.notices


def test_a_plan_names_the_bins_of_its_kl(tmp_path: Path) -> None:
    made = plan(curriculum([point()], max_steps=1), tmp_path, NullView())
    title = next(plan_report("run", made, ASCII, 120)).plain
    assert "at most 5 nats/decision at bins 5, action_repeat 1 on starts of the tasks seen" in title
