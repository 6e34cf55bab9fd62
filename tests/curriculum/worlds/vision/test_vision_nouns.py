"""The words of the vision world: its KL is per image, and an answer is one label."""

from perdure.curriculum.worlds.registry import nouns_of, one_step_answers


def test_an_image_stands_where_other_worlds_have_tokens_sequences_and_prompts() -> None:
    vision = nouns_of("vision")
    assert (vision.per("token"), vision.per("sequence"), vision.prompt) == ("an image", "an image", "image")
    assert (vision.an_answer, vision.score) == ("a label", "accuracy")


def test_a_world_of_one_step_answers_has_one_unit() -> None:
    for world in ("language", "vision", "control"):
        assert nouns_of(world).one_unit == one_step_answers(world)
