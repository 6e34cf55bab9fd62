"""New tasks for `builtin:tiny`, beside the toy skills that it was trained on."""

from perdure.curriculum.worlds.language.skills.skills import (
    even_number,
    german_number,
    odd_number,
    shift_letters,
    word_ending,
    word_starting,
)

__all__ = ["even_number", "german_number", "odd_number", "shift_letters", "word_ending", "word_starting"]
