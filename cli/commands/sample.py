"""`perdure sample`: a curriculum to begin with, and beside it the schema that its first line names."""

from pathlib import Path

from perdure.budget.errors import RunError
from perdure.cli.commands.schema import schema_text
from perdure.cli.console import say
from perdure.cli.output import writing
from perdure.curriculum.file.json_schema import SCHEMA_FILE
from perdure.curriculum.file.sample import sample_curriculum


def sample_command(world: str | None, output: Path | None, *, minimal: bool) -> None:
    """Print a curriculum that runs as it is, or write it to a new file, with the schema for editors beside it.

    Raises:
        ConfigError: there is no such world.
        RunError: the file is there already, or cannot be written.
    """
    text = sample_curriculum(world, minimal=minimal)
    if output is None:
        print(text, end="")
        return
    if output.exists():
        raise RunError(f"{output} is there already; choose another place with --output")
    schema = output.parent / SCHEMA_FILE
    with writing(output):
        output.write_text(text, encoding="utf-8")
        schema.write_text(schema_text(sweep=False), encoding="utf-8")
    say(f"{output}, and {schema} for editors; run it with: perdure run {output}")
