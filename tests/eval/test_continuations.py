"""Continuations of a context that is run once get what lm-eval gives them."""

from random import Random
from typing import Any

import pytest
import torch
from lm_eval.models.huggingface import HFLM

from perdure.eval.lm_eval.continuations import Request, batches, groups
from perdure.eval.lm_eval.model import QuietLM
from tests.agent.worlds.language.tiny_world import tiny_lora_policy, tiny_tokenizer
from tests.models import MODELS, random_model

CONTEXT = list(range(5, 25))


def requests_of(seed: int) -> list[Request]:
    """Items in shuffled order: 3 to 5 continuations of contexts of many lengths; one twice, one context alone."""
    draw = Random(seed)
    tokens = lambda length: [draw.randrange(5, 40) for _ in range(length)]  # noqa: E731
    found: list[Request] = []
    for length in (1, 2, 9, 17, 30, 50):
        context = tokens(length)
        found += [(("", ""), context, tokens(draw.randint(1, 8))) for _ in range(draw.randint(3, 5))]
    found += [found[-1], (("", ""), tokens(12), tokens(4))]
    draw.shuffle(found)
    return found


def answers(model: Any, requests: list[Request], kind: type[HFLM], **more: Any) -> list[tuple[float, bool]]:
    lm = kind(pretrained=model, tokenizer=tiny_tokenizer(), batch_size=7, **more)
    return list(lm._loglikelihood_tokens(requests, disable_tqdm=True))


@pytest.mark.parametrize("name", [*MODELS, "adapter"])
def test_log_likelihoods_are_those_of_lm_eval(name: str) -> None:
    if name == "adapter":
        model = tiny_lora_policy().model
    else:
        kind, shape = MODELS[name]
        model = random_model(kind, tiny_tokenizer(), **shape)
    requests = requests_of(1)
    # The likeliest word after the first context that is shared, so that both answers to "greedy" occur.
    context = requests[groups(requests, 64)[0][0]][1]
    with torch.no_grad():
        best = int(model(torch.tensor([context])).logits[0, -1].argmax())
    requests.append((("", ""), context, [best]))
    theirs, ours = (answers(model, requests, kind, max_length=64) for kind in (HFLM, QuietLM))
    assert [one for one, _ in ours] == pytest.approx([one for one, _ in theirs], rel=1e-5, abs=1e-5)
    assert [greedy for _, greedy in ours] == [greedy for _, greedy in theirs]
    assert {greedy for _, greedy in theirs} == {False, True}


def test_the_model_sees_a_context_once() -> None:
    kind, shape = MODELS["rotary"]
    model = random_model(kind, tiny_tokenizer(), **shape)
    seen: list[int] = []
    model.register_forward_hook(
        lambda _module, _args, kwargs, _output: seen.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    answers(model, [(("", ""), CONTEXT, [6, 7, 8]), (("", ""), CONTEXT, [9, 10])], QuietLM)
    # 19 tokens of the context; then its last one with the first two and with the first one of a continuation, padded
    assert seen == [19, 2 * 3]


def test_choices_in_bfloat16_do_not_tie() -> None:
    kind, shape = MODELS["rotary"]
    model = random_model(kind, tiny_tokenizer(), **shape)
    draw = Random(2)
    requests = [(("", ""), CONTEXT, [draw.randrange(5, 40) for _ in range(30)]) for _ in range(16)]
    for share in (True, False):
        lm = QuietLM(pretrained=model, tokenizer=tiny_tokenizer(), batch_size=16)
        lm.mixed_precision_dtype, lm.prefix_caching = torch.bfloat16, share
        totals = [total for total, _ in lm._loglikelihood_tokens(requests, disable_tqdm=True)]
        # about 30 ln 40 = 111 each, which bfloat16 has in halves
        assert len(set(totals)) == 16 and len({round(2 * total) for total in totals}) < 16


class Masked(torch.nn.Module):
    """An output head that gives one token no probability at all."""

    def __init__(self, head: torch.nn.Module, token: int) -> None:
        super().__init__()
        self._head, self._token = head, token

    def forward(self, hidden_BTD: torch.Tensor) -> torch.Tensor:
        logits_BTV: torch.Tensor = self._head(hidden_BTD)
        return logits_BTV.index_fill(-1, torch.tensor([self._token]), -torch.inf)


@pytest.mark.parametrize("end", ["</s>", None])
def test_padding_is_not_scored_whatever_token_it_is(end: str | None) -> None:
    kind, shape = MODELS["rotary"]
    model, tokenizer = random_model(kind, tiny_tokenizer(), **shape), tiny_tokenizer()
    tokenizer.bos_token, tokenizer.eos_token = tokenizer.convert_ids_to_tokens([4, 3])[0], end
    for token in {0, tokenizer.eos_token_id} - {None}:
        model.set_output_embeddings(Masked(model.get_output_embeddings(), token))
    requests = [(("", ""), CONTEXT, [6, 7, 8, 9]), (("", ""), CONTEXT, [9, 10])]
    both = [kind(pretrained=model, tokenizer=tokenizer, batch_size=4) for kind in (HFLM, QuietLM)]
    apart, shared = ([total for total, _ in lm._loglikelihood_tokens(requests)] for lm in both)
    assert shared == pytest.approx(apart, rel=1e-5)


def test_a_continuation_without_a_token_is_refused_as_by_lm_eval() -> None:
    kind, shape = MODELS["rotary"]
    model = random_model(kind, tiny_tokenizer(), **shape)
    requests = [(("", ""), CONTEXT, [6, 7, 8]), (("", ""), CONTEXT, [9, 10]), (("", ""), CONTEXT, [])]
    with pytest.raises(AssertionError):
        answers(model, requests, QuietLM)


def test_contexts_that_gain_nothing_are_left_to_lm_eval() -> None:
    one_token = [(None, CONTEXT, [5]), (None, CONTEXT, [6])]  # lm-eval runs these once, too
    assert groups(one_token, 64) == []
    assert groups([(None, CONTEXT, [5, 6])], 64) == []
    # Of 2 contexts of 2 tokens with 9 of a continuation one token is saved, of 22.
    assert groups([(None, [5, 6], [7] * 10), (None, [5, 6], [8] * 10)], 64) == []
    two = [(None, CONTEXT, [5, 6]), (None, CONTEXT, [6, 7])]
    assert groups(two, 21) == [[0, 1]]
    assert groups(two, 20) == []  # lm-eval cuts the context on its left


def test_batches_hold_whole_groups() -> None:
    assert list(batches([[0, 1, 2], [3, 4], [5], [6, 7, 8, 9, 10, 11]], 5)) == [
        [0, 1, 2, 3, 4],
        [5],
        [6, 7, 8, 9, 10, 11],
    ]
    assert list(batches([], 5)) == []
