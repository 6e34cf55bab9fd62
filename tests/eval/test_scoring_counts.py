"""Items are counted while they are scored: those of a task, and lm-eval's requests."""

from pathlib import Path

from perdure.agent.worlds.language.policy import LanguagePolicy
from perdure.curriculum.counting import watched
from perdure.curriculum.evaluation import Evaluation
from perdure.eval.task_score import score_task
from tests.agent.worlds.language.tiny_world import tiny_policy, tiny_policy_parts
from tests.agent.worlds.language.toy import toy_task
from tests.eval.lm_task_files import choice_rows, write_task
from tests.eval.test_benchmarks import prepare


def test_answers_are_counted_batch_by_batch() -> None:
    told: list[tuple[int, int]] = []
    with watched(lambda done, total: told.append((done, total))):
        score_task(
            toy_task(8), LanguagePolicy(*tiny_policy_parts()), Evaluation(max_completion_length=1, batch_size=3), "task"
        )
    total = told[0][1]
    assert told == [(done, total) for done in (*range(0, total, 3), total)]


def test_every_request_of_lm_eval_is_counted(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    rows = choice_rows(10)
    benchmark = prepare(write_task(tmp_path, "animals", rows), tasks="animals")
    with watched(lambda done, total: told.append((done, total))):
        benchmark.score(tiny_policy(), Evaluation(batch_size=8))
    requests = sum(len(row["choices"]) for row in rows)
    assert told == [(done, requests) for done in range(requests + 1)]
