"""The modifier `ewc`: a penalty on moving from the stage's first weights, by their Fisher information.

EWC is arXiv 1612.00796.

    L + ewc_lambda / 2 · sum_i F_i (θ_i - θ*_i)²

F is the diagonal of the Fisher information of the policy that the stage begins with, a token: at every position of a
text a next token is drawn from the policy itself, and F = sum over texts of (d/dθ sum_t ln π(token_t))² / all
positions. Tokens drawn from the policy, and not those of the data, are what makes it the Fisher information (Kunstner
et al., arXiv 1905.12558); to second order ½ (θ-θ*)ᵀ F (θ-θ*) is then a KL in nats a token, which gives `ewc_lambda` its
unit.

Half of the texts are texts of the base, half are demonstrations of earlier tasks, as far as there are any. Departures
from the paper: one quadratic around the stage's own start, for everything before it, where the paper adds one a task;
and the positions of a text are conditioned on the text as it is, so a squared sum over positions estimates the sum of
their Fisher informations.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from perdure.agent.seeds import derive, seeded
from perdure.agent.worlds.contract import UpdateJob
from perdure.agent.worlds.language.changes import Changes
from perdure.agent.worlds.language.chat import encode_demonstration
from perdure.agent.worlds.language.trl.rows import IMITATES, recalled
from perdure.agent.worlds.terms import Quadratic
from perdure.curriculum.settings import Ewc

Text = tuple[list[int], int]
"""The tokens of a text, and how many of them are the prompt's."""


def modify(job: UpdateJob, settings: Ewc, changes: Changes) -> Changes:
    """Add the penalty. A resumed update computes the same Fisher information."""
    assert settings.ewc_lambda is not None, "a default stands in the method's row"
    term = Quadratic(job.policy.model, settings.ewc_lambda, importance(job, settings.fisher_items, "ewc"))
    return replace(changes, terms=(*changes.terms, term))


def importance(job: UpdateJob, count: int, purpose: str) -> Callable[[], dict[str, Tensor]]:
    """A function that takes the Fisher information on `count` texts; a resumed update takes the same."""
    seed = derive(job.seed, purpose)
    return lambda: fisher(job.policy, list(texts(job, count=count, seed=seed)), seed=seed)


def texts(job: UpdateJob, *, count: int, seed: int) -> Iterator[Text]:
    """At most `count` texts, drawn at the seed: the base's own, and earlier demonstrations."""
    groups = [job.policy.base.texts.texts[name] for name in job.texts]
    own = [
        (ids_T[:end].tolist(), start)
        for group in groups
        for ids_T, spans in zip(group.ids_ST, group.spans_S, strict=True)
        for start, end in spans
    ]
    earlier = recalled(job.earlier, IMITATES, count=count // 2 if own else count, seed=seed)
    chosen = np.random.default_rng(seed).permutation(len(own))[: count - len(earlier)]
    yield from (own[index] for index in sorted(chosen.tolist()))
    yield from (encode_demonstration(job.policy.tokenizer, item) for item in earlier)


def fisher(policy: Any, some: Sequence[Text], *, seed: int) -> dict[str, Tensor]:
    """The diagonal Fisher information of the policy now, a token, by parameter name, in float32; zeros without texts.

    One forward and one backward pass a text; leaves no gradient, mode or generator state behind.
    """
    model = policy.model
    trained = {name: one for name, one in model.named_parameters() if one.requires_grad}
    squares = {name: torch.zeros_like(one, dtype=torch.float32) for name, one in trained.items()}
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with seeded(seed):
            for ids, start in some:
                with policy.autocast():
                    log_likelihood = drawn_log_likelihood(model, ids, start)
                found = torch.autograd.grad(log_likelihood, list(trained.values()), allow_unused=True)
                for name, gradient in zip(trained, found, strict=True):
                    if gradient is not None:
                        squares[name] += gradient.float().square()
    finally:
        for module, training in modes:
            module.training = training
    positions = sum(len(ids) - start for ids, start in some)
    return {name: square / max(positions, 1) for name, square in squares.items()}


def drawn_log_likelihood(model: nn.Module, ids: Sequence[int], start: int) -> Tensor:
    """`sum_t ln π(drawn_t)` over the positions of a text after its prompt, each token drawn from π there; a scalar."""
    ids_1T = torch.tensor([list(ids)], device=next(model.parameters()).device)
    logits_TV = model(input_ids=ids_1T, use_cache=False).logits[0, start - 1 : -1].float()
    log_TV: Tensor = logits_TV.log_softmax(-1)
    drawn_T1 = torch.multinomial(log_TV.detach().exp(), 1)
    return log_TV.gather(-1, drawn_T1).sum()
