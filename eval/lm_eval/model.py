"""Runs lm-eval's tasks on a model. Imports lm-eval, which takes seconds: import this module late."""

import copy
import random
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from lm_eval.api.model import CacheHook
from lm_eval.evaluator import evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import normalize_gen_kwargs

from perdure.budget import ranks
from perdure.budget.errors import ModelError
from perdure.curriculum.counting import count, expect
from perdure.curriculum.evaluation import Benchmark
from perdure.eval.lm_eval.asked_task import LmTask
from perdure.eval.lm_eval.continuations import Request, batches, groups, log_likelihoods
from perdure.eval.lm_eval.silence import quiet_logs
from perdure.eval.plain_template import PLAIN_TEMPLATE
from perdure.eval.preserve_rng import preserve_rng
from perdure.eval.shared_prefix import unshared

SEEDS = {"python": 0, "numpy": 1234, "torch": 1234}
"""The seeds of `lm_eval.simple_evaluate`, for the few tasks that sample."""


LOOKED_AT = 50
"""The most items of a task whose lengths are looked at."""


class CountingHook(CacheHook):  # type: ignore[misc]
    """Is told by lm-eval of every request that is answered, and keeps none."""

    def __init__(self) -> None:
        super().__init__(None)

    def add_partial(self, attr: str, req: Any, res: Any) -> None:
        count(ranks.count())


class QuietLM(HFLM):  # type: ignore[misc]
    """lm-eval's transformers model without progress bars; it counts its requests (`curriculum/counting.py`).

    Each process of the run answers its share of the requests, one after another, since those of an item share a prompt.
    With `prefix_caching` a context is run once for all of its continuations, where the model can. Log-probabilities are
    float32 whatever the dtype of the logits: lm-eval's default, that of the logits, rounds a sum of -100 in bfloat16 to
    halves, so that choices tie and the first of them is the answer.
    """

    prefix_caching = True

    def __init__(self, **settings: Any) -> None:
        super().__init__(softmax_dtype=torch.float32, **settings)
        self.set_cache_hook(CountingHook())

    def _loglikelihood_tokens(
        self, requests: list[Request], disable_tqdm: bool = True, override_bs: int | None = None
    ) -> list[tuple[float, bool]]:
        found: dict[int, tuple[float, bool]] = {}
        share = self.prefix_caching and unshared(self.model) is None
        for places in batches(groups(requests, self.max_length) if share else [], self.batch_size):
            some = [requests[place] for place in places]
            with torch.no_grad(), self._mixed_precision():
                found |= zip(places, log_likelihoods(self.model, some, self.softmax_dtype), strict=True)
            for place in places:
                self.cache_hook.add_partial("loglikelihood", requests[place][0], found[place])
        rest = [place for place in range(len(requests)) if place not in found]
        if rest:
            alone = super()._loglikelihood_tokens([requests[place] for place in rest], disable_tqdm, override_bs)
            found |= zip(rest, alone, strict=True)
        return [found[place] for place in range(len(requests))]

    def _mixed_precision(self) -> Any:
        dtype = self.mixed_precision_dtype
        return torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None)

    def loglikelihood(self, requests: Any, disable_tqdm: bool = True) -> Any:
        expect(len(requests))
        return _shared(super().loglikelihood, requests)

    def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = True) -> Any:
        return _shared(super().loglikelihood_rolling, requests)

    def generate_until(self, requests: Any, disable_tqdm: bool = True) -> Any:
        expect(len(requests))
        return _shared(super().generate_until, requests)


def _shared(answer: Callable[..., list[Any]], requests: Sequence[Any]) -> list[Any]:
    """The answers to all requests, of which this process computes a part."""
    start, end = (len(requests) * number // ranks.count() for number in (ranks.rank(), ranks.rank() + 1))
    mine = answer(requests[start:end], disable_tqdm=True) if start < end else []
    return [one for part in ranks.gathered(mine) for one in part]


def evaluate_tasks(
    tasks: Sequence[LmTask],
    model: Any,
    tokenizer: Any,
    settings: Benchmark,
    batch_size: int,
    *,
    autocast: torch.dtype | None = None,
    prefix_caching: bool = True,
) -> dict[str, list[dict[str, Any]]]:
    """lm-eval's per-item samples of each task. Preserves generator states, the model's mode and the tokenizer.

    `autocast` is the dtype in which it computes; lm-eval switches off any other autocast. `prefix_caching` is that of
    `model`.

    Raises:
        ModelError: the tokenizer lacks a chat template, or the context is too short for a task's answers, or for the
            questions of half of its items.
    """
    with preserve_rng(model), quiet_logs():
        random.seed(SEEDS["python"])
        np.random.seed(SEEDS["numpy"])
        torch.manual_seed(SEEDS["torch"])
        lm = _refused(tasks, model, tokenizer, settings, batch_size)
        lm.mixed_precision_dtype, lm.prefix_caching = autocast, prefix_caching
        results = evaluate(
            lm=lm,
            task_dict={"tasks": {task.task_name: task for task in tasks}},
            limit=settings.limit,
            bootstrap_iters=0,
            apply_chat_template=settings.apply_chat_template,
            fewshot_as_multiturn=settings.apply_chat_template,
        )
    return dict(results["samples"])


def refuse_unfit(tasks: Sequence[LmTask], model: Any, tokenizer: Any, settings: Benchmark) -> None:
    """Raise as `evaluate_tasks`, without asking anything."""
    with preserve_rng(model), quiet_logs():
        _refused(tasks, model, tokenizer, settings, 1)


def _refused(tasks: Sequence[LmTask], model: Any, tokenizer: Any, settings: Benchmark, batch_size: int) -> HFLM:
    """lm-eval's model, if the tasks can be asked. Raises as `evaluate_tasks`."""
    template = getattr(tokenizer, "chat_template", None)
    if settings.apply_chat_template and (not template or template == PLAIN_TEMPLATE):
        raise ModelError(
            f"benchmark {settings.tasks!r} has apply_chat_template, but the model's tokenizer has no chat template; "
            "leave apply_chat_template out, or give the tokenizer one (chat_template.jinja)"
        )
    lm = QuietLM(pretrained=model, tokenizer=copy.deepcopy(tokenizer), batch_size=batch_size)
    for task in tasks:
        _refuse_too_long(task, lm, settings)
    return lm


def _refuse_too_long(task: Any, lm: HFLM, settings: Benchmark) -> None:
    tokens = 0 if task.OUTPUT_TYPE != "generate_until" else _tokens_of_answers(task, lm, settings)
    documents = islice(task.eval_docs, min(settings.limit or LOOKED_AT, LOOKED_AT))
    asked = [text for text in map(task.doc_to_text, documents) if isinstance(text, str)]
    beyond = [size for size in (len(lm.tok_encode(text)) for text in asked) if size + tokens > lm.max_length]
    if beyond and 2 * len(beyond) >= len(asked):
        answer = f" and {tokens} of the answer" if tokens else ""
        raise ModelError(
            f"benchmark {settings.tasks!r}: the questions of {len(beyond)} of its first {len(asked)} items have up to "
            f"{max(beyond)} tokens{answer}, but the model's context holds {lm.max_length}, so that lm-eval would cut "
            "off where they begin; take a benchmark of shorter questions, or a model of a longer context"
        )


def _tokens_of_answers(task: Any, lm: HFLM, settings: Benchmark) -> int:
    """The most tokens that an answer may have. Raises as `evaluate_tasks`."""
    kwargs = copy.deepcopy(task.get_config("generation_kwargs") or {})
    tokens = normalize_gen_kwargs(kwargs, lm.max_gen_toks)["max_gen_toks"]
    if tokens >= lm.max_length:
        raise ModelError(
            f"benchmark {settings.tasks!r} allows {tokens} tokens, but the model's context holds {lm.max_length}; "
            "set `generation_kwargs: {max_gen_toks: …}` in the task's YAML (by `include_path`)"
        )
    return int(tokens)
