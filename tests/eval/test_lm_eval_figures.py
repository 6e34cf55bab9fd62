"""Benchmarks are what lm-eval prints, and what their task files name as code is executed only where it is trusted."""

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from perdure.agent.worlds.language.policy import LanguagePolicy
from perdure.budget.errors import ConfigError, ModelError
from perdure.curriculum.evaluation import Benchmark, Evaluation
from perdure.eval.benchmarks import prepare_benchmarks
from perdure.eval.lm_eval.asked_task import CachedTask
from perdure.eval.lm_eval.templates import limited
from perdure.eval.plain_template import PLAIN_TEMPLATE
from perdure.eval.scorefile import Score
from tests.agent.worlds.language.tiny_world import tiny_policy_parts
from tests.eval.lm_task_files import choice_rows, write_generation, write_task

OWN = """
from pathlib import Path
Path(__file__).with_name("ran").touch()
def ask(doc):
    return "x"
"""


def _group(folder: Path, weighted: bool) -> Path:
    """A group of a group: tasks of 12 and 4 items, of which lm-eval takes the mean of the means unless `weighted`."""
    write_task(folder, "long")
    write_task(folder, "short", choice_rows(4))
    told = [{"metric": "acc", "aggregation": "mean", "weight_by_size": weighted}]
    inner = {"group": "inner", "task": ["short"], "aggregate_metric_list": told}
    outer = {"group": "outer", "task": ["long", "inner"], "aggregate_metric_list": told}
    for group in (inner, outer):
        (folder / f"{group['group']}.yaml").write_text(json.dumps(group))
    return folder


@pytest.mark.parametrize("weighted", [True, False])
def test_a_group_is_what_lm_eval_prints(tmp_path: Path, weighted: bool) -> None:
    folder = _group(tmp_path, weighted)
    score = _equal_to_simple_evaluate(folder, "outer", "acc,none")
    assert score.n == 16 and score.by_member is not weighted


def test_a_group_whose_tasks_share_no_filter_is_refused(tmp_path: Path) -> None:
    rows = [{"question": f"say {word}", "answer": word[0]} for word in ("ant", "bee", "cat", "dog")]
    takes = {"filter": [{"function": "regex", "regex_pattern": "(.)"}, {"function": "take_first"}]}
    write_generation(tmp_path, "plain", rows)
    for name, filters in (("strict", ["first"]), ("both", ["none", "first"])):
        write_generation(tmp_path, name, rows, filter_list=[{"name": one, **takes} for one in filters])
    for group, members in (("apart", ["plain", "strict"]), ("shared", ["both", "plain"])):
        (tmp_path / f"{group}.yaml").write_text(json.dumps({"group": group, "task": members}))
    with pytest.raises(ConfigError, match="'apart' has no filter 'none'; its task 'strict' has: first"):
        prepare_benchmarks([Benchmark(tasks="apart", include_path=str(tmp_path))], tmp_path)
    (benchmark,) = prepare_benchmarks([Benchmark(tasks="shared", include_path=str(tmp_path))], tmp_path).benchmarks
    score, _ = benchmark.score(LanguagePolicy(*tiny_policy_parts()), Evaluation(batch_size=8))
    assert score.n == 8


@pytest.mark.parametrize("shots", [0, 2])
@pytest.mark.parametrize("chat", [False, True])
def test_output_types_filters_shots_and_chat_are_what_lm_eval_prints(tmp_path: Path, shots: int, chat: bool) -> None:
    settings: dict[str, Any] = {"num_fewshot": shots, "apply_chat_template": chat}
    write_task(tmp_path, "choice", fewshot_split="test")
    _equal_to_simple_evaluate(tmp_path, "choice", "acc_norm,none", metric="acc_norm", **settings)
    rows = [{"question": f"say {word}", "answer": word[0]} for word in ("ant", "bee", "cat", "dog")]
    takes = {"name": "first", "filter": [{"function": "regex", "regex_pattern": "(.)"}, {"function": "take_first"}]}
    write_generation(tmp_path, "free", rows, fewshot_split="test", filter_list=[takes])
    _equal_to_simple_evaluate(tmp_path, "free", "exact_match,first", metric="exact_match,first", **settings)


@pytest.mark.parametrize("shots", [0, 2])
def test_a_target_that_is_weighed_is_what_lm_eval_prints(tmp_path: Path, shots: int) -> None:
    rows = [{"question": f"say {word}", "answer": word[0]} for word in ("ant", "bee", "cat", "dog", "eel", "fox")]
    metrics = [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}]
    asked = {"output_type": "loglikelihood", "doc_to_choice": None, "doc_to_target": "{{answer}}"}
    write_task(tmp_path, "target", rows, fewshot_split="test", metric_list=metrics, **asked)
    _equal_to_simple_evaluate(tmp_path, "target", "acc,none", num_fewshot=shots)


def test_a_task_without_a_mean_over_items_is_refused(tmp_path: Path) -> None:
    metrics = [{"metric": "word_perplexity"}]
    asked = {"output_type": "loglikelihood_rolling", "doc_to_choice": None, "doc_to_target": "{{question}}"}
    write_task(tmp_path, "rolling", metric_list=metrics, **asked)
    with pytest.raises(ConfigError, match="'rolling' is `loglikelihood_rolling`, which has no mean over items"):
        prepare_benchmarks([Benchmark(tasks="rolling", include_path=str(tmp_path))], tmp_path)


def _equal_to_simple_evaluate(folder: Path, task: str, key: str, **settings: Any) -> Score:
    """The score, which is that of `simple_evaluate` on the same model."""
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    model, tokenizer = tiny_policy_parts()
    benchmark = Benchmark(tasks=task, include_path=str(folder), **settings)
    prepared = prepare_benchmarks([benchmark], folder).benchmarks[0]
    score, _ = prepared.score(LanguagePolicy(model, tokenizer), Evaluation(batch_size=4))
    chat = settings.get("apply_chat_template", False)
    with contextlib.chdir(folder):
        results = simple_evaluate(
            HFLM(pretrained=model, tokenizer=tokenizer, batch_size=4),
            tasks=[task],
            num_fewshot=settings.get("num_fewshot"),
            task_manager=TaskManager(include_path=str(folder), include_defaults=False),
            apply_chat_template=chat,
            fewshot_as_multiturn=chat,
            bootstrap_iters=0,
        )
    found = {**results["results"], **results.get("groups", {})}[task][key]
    assert score.value == pytest.approx(found, abs=1e-12)
    return score


def test_an_invented_chat_template_is_none(tmp_path: Path) -> None:
    model, tokenizer = tiny_policy_parts()
    tokenizer.chat_template = PLAIN_TEMPLATE
    benchmark = Benchmark(tasks="one", include_path=str(write_task(tmp_path, "one")), apply_chat_template=True)
    with pytest.raises(ModelError, match="tokenizer has no chat template; leave apply_chat_template out"):
        prepare_benchmarks([benchmark], tmp_path).refuse_unfit(LanguagePolicy(model, tokenizer))


def test_code_of_task_files_is_executed_only_where_it_is_trusted(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    write_task(tmp_path, "plain", doc_to_text=None)
    (tmp_path / "coded.yaml").write_text("include: plain.yaml\ntask: coded\ndoc_to_text: !function own.ask\n")
    (tmp_path / "group.yaml").write_text("group: all\ntask: [coded]\n")
    for name in ("coded", "all"):
        with pytest.raises(ConfigError, match=r"!function own\.ask.*trust_task_code: true"):
            prepare_benchmarks([Benchmark(tasks=name, include_path=str(tmp_path))], tmp_path)
    write_task(tmp_path, "scripted", metric_list=[{"metric": "./evil.py", "hf_evaluate": True}])
    with pytest.raises(ConfigError, match=r"metric './evil\.py' of `evaluate`"):
        prepare_benchmarks([Benchmark(tasks="scripted", include_path=str(tmp_path))], tmp_path)
    assert not (tmp_path / "ran").exists()
    prepare_benchmarks([Benchmark(tasks="coded", include_path=str(tmp_path), trust_task_code=True)], tmp_path)
    assert (tmp_path / "ran").exists()


class Greedy:
    """A task whose filters take 8 GiB."""

    task_name, instances = "greedy", ()

    def apply_filters(self) -> None:
        bytearray(2**33)


def test_templates_and_filters_of_task_files_have_limits(tmp_path: Path) -> None:
    folder = write_task(tmp_path, "long", doc_to_text="{{ 'x' * 10 ** 10 }}")
    with pytest.raises(ConfigError, match="a template of the task file takes more than 2 GiB"):
        prepare_benchmarks([Benchmark(tasks="long", include_path=str(folder))], folder)
    with pytest.raises(ConfigError, match="`filter_list` of task 'greedy' takes more than 2 GiB"):
        CachedTask(Greedy()).apply_filters()
    with pytest.raises(ConfigError, match=r"a template has not ended after 0\.1 s"), limited("a template", 0.1):
        while True:
            re.match("(a+)+$", "a" * 20 + "b")


def test_templates_of_task_files_stay_in_the_sandbox(tmp_path: Path) -> None:
    reaching = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
    folder = write_task(tmp_path, "reaching", doc_to_text=reaching)
    with pytest.raises(ConfigError, match="SecurityError"):
        prepare_benchmarks([Benchmark(tasks="reaching", include_path=str(folder))], folder)
