"""Toy skills that `builtin:tiny` was trained on, and these tasks, that it was not."""

from perdure.curriculum.worlds.language.skills.skills import (
    even_number,
    german_number,
    odd_number,
    shift_letters,
    word_ending,
    word_starting,
)

__all__ = ["even_number", "german_number", "odd_number", "shift_letters", "word_ending", "word_starting"]
