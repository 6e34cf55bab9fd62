"""A user's own module, in the current directory."""

import sys
from contextlib import chdir
from typing import Any

import pytest

OWN = """
from perdure.curriculum.task import Item, Task

def echo(*, seed, train, heldout, word="hi"):
    items = tuple(Item(f"{seed} {word} {n}", answer=str(n)) for n in range(train + heldout))
    return Task("their name", items[:train], items[train:], None)

def lenient(*, seed, train, heldout, least=1.0):
    items = tuple(Item(f"{seed} {n}", answer=str(n)) for n in range(train + heldout))
    def near(items, completions, completion_ids=None):
        return [float(len(text) >= least) for text in completions]
    return Task("t", items[:train], items[train:], near)

def leaky(*, seed, train, heldout):
    return Task("t", (Item("a"),), (Item("a"), Item("b")), None)

def number(*, seed, train, heldout):
    return 3

def short(*, seed, train, heldout):
    return Task("t", (), (Item("a"),), None)

def broken(*, seed, train, heldout):
    raise KeyError("oops")

def show(item):
    return f"The number is {item.answer}."

def show_nothing(item):
    return None

def several(prompts, completions, answer, **columns):
    return [float(len(golds)) for golds in answer]
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The name of a user's own module, in the current directory."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own_tasks_for_test.py").write_text(OWN)
    (folder / "own_broken_for_test.py").write_text("import nothing_like_this\ndef task(): ...\n")
    with chdir(folder):
        yield "own_tasks_for_test"
    for name in ("own_tasks_for_test", "own_broken_for_test"):
        sys.modules.pop(name, None)
    sys.path[:] = [entry for entry in sys.path if entry != str(folder)]
