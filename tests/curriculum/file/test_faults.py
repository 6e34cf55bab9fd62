"""How a fault is shown."""

from perdure.curriculum.messages import show_path


def test_paths_are_shown_as_they_are_written() -> None:
    assert show_path(("stages", 0, "train", "a b")) == 'stages[0].train."a b"'
