"""Data that a stage was given and did not learn from is counted, kept over a kill, and said in words."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import pytest

from perdure.agent.notices import found
from perdure.agent.run.events import Notice, Noticed, Scored
from perdure.agent.run.lines import from_json, to_json
from perdure.agent.run.notice_words import NOTICES, describe_notice
from perdure.agent.run.report import run_object
from perdure.agent.worlds.language.chat import encode_demonstration
from perdure.agent.worlds.language.policy import LanguagePolicy
from perdure.agent.worlds.language.trl.rows import (
    EQUAL_REWARDS,
    NO_SUCCESS,
    IdleGroups,
    RewardMeter,
    end_tokens,
    length_counts,
)
from perdure.cli.views.describe import describe_truncated
from perdure.cli.views.live import final
from perdure.cli.views.log_lines import describe_event
from perdure.cli.views.run_report import run_report
from perdure.cli.views.symbols import ASCII
from perdure.curriculum.evaluation import Evaluation
from perdure.curriculum.task import Item, Task
from perdure.eval.task_score import score_task
from tests.agent.worlds.language.runs import Killed, Run, based, small
from tests.agent.worlds.language.tiny_world import tiny_policy_parts, tiny_tokenizer
from tests.agent.worlds.language.toy import toy_task
from tests.cli.drawn import plain, seen
from tests.cli.journals import whole_run


class Asked:
    """A source that was asked for 5 and 4 items."""

    asked, heldout = 5, 4


def test_what_the_source_left_out_and_what_it_had_less_of() -> None:
    task = Task("t", (Item("a"),) * 3, (Item("b"),) * 4, left_out={"repeated": 2, "examined": 0, "read": 9})
    known = {notice: count for notice, count in found(Asked(), task, {"truncated": (1, 8)}) if count[0]}
    assert known == {"repeated": (2, 9), "fewer": (3, 5), "truncated": (1, 8)}


def test_lengths_of_demonstrations() -> None:
    # <s><|user|>after X?<|assistant|> are 11 tokens, and the answer ends with one; " please" are 7
    items = [
        Item([{"role": "user", "content": f"after a?{' please' * more}"}], demonstration="b" * long)
        for more, long in [(0, 1), (0, 4), (1, 1), (2, 1)]
    ]
    shown = [encode_demonstration(tiny_tokenizer(), item) for item in items]
    # wholes of 13, 16, 20 and 27 tokens, prompts of 11, 11, 18 and 25
    assert length_counts(shown, 16) == {"rows": 4, "too_long": 2, "cut_off": 0}
    assert length_counts(shown, 15) == {"rows": 4, "too_long": 2, "cut_off": 1}
    assert length_counts(shown, None) == {"rows": 0, "too_long": 0, "cut_off": 0}


def test_the_meter_counts_answers_and_groups() -> None:
    given: list[float | None] = [1.0, 1.0, 0.0, 1.0, None, float("nan"), None, 2.0]

    def reward(items: Sequence[Item], texts: Sequence[str], ids: Any = None) -> list[float | None]:
        return given

    meter = RewardMeter(reward, toy_task(16).train, ends={9})
    answers = [[1, 9], [9], [1], [2, 3], [9], [9], [1, 2], [9]]
    for _ in range(2):
        meter(completions=[""] * 8, item=[3, 3, 5, 5, 0, 0, 7, 7], completion_ids=answers)
    # groups with two rewards: those of items 3 (equal) and 5
    once = {"answers": 8, "no_reward": 3, "unrewarded": 4, "truncated": 3, "groups": 2, "equal_rewards": 1}
    assert meter.counts == {name: 2 * count for name, count in once.items()}


@pytest.mark.parametrize(
    ("idle", "found"),
    [
        # of the groups with two rewards, (1, 1), (-1, 0) and (0, 0): two are of equal rewards, two have none above 0
        (EQUAL_REWARDS, {"groups": 3, "equal_rewards": 2}),
        (NO_SUCCESS, {"groups": 3, "no_success": 2}),
        (None, {"groups": 3}),
    ],
)
def test_the_groups_that_teach_nothing_are_the_methods_to_tell(idle: IdleGroups | None, found: dict[str, int]) -> None:
    given: list[float | None] = [1.0, 1.0, -1.0, 0.0, 0.0, 0.0, None, 2.0]
    meter = RewardMeter(lambda items, texts, ids=None: given, toy_task(16).train, (), idle, is_rewarded=False)
    meter(completions=[""] * 8, item=[3, 3, 5, 5, 0, 0, 7, 7])
    assert meter.counts == {"answers": 8, "truncated": 0, **found}


def nothing(items: Sequence[Item], completions: Sequence[str], completion_ids: Any = None) -> list[float | None]:
    """Judges none."""
    return [None] * len(items)


def constant(items: Sequence[Item], completions: Sequence[str], completion_ids: Any = None) -> list[float | None]:
    """Judges all alike."""
    return [1.0] * len(items)


@pytest.mark.xdist_group("trl")
@pytest.mark.parametrize(
    ("method", "reward", "counts"),
    [
        # 4 steps of 8 answers, 4 to a prompt
        ("rl", constant, {"no_reward": (0, 32), "unrewarded": (0, 32), "equal_rewards": (8, 8)}),
        ("rl", nothing, {"no_reward": (32, 32), "unrewarded": (32, 32), "equal_rewards": (0, 0)}),
        ("tilt", constant, {"no_reward": (0, 32), "unrewarded": (0, 32), "no_success": (0, 8)}),
    ],
)
def test_an_update_counts_over_a_kill(method: str, reward: Any, counts: dict[str, Any], tmp_path: Path) -> None:
    settings = small(method, max_steps=4, save_steps=2)
    task = Task("toy", toy_task(16).train, (), reward)
    whole = Run(based(tmp_path / "base"), tmp_path / "whole", task).update(method, settings)
    with pytest.raises(Killed):
        Run(based(tmp_path / "base"), tmp_path / "killed", task).update(
            method, settings, at=lambda step: step == 3, error=Killed()
        )
    again, finished = (
        Run(based(tmp_path / "base"), tmp_path / "killed", task).update(method, settings) for _ in range(2)
    )
    assert whole.counts == again.counts == finished.counts
    assert {key: value for key, value in whole.counts.items() if key != "truncated"} == counts
    assert 16 < whole.counts["truncated"][0] <= 32  # six tokens are too few to end


def test_every_notice_is_said_in_words() -> None:
    assert set(NOTICES) == set(get_args(Notice))
    notice = Noticed(stage=2, notice="cut_off", count=3, of=40)
    assert from_json(to_json(notice)) == notice
    words = "the ends of 3 of 40 demonstrations were not learned: they are longer than max_length"
    assert describe_notice(notice) == words
    state = seen([*whole_run(), to_json(notice) | {"count": 9}, to_json(notice)])
    assert describe_event(state, notice) == f"stage 2/3 sort: {words}"
    assert f"  notice    {words}" in plain(run_report(state, {}, ASCII, 120))
    assert f"notice  2 sort: {words}" in plain(final(seen([*whole_run()[:-1], to_json(notice)]), {}, ASCII, 120))
    assert words not in plain(final(state, {}, ASCII, 120)), "it is among the findings, which stand below"
    assert run_object(state.record)["rows"][2]["notices"] == [{"notice": "cut_off", "count": 3, "of": 40}]


def test_answers_that_are_cut_off_are_said_with_their_score() -> None:
    answered = [
        Scored(stage=1, kind="task", file="a", name=name, value=0.0, stderr=None, n=4, truncated=count, by_member=group)
        for name, count, group in (("even", 2, False), ("spell", 1, True))
    ]
    assert [to_json(one).get("truncated") for one in answered] == [2, 1]
    state = seen([*whole_run(), *map(to_json, answered)])
    row = state.record.row(1)
    words = "cut off at evaluation.max_completion_length: 2 of 4 answers to 'even'"
    assert row is not None and describe_truncated(row) == words
    report = plain(run_report(state, {}, ASCII, 200))
    assert words in report
    assert "'spell': the mean of the means of its tasks; the paired test is over their items, weighed so" in report
    assert f"{answered[0].truncated} of 4 answers were cut off" in describe_event(state, answered[0])
    assert run_object(state.record)["rows"][1]["truncated"] == {"even": {"count": 2, "of": 4}}


def test_an_answer_is_cut_off_where_it_ends_at_the_limit_without_an_end() -> None:
    policy, task = LanguagePolicy(*tiny_policy_parts()), toy_task(8)
    score, items = score_task(task, policy, Evaluation(max_completion_length=1), "task")
    prompts, ends = [policy.encode(item.prompt) for item in task.heldout], end_tokens(policy.model, policy.tokenizer)
    rows = policy.sample(prompts, max_completion_length=1, batch_size=8, temperature=0.0, seed=0)
    assert [item.details.get("truncated", False) for item in items] == [row[0] not in ends for row in rows]
    assert score.truncated == sum(row[0] not in ends for row in rows) > 0
