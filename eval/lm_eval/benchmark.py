"""Benchmarks through lm-eval, in memory: on the same model object, without output or side effects.

As `lm_eval.simple_evaluate`, with three departures: `num_fewshot` is refused for a task that fixes it at 0 (lm-eval
ignores it), the seeds of few-shot examples are set again before each benchmark, so that every checkpoint gets the same
questions, and log-probabilities are float32 also of a model in bfloat16 (lm-eval's `softmax_dtype`). A task's own YAML
limits the tokens of an answer.
"""

import inspect
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from itertools import islice
from typing import Any

from perdure.budget.errors import ConfigError, DataError, ModelError
from perdure.curriculum.evaluation import Benchmark, Evaluation
from perdure.curriculum.policy import Policy
from perdure.curriculum.task import question
from perdure.curriculum.worlds.cells import digest
from perdure.eval.lm_eval.asked_task import FEWSHOT_SEED, CachedTask, LmTask, PartOfTask, rows_behind
from perdure.eval.lm_eval.silence import silence
from perdure.eval.lm_eval.tasks import TaskLibrary
from perdure.eval.preserve_rng import preserve_rng
from perdure.eval.scorefile import ItemResult, Score, make_score, place_of
from perdure.eval.task_score import CausalPolicy, autocast_of


@dataclass(frozen=True)
class LmBenchmark:
    """One loaded benchmark; a group has several `tasks`."""

    settings: Benchmark
    tasks: tuple[LmTask, ...]
    metric: str
    filter: str
    fingerprint: str
    examined: frozenset[str] = frozenset()
    by_member: bool = False
    """True for a group whose tasks count alike, whatever their size (`weight_by_size: false`)."""

    @property
    def name(self) -> str:
        return self.settings.title

    def refuse_unfit(self, policy: Policy) -> None:
        """Raise ModelError if the policy cannot be asked, as `score` does."""
        from perdure.eval.lm_eval.model import refuse_unfit

        causal = self._causal(policy)
        refuse_unfit(self.tasks, causal.model, causal.tokenizer, self.settings)

    def _causal(self, policy: Policy) -> CausalPolicy:
        if not isinstance(policy, CausalPolicy):
            raise ModelError(f"benchmark {self.name!r} needs a causal language model, which this policy is not")
        return policy

    def score(self, policy: Policy, evaluation: Evaluation) -> tuple[Score, list[ItemResult]]:
        """See `PreparedBenchmark.score`. A group's score is the mean over the items of all its tasks, or
        over its tasks where it says `weight_by_size: false`, as in lm-eval.

        Raises:
            ModelError: the policy is no causal language model of transformers or peft, has no chat template, or has
                too short a context.
            ConfigError: the metric is not one number per item.
        """
        items = self._answered(self.tasks, policy, evaluation)
        return make_score(self.name, "benchmark", items, by_member=self.by_member), items

    @property
    def one_by_one(self) -> bool:
        """A group is always asked in full."""
        return len(self.tasks) == 1

    def ask(self, policy: Policy, evaluation: Evaluation, places: Sequence[int]) -> list[ItemResult]:
        """See `PreparedBenchmark.ask`; raises as `score`. Each item has the examples before it that it always has."""
        (task,) = self.tasks
        found = {place_of(item): item for item in self._answered((PartOfTask(task, places),), policy, evaluation)}
        return [found[place] for place in places]

    def _answered(self, tasks: Sequence[LmTask], policy: Policy, evaluation: Evaluation) -> list[ItemResult]:
        from perdure.eval.lm_eval.model import evaluate_tasks

        causal = self._causal(policy)
        samples = evaluate_tasks(
            tasks,
            causal.model,
            causal.tokenizer,
            self.settings,
            evaluation.batch_size,
            autocast=autocast_of(policy),
            prefix_caching=getattr(policy, "prefix_caching", True),
        )
        with preserve_rng(), silence():  # lm-eval draws where it looks up a task's name
            by_name = {task.task_name: task for task in self.tasks}
            return [
                _item_result(self, by_name[name], name if len(self.tasks) > 1 else None, sample)
                for name, rows in samples.items()
                for sample in rows
                if sample["filter"] == self.filter
            ]


def prepare_lm_benchmark(benchmark: Benchmark, library: TaskLibrary) -> LmBenchmark:
    """Load one task and its data, and try its first item.

    Raises:
        ConfigError: an unknown task, metric or folder, a task that executes code, or invalid settings.
        DataError: data that is missing or unreachable, or fewer examples than `num_fewshot`.
    """
    tasks = library.load(benchmark)
    for task in tasks:
        _set_fewshot(task, benchmark)
    metric, chosen = _metric(benchmark, tasks)
    for task in tasks:
        _try_first_item(task, benchmark)
    by_member = len(tasks) > 1 and library.counts_tasks_alike(benchmark, metric)
    fingerprint = _fingerprint(benchmark, tasks, metric, chosen, by_member)
    cached, examined = tuple(CachedTask(task) for task in tasks), _examined(benchmark, tasks)
    return LmBenchmark(benchmark, cached, metric, chosen, fingerprint, examined, by_member)


def _set_fewshot(task: LmTask, benchmark: Benchmark) -> None:
    fixed, wanted = task.get_config("num_fewshot"), benchmark.num_fewshot
    if wanted is not None and fixed == 0 and wanted != 0:
        raise ConfigError(
            f"benchmark {benchmark.tasks!r}: num_fewshot is {wanted}, but the task {task.task_name!r} fixes it at 0 "
            "(lm-eval would ignore yours); leave num_fewshot out"
        )
    task.set_config(key="num_fewshot", value=(fixed or 0) if wanted is None else wanted)
    task.set_fewshot_seed(seed=FEWSHOT_SEED)


def _metric(benchmark: Benchmark, tasks: Sequence[LmTask]) -> tuple[str, str]:
    """The metric and the filter; `metric` may name both as lm-eval does: `exact_match,strict-match`."""
    wanted, _, given = (benchmark.metric or next(iter(tasks[0].aggregation()))).partition(",")
    chosen = _filter(benchmark, tasks, given)
    for task in tasks:
        if task.OUTPUT_TYPE == "loglikelihood_rolling":
            raise ConfigError(
                f"benchmark {benchmark.tasks!r}: the task {task.task_name!r} is `loglikelihood_rolling`, which has no "
                "mean over items, but a perplexity of the whole text; take a task of another `output_type`"
            )
        usable = [name for name in task.aggregation() if _is_mean(task, name)]
        if wanted not in usable:
            raise ConfigError(
                f"benchmark {benchmark.tasks!r}: metric {wanted!r} cannot be used; it must be a mean over items, "
                f"and higher must be better. Set `metric` to one of: {', '.join(usable) or '(this task has none)'}"
            )
    return wanted, chosen


def _filter(benchmark: Benchmark, tasks: Sequence[LmTask], given: str) -> str:
    """The filter that is `given`, or the first one; of a task that lacks it no item would be in the score."""
    chosen = given or str(tasks[0]._filters[0].name)
    for task in tasks:
        own = [each.name for each in task._filters]
        if chosen not in own:
            who = f"its task {task.task_name!r}" if len(tasks) > 1 else "it"
            raise ConfigError(
                f"benchmark {benchmark.tasks!r} has no filter {chosen!r}; {who} has: {', '.join(own)}. Set `metric` to "
                "METRIC,FILTER, of a group with a filter that all its tasks have"
            )
    return chosen


def _is_mean(task: LmTask, metric: str) -> bool:
    from lm_eval.api.metrics import mean, nanmean

    return task.aggregation()[metric] in (mean, nanmean) and task.higher_is_better().get(metric, True) is not False


def _try_first_item(task: LmTask, benchmark: Benchmark) -> None:
    """Build one request, to detect faulty templates, columns and few-shot settings early."""
    try:
        with silence():
            task.build_all_requests(limit=1)
    except Exception as error:
        shots = task.get_config("num_fewshot")
        raise DataError(
            f"benchmark {benchmark.tasks!r}: the first item cannot be asked (num_fewshot {shots}): "
            f"{type(error).__name__}: {error}"
        ) from error


def _examined(benchmark: Benchmark, tasks: Sequence[LmTask]) -> frozenset[str]:
    """The keys of the documents: the questions as the task asks them, each of their texts, since a task adds words,
    and their rows, since a stage may add others.
    """
    found: set[str] = set()
    with silence():
        for task in tasks:
            found |= rows_behind(task, islice(task.eval_docs, benchmark.limit))
            for document in islice(task.eval_docs, benchmark.limit):
                found |= {question(text) for text in document.values() if isinstance(text, str)} | {digest(document)}
                try:
                    asked = task.doc_to_text(document)
                except Exception as error:
                    raise DataError(f"benchmark {benchmark.tasks!r}: an item cannot be asked: {error}") from error
                found |= {question(asked)} if isinstance(asked, str) else set()
    return frozenset(found - {""})


def _fingerprint(benchmark: Benchmark, tasks: Sequence[LmTask], metric: str, chosen: str, by_member: bool) -> str:
    """SHA-256 of all that a score depends on except the model: task, data, settings and lm-eval's version; no paths."""
    digest = sha256()
    settings = {"limit": benchmark.limit, "apply_chat_template": benchmark.apply_chat_template}
    _add(digest, settings | {"metric": metric, "filter": chosen, "lm_eval": version("lm_eval")})
    if by_member:
        _add(digest, {"weight_by_size": False})
    with silence():
        for task in tasks:
            config = {k: v for k, v in task.dump_config().items() if k not in ("dataset_kwargs", "dataset_path")}
            config["metadata"] = {k: v for k, v in config.get("metadata", {}).items() if k != "config_source"}
            _add(digest, config)
            for document in islice(task.eval_docs, benchmark.limit):
                _add(digest, document)
            if task.get_config("num_fewshot"):
                _add(digest, list(task.fewshot_docs()))
    return digest.hexdigest()


def _add(digest: Any, value: Any) -> None:
    digest.update(json.dumps(value, sort_keys=True, default=_source).encode() + b"\n")


def _source(value: Any) -> str:
    """A function's source; anything else as text."""
    if callable(value):
        try:
            return inspect.getsource(value)
        except (TypeError, OSError):
            return getattr(value, "__qualname__", type(value).__qualname__)
    return str(value)


def _item_result(benchmark: LmBenchmark, task: LmTask, member: str | None, sample: dict[str, Any]) -> ItemResult:
    key = f"{sample['doc_id']}:{sample['doc_hash'][:12]}"
    value = sample.get(benchmark.metric)
    if not isinstance(value, bool | int | float) and not hasattr(value, "__float__") and value is not None:
        raise ConfigError(
            f"benchmark {benchmark.settings.tasks!r}: metric {benchmark.metric!r} is not one number per item; "
            "choose another `metric`"
        )
    score = None if value is None or math.isnan(value) else float(value)
    details = {"prompt_sha256": sample["prompt_hash"], "prompt": _prompt(task, sample), **_answers(benchmark, sample)}
    return ItemResult(key if member is None else f"{member}/{key}", score, details)


def _prompt(task: LmTask, sample: dict[str, Any]) -> str:
    """The question without the examples before it; with them where the task has several texts an item."""
    asked = task.doc_to_text(sample["doc"])
    return asked if isinstance(asked, str) else str(sample["arguments"][0][0])


def _answers(benchmark: LmBenchmark, sample: dict[str, Any]) -> dict[str, Any]:
    """The expected answer and the model's: a text, or the choice that the metric takes for its answer."""
    responses, target = sample["filtered_resps"], sample["target"]
    if all(isinstance(each, str) for each in responses):
        return {"expected": target, "completion": responses[0] if len(responses) == 1 else responses}
    if not all(isinstance(each, tuple | list) and len(each) == 2 for each in responses):
        return {"expected": target}
    known = [float(each[0]) for each in responses]
    choices = [str(each[1]).strip() for each in sample["arguments"]]
    if len(set(choices)) < 2 or not str(target).isdecimal() or int(target) >= len(choices):
        return {"expected": choices[0] if len(choices) == 1 else target, "loglikelihoods": known}
    lengths = {"acc": [1] * len(choices), "acc_norm": [max(len(choice), 1) for choice in choices]}
    found = {"expected": choices[int(target)], "loglikelihoods": known}
    if benchmark.metric in lengths:
        ranked = [value / length for value, length in zip(known, lengths[benchmark.metric], strict=True)]
        found["completion"] = choices[ranked.index(max(ranked))]
    return found
