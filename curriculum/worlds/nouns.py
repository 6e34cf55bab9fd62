"""The words of a world, as views and messages print them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Nouns:
    """The words of a world for the parts of an answer, as views and messages print them.

    Attributes:
        token, sequence: the units of the KL: one step of an answer, and a whole one.
        answer: the response of a policy to a prompt.
        prompt: the prompt.
        score: what the score of a task is, as in `accuracy on the new task`.
        to: stands between an answer and its task, as in `3 answers to 'sums'`.
    """

    token: str = "token"
    sequence: str = "sequence"
    answer: str = "answer"
    prompt: str = "prompt"
    score: str = "accuracy"
    to: str = "to"

    def unit(self, unit: str) -> str:
        """The word for a unit of `budget.unit`."""
        return self.token if unit == "token" else self.sequence

    def per(self, unit: str) -> str:
        """`a token`, `an episode`: the word for a unit of `budget.unit`, with its article."""
        return _with_article(self.unit(unit))

    @property
    def one_unit(self) -> bool:
        """True where a step is a whole answer, so that nats a token and a sequence are one figure under one name."""
        return self.token == self.sequence

    @property
    def an_answer(self) -> str:
        """`an answer`, with its article."""
        return _with_article(self.answer)


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
