"""Arguments and options that several verbs have."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from perdure.cli import completion

File = Annotated[
    str,
    typer.Argument(
        metavar="FILE", help="a curriculum: a YAML file, or the name of a shipped one", autocompletion=completion.files
    ),
]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="a run's folder", autocompletion=completion.runs)]
RunOrSweep = Annotated[
    Path, typer.Argument(metavar="RUN|SWEEP", help="a run's folder, or a sweep's", autocompletion=completion.runs)
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="override a setting: stages.0.train.learning_rate=1e-5"),
]
Plain = Annotated[bool, typer.Option("--plain", help="log lines instead of the live view")]
Target = Annotated[
    float | None,
    typer.Option("--target-accuracy", metavar="SHARE", help="override the curriculum's budget.target_accuracy"),
]


class Format(StrEnum):
    """The formats of `show` and `compare`."""

    TABLE = "table"
    CSV = "csv"
    MARKDOWN = "markdown"
    LATEX = "latex"
    JSON = "json"


Formats = Annotated[Format, typer.Option("--format", help="csv: the figures in full; markdown, latex: as text")]
Json = Annotated[bool, typer.Option("--json", help="one JSON object")]
