"""Which tokens of a text the base wrote."""

import torch

from perdure.agent.worlds.language.texts import Texts, joined


def test_a_row_is_a_token_that_the_base_wrote() -> None:
    # A prompt of 2 tokens, then 12 and 13 by the base, 14 by a tool, 15 by the base; and a text of one token after 3.
    ids_ST = torch.tensor([[10, 11, 12, 13, 14, 15], [20, 21, 22, 23, 0, 0]])
    given_ST = torch.tensor([[False] * 4 + [True, False], [False] * 6])
    texts = Texts(ids_ST, torch.tensor([2, 3]), torch.tensor([6, 4]), torch.arange(4.0)[:, None], given_ST)
    assert texts.rows_S == [3, 1]
    assert texts.completions_R.tolist() == [12, 13, 15, 23]
    assert texts.spans_S == [[(2, 4), (5, 6)], [(3, 4)]]
    swapped = texts.take([1, 0])
    assert swapped.completions_R.tolist() == [23, 12, 13, 15]
    assert swapped.hidden_RH[:, 0].tolist() == [3, 0, 1, 2]
    plain = Texts(ids_ST[1:], torch.tensor([3]), torch.tensor([4]), torch.zeros(1, 1))
    both = joined([texts, plain])
    assert both.rows_S == [3, 1, 1]
    assert both.completions_R.tolist() == [12, 13, 15, 23, 23]
