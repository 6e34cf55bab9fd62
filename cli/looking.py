"""The verbs that look at runs which are there: each verb's options. Its own file is imported when it is called."""

from pathlib import Path
from typing import Annotated

import typer

from perdure.budget.heap import uncollected
from perdure.cli.arguments import Format, Formats, Json, RunOrSweep, RunPath
from perdure.cli.threads import one_numpy_thread

app = typer.Typer(context_settings={"help_option_names": ["-h", "--help"]})


@app.command("show")
def _show(run: RunOrSweep, format_: Formats = Format.TABLE, json: Json = False) -> None:
    """Print the table of a run or of a sweep, finished or not."""
    one_numpy_thread()
    with uncollected():
        from perdure.cli.commands.show import show_command

        show_command(run, json, format_.value)


@app.command("compare")
def _compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN RUN…", help="run folders; each is compared with the first")
    ],
    format_: Formats = Format.TABLE,
    json: Json = False,
) -> None:
    """Compare runs, side by side.

    Paired tests are on the same items; what differs in the curricula is listed.
    """
    one_numpy_thread()
    from perdure.cli.commands.compare import compare_command

    compare_command(runs, "json" if json else format_.value)


@app.command("answers")
def _answers(
    run: RunPath,
    task: Annotated[
        str | None, typer.Option("--task", metavar="NAME", help="one task or benchmark; default: all")
    ] = None,
    stage: Annotated[
        int | None,
        typer.Option("--stage", metavar="N", min=0, help="after which stage; default: the last; 0: the base"),
    ] = None,
    changed: Annotated[bool, typer.Option("--changed", help="only items that were lost or gained")] = False,
    limit: Annotated[int, typer.Option("--limit", metavar="K", min=1, help="items of each task")] = 10,
    json: Json = False,
) -> None:
    """Read what was lost and gained since the base, by item.

    Each with its prompt, the expected answer and both completions.
    """
    from perdure.cli.commands.answers import answers_command

    answers_command(run, task, stage, limit, changed=changed, json=json)


@app.command("report")
def _report(
    run: RunPath,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="default: report.html in the run's folder")
    ] = None,
    film: Annotated[
        bool, typer.Option("--film", help="play an episode before and after the last stage, and show both (control)")
    ] = False,
) -> None:
    """Write a run as one HTML file that needs no network."""
    one_numpy_thread()
    from perdure.cli.commands.report import report_command

    report_command(run, output, film=film)


@app.command("plot")
def _plot(
    run: RunPath,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FOLDER", help="where to write; default: the run's folder `plots`"),
    ] = None,
) -> None:
    """Draw the retention matrix, the KL and the training.

    As PNG and SVG.
    """
    one_numpy_thread()
    from perdure.cli.commands.plot import plot_command

    plot_command(run, output)


@app.command("export")
def _export(
    run: RunPath,
    stage: Annotated[
        int | None, typer.Option("--stage", metavar="N", help="after which stage; default: the last that is done")
    ] = None,
    merge: Annotated[bool, typer.Option("--merge", help="merge an adapter into its base: plain weights")] = False,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FOLDER", help="where to write; default: a new folder here")
    ] = None,
    push: Annotated[
        str | None, typer.Option("--push", metavar="ORG/NAME", help="upload it to the hub, with your own token")
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="make the hub's repository private")] = False,
) -> None:
    """Export a policy for the hub, with a model card.

    As safetensors with the tokenizer; whole, or as an adapter.
    """
    from perdure.cli.commands.export import export_command

    export_command(run, stage, to, push, merge=merge, private=private)


@app.command("film")
def _film(
    run: RunPath,
    stage: Annotated[
        int | None, typer.Option("--stage", metavar="N", help="after which stage; default: the last that is done")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", metavar="NAME", help="a stage's or a benchmark's task; default: the stage's own"),
    ] = None,
    start: Annotated[
        int | None,
        typer.Option(
            "--start", metavar="K", help="which held-out start, from 0; default: the first that went otherwise"
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="a .gif or an .mp4; default: a GIF in this folder")
    ] = None,
    fps: Annotated[float, typer.Option("--fps", help="decisions a second")] = 5.0,
) -> None:
    """Film an episode before and after a stage, side by side."""
    from perdure.cli.commands.film import film_command

    film_command(run, stage, task, start, output, fps)


@app.command("check")
def _check(
    run: RunPath,
    max_forgetting: Annotated[
        float | None, typer.Option("--max-forgetting", metavar="POINTS", help="most that earlier tasks may have lost")
    ] = None,
    max_benchmark_drop: Annotated[
        float | None, typer.Option("--max-benchmark-drop", metavar="POINTS", help="most that benchmarks may have lost")
    ] = None,
    min_accuracy: Annotated[
        float | None, typer.Option("--min-accuracy", metavar="POINTS", help="least mean accuracy on all tasks")
    ] = None,
) -> None:
    """Check a finished run against limits, for CI.

    It exits with 4 if one is broken by more than noise. POINTS are hundredths; where a score of the metric is no share
    from 0 to 1, such as a return, limits are in the unit of the scores.
    """
    one_numpy_thread()
    from perdure.cli.commands.check import check_command

    check_command(run, max_forgetting, max_benchmark_drop, min_accuracy)
