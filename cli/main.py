"""The command line: each verb's options. The verb's own file is imported only when it is called."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from perdure.agent.run.interrupt import end_in_words
from perdure.cli.errors import guarded

app = typer.Typer(
    name="perdure",
    help="Agents that keep learning, within a budget of KL divergence from the model they began as.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

File = Annotated[str, typer.Argument(metavar="FILE", help="a curriculum: a YAML file, or the name of a shipped one")]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="a run's folder")]
RunOrSweep = Annotated[Path, typer.Argument(metavar="RUN|SWEEP", help="a run's folder, or a sweep's")]
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


def main() -> None:
    """The entry point of the `perdure` command."""
    end_in_words()
    sys.exit(guarded(lambda: app(prog_name="perdure")))


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"perdure {version('perdure')}")
        except PackageNotFoundError:
            print("perdure (not installed; run from a checkout)")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version and exit")
    ] = False,
) -> None:
    pass


@app.command("run")
def _run(
    file: File,
    output_dir: Annotated[
        Path | None, typer.Option("--output-dir", metavar="DIR", help="the run's folder; default: a fresh one in runs/")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="override the curriculum's seed")] = None,
    set_: Set = None,
    target_accuracy: Target = None,
    plain: Plain = False,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="exit 4 before any training if a stage cannot reach its target in the budget"),
    ] = False,
) -> None:
    """Run a curriculum."""
    from perdure.cli.commands.run import run_command

    run_command(file, output_dir, seed, set_ or [], target_accuracy, plain=plain, strict=strict)


@app.command("plan")
def _plan(
    file: File,
    set_: Set = None,
    target_accuracy: Target = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="exit 4 if a stage cannot reach its target in the budget")
    ] = False,
    json: Json = False,
) -> None:
    """Price a run before it begins: KL, time, disk, memory."""
    from perdure.cli.commands.plan import plan_command

    plan_command(file, set_ or [], target_accuracy, strict, json)


@app.command("sweep")
def _sweep(
    file: Annotated[str, typer.Argument(metavar="FILE", help="a sweep: a YAML file, or the name of a shipped one")],
    output_dir: Annotated[
        Path | None,
        typer.Option("--output-dir", metavar="DIR", help="the sweep's folder; default: a fresh one in sweeps/"),
    ] = None,
    seed: Annotated[
        list[int] | None, typer.Option("--seed", help="override the sweep's seeds; may be repeated")
    ] = None,
    set_: Set = None,
    plain: Plain = False,
    json: Json = False,
) -> None:
    """Run a curriculum many times, with some of its fields varied."""
    from perdure.cli.commands.sweep import sweep_command

    sweep_command(file, output_dir, seed or [], set_ or [], plain, json)


@app.command("resume")
def _resume(
    run: RunOrSweep,
    plain: Plain = False,
    redo_from: Annotated[
        int | None, typer.Option("--redo-from", metavar="N", help="run stage N and all later ones again")
    ] = None,
) -> None:
    """Go on with a run or a sweep that was stopped or killed."""
    from perdure.cli.commands.resume import resume_command

    resume_command(run, plain, redo_from)


@app.command("watch")
def _watch(
    run: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="a run's folder; default: the newest in runs/, or the next")
    ] = None,
    plain: Plain = False,
) -> None:
    """Follow a run from another terminal."""
    from perdure.cli.commands.watch import watch_command

    watch_command(run, plain)


@app.command("show")
def _show(run: RunOrSweep, format_: Formats = Format.TABLE, json: Json = False) -> None:
    """Print the table of a run or of a sweep, finished or not."""
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
    """Compare runs: figures side by side, paired tests on the same items, what differs in the curricula."""
    from perdure.cli.commands.compare import compare_command

    compare_command(runs, "json" if json else format_.value)


@app.command("answers")
def _answers(
    run: Run,
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
    """Read the answers: items lost and gained since the base, with prompt, expected answer and both completions."""
    from perdure.cli.commands.answers import answers_command

    answers_command(run, task, stage, limit, changed=changed, json=json)


@app.command("report")
def _report(
    run: Run,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="default: report.html in the run's folder")
    ] = None,
) -> None:
    """Write a run as one HTML file that needs no network."""
    from perdure.cli.commands.report import report_command

    report_command(run, output)


@app.command("plot")
def _plot(
    run: Run,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FOLDER", help="where to write; default: the run's folder `plots`"),
    ] = None,
) -> None:
    """Write the retention matrix and the KL curve as PNG and SVG."""
    from perdure.cli.commands.plot import plot_command

    plot_command(run, output)


@app.command("film")
def _film(
    run: Run,
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
    """Film one episode, by the base and after a stage, side by side."""
    from perdure.cli.commands.film import film_command

    film_command(run, stage, task, start, output, fps)


@app.command("check")
def _check(
    run: Run,
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
    """Check a finished run against limits; exit 4 if one is broken by more than noise."""
    from perdure.cli.commands.check import check_command

    check_command(run, max_forgetting, max_benchmark_drop, min_accuracy)


@app.command("law")
def _law(
    paths: Annotated[
        list[Path], typer.Argument(metavar="RUN|SWEEP", help="run folders, sweep folders, .parquet files")
    ],
    accuracy: Annotated[
        list[float] | None,
        typer.Option("--accuracy", metavar="SHARE", help="where methods are compared; default: 0.95 and 0.97"),
    ] = None,
    method: Annotated[
        list[str] | None, typer.Option("--method", metavar="NAME", help="only these methods or arms; may be repeated")
    ] = None,
    output_dir: Annotated[
        Path | None, typer.Option("--output-dir", metavar="DIR", help="write plots (PNG, SVG) and report.json here")
    ] = None,
    save: Annotated[
        Path | None, typer.Option("--save", metavar="FILE", help="save the law, for `budget.law` in a curriculum")
    ] = None,
    json: Json = False,
) -> None:
    """Fit forgetting against KL over the checkpoints of runs and sweeps."""
    from perdure.cli.commands.law import law_command

    law_command(paths, [0.95, 0.97] if accuracy is None else accuracy, method or [], json, output_dir, save)


@app.command("validate")
def _validate(
    file: File,
    set_: Set = None,
    json: Json = False,
    import_code: Annotated[
        bool, typer.Option("--import-code", help="import the modules that the file names, which executes them")
    ] = False,
) -> None:
    """Check a curriculum; load no model, execute no code that it names, write nothing."""
    from perdure.cli.commands.validate import validate_command

    validate_command(file, set_ or [], json, import_code)


@app.command("sample")
def _sample() -> None:
    """Print a commented curriculum that runs as it is."""
    from perdure.cli.commands.sample import sample_command

    sample_command()


if __name__ == "__main__":
    main()
