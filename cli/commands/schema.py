"""`perdure schema`: the JSON Schema of a curriculum or of a sweep, for editors."""

from pathlib import Path

from perdure.cli.console import json_text, reader_may_leave, say
from perdure.cli.output import writing
from perdure.curriculum.file.json_schema import curriculum_schema, sweep_schema


def schema_command(output: Path | None, *, sweep: bool) -> None:
    """Print a schema, or write it to a file.

    Raises:
        RunError: the file cannot be written.
    """
    text = schema_text(sweep=sweep)
    if output is None:
        with reader_may_leave():
            print(text, end="")
        return
    with writing(output):
        output.write_text(text, encoding="utf-8")
    say(f"{output}; a file names it in its first line: # yaml-language-server: $schema={output.name}")


def schema_text(*, sweep: bool) -> str:
    """The schema of a sweep, or of a curriculum, as JSON."""
    return json_text(sweep_schema() if sweep else curriculum_schema()) + "\n"
