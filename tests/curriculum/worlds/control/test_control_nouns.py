"""The words of the control world: its KL is per decision and per episode, and its prompts are starts."""

from perdure.curriculum.worlds.nouns import Nouns
from perdure.curriculum.worlds.registry import nouns_of


def test_decisions_and_episodes_stand_where_other_worlds_have_tokens_and_sequences() -> None:
    control = nouns_of("control")
    assert (control.unit("token"), control.unit("sequence")) == ("decision", "episode")
    assert (control.per("token"), control.per("sequence")) == ("a decision", "an episode")
    assert (control.an_answer, control.prompt) == ("an episode", "start")


def test_other_worlds_keep_the_usual_words() -> None:
    for world in ("language", "not installed"):
        assert nouns_of(world) == Nouns()
    assert (Nouns().unit("sequence"), Nouns().an_answer, Nouns(answer="move").an_answer) == (
        "sequence",
        "an answer",
        "a move",
    )
