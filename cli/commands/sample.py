"""`perdure sample`: prints a commented curriculum."""

from perdure.curriculum.file.sample import sample_curriculum


def sample() -> None:
    """Print a curriculum that works as it is, for `perdure sample > mine.yaml`."""
    print(sample_curriculum(), end="")
