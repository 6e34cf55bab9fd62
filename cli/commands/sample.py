"""`perdure sample`: prints a commented curriculum."""

from perdure.curriculum.file.sample import sample_curriculum


def sample_command() -> None:
    """Print a curriculum that runs as it is, for `perdure sample > mine.yaml`."""
    print(sample_curriculum(), end="")
