"""The verbs about files, and about what is installed: each verb's options. They run nothing."""

from pathlib import Path
from typing import Annotated

import typer

from perdure.budget.heap import uncollected
from perdure.cli import completion
from perdure.cli.arguments import File, Json, Set

app = typer.Typer(context_settings={"help_option_names": ["-h", "--help"]})


@app.command("validate")
def _validate(
    file: File,
    set_: Set = None,
    json: Json = False,
    import_code: Annotated[
        bool, typer.Option("--import-code", help="import the modules that the file names, which executes them")
    ] = False,
) -> None:
    """Check a curriculum or a sweep, and what it names.

    No model is loaded, and none of its code executed.
    """
    with uncollected():
        from perdure.cli.commands.validate import validate_command

        validate_command(file, set_ or [], json, import_code)


@app.command("list", no_args_is_help=True)
def _list(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="curricula, sweeps, methods, strategies, rewards, benchmarks or tasks",
            autocompletion=completion.lists,
        ),
    ],
    json: Json = False,
) -> None:
    """List what a curriculum can name, and what each thing needs."""
    from perdure.cli.commands.list import list_command

    list_command(what, json)


Output = Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="write it to this file")]


@app.command("env")
def _env(json: Json = False) -> None:
    """Print versions, devices, memory and installed extras."""
    from perdure.cli.commands.env import env_command

    env_command(json)


@app.command("sample")
def _sample(
    world: Annotated[
        str | None,
        typer.Option("--world", metavar="NAME", help="default: the world of language models"),
    ] = None,
    minimal: Annotated[bool, typer.Option("--minimal", help="one of at most 25 lines")] = False,
    output: Output = None,
) -> None:
    """Print a commented curriculum that runs as it is."""
    from perdure.cli.commands.sample import sample_command

    sample_command(world, output, minimal=minimal)


@app.command("schema")
def _schema(
    sweep: Annotated[bool, typer.Option("--sweep", help="that of a sweep")] = False,
    output: Output = None,
) -> None:
    """Print the JSON Schema of a curriculum, for editors.

    An editor checks and completes a file by it.
    """
    from perdure.cli.commands.schema import schema_command

    schema_command(output, sweep=sweep)
