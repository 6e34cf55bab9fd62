"""The command line: each verb's options. The verb's own file is imported only when it is called."""

import gc
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from perdure.agent.run.interrupt import end_in_words
from perdure.budget import ranks
from perdure.budget.law.saved import Predictor
from perdure.cli import asking, completion, looking
from perdure.cli.arguments import File, Json, Plain, RunOrSweep, Set, Target
from perdure.cli.errors import guarded
from perdure.cli.first_line import first_line
from perdure.cli.threads import one_numpy_thread

app = typer.Typer(
    name="perdure",
    help="Agents that keep learning, within a budget of KL divergence from the model they began as.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """The entry point of the `perdure` command."""
    if not ranks.is_main():
        sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  (for as long as the process is there)
    end_in_words()
    code = guarded(lambda: app(prog_name="perdure"))
    gc.freeze()  # or Python looks through all that the libraries made once more before it ends
    sys.exit(code)


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
    first_line("run", file)
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
    budget: Annotated[
        bool, typer.Option("--budget", help="propose a KL budget, too: trains the first task for a few steps")
    ] = False,
    steps: Annotated[int, typer.Option("--steps", metavar="N", min=4, help="steps that --budget makes")] = 16,
    max_forgetting: Annotated[
        float, typer.Option("--max-forgetting", metavar="POINTS", min=0, help="most that --budget accepts by the law")
    ] = 3.0,
    quick: Annotated[
        bool, typer.Option("--quick", help="time, disk and memory alone, from few prompts: for slow models")
    ] = False,
    json: Json = False,
) -> None:
    """Price a run before it begins: KL, time, disk, memory."""
    first_line("plan", file, error=True)
    from perdure.cli.commands.plan import plan_command

    wanted = (steps, max_forgetting / 100) if budget else None
    plan_command(file, set_ or [], target_accuracy, strict, json, wanted, quick)


@app.command("sweep")
def _sweep(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="a sweep: a YAML file, or the name of a shipped one",
            autocompletion=completion.sweep_files,
        ),
    ],
    output_dir: Annotated[
        Path | None,
        typer.Option("--output-dir", metavar="DIR", help="the sweep's folder; default: a fresh one in sweeps/"),
    ] = None,
    seed: Annotated[
        list[int] | None, typer.Option("--seed", metavar="N", help="override the sweep's seeds; may be repeated")
    ] = None,
    set_: Set = None,
    cell: Annotated[
        str | None,
        typer.Option("--cell", metavar="ID", help="run this cell alone, in sweeps/NAME; others may run at once"),
    ] = None,
    list_cells: Annotated[bool, typer.Option("--list-cells", help="print a line a cell, and run none")] = False,
    collect: Annotated[
        bool, typer.Option("--collect", help="FILE is a sweep's folder: make the table of the cells that ran alone")
    ] = False,
    plain: Plain = False,
    json: Json = False,
) -> None:
    """Run a curriculum many times, with some of its fields varied."""
    first_line("sweep", file, error=json or list_cells)
    from perdure.cli.commands.sweep import SweepCall, sweep_command

    sweep_command(SweepCall(file, output_dir, seed or [], set_ or [], cell, list_cells, collect, plain, json))


@app.command("resume")
def _resume(
    run: RunOrSweep,
    plain: Plain = False,
    redo_from: Annotated[
        int | None, typer.Option("--redo-from", metavar="N", help="run stage N and all later ones again")
    ] = None,
    tracking: Annotated[
        str | None, typer.Option("--tracking", metavar="LIST", help="from now on these trackers: '[trackio]', '[]'")
    ] = None,
) -> None:
    """Go on with a run or a sweep that was stopped or killed."""
    first_line("resume", run)
    from perdure.cli.commands.resume import resume_command

    resume_command(run, plain, redo_from, tracking)


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


app.add_typer(looking.app)


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
    predictor: Annotated[
        Predictor,
        typer.Option("--predictor", help="the KL that the law predicts from: on the task, the generic probe, or both"),
    ] = "task",
    json: Json = False,
) -> None:
    """Fit forgetting as a curve of KL over runs and sweeps."""
    one_numpy_thread()
    first_line("law", paths[0], error=True)
    from perdure.cli.commands.law import law_command

    law_command(paths, [0.95, 0.97] if accuracy is None else accuracy, method or [], json, output_dir, save, predictor)


@app.command("demonstrate")
def _demonstrate(
    file: File,
    stage: Annotated[
        str | None, typer.Option("--stage", metavar="NAME", help="whose prompts; default: the only one")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="a folder or hub id; default: the curriculum's model")
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(
            "--endpoint", metavar="URL", help="ask --model there, by OpenAI's API (key: $OPENAI_API_KEY): http://…/v1"
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="default: STAGE-demonstrations.jsonl; if begun, go on with it"),
    ] = None,
    num_generations: Annotated[int, typer.Option("--num-generations", min=1, help="answers a prompt")] = 4,
    max_completion_length: Annotated[
        int, typer.Option("--max-completion-length", min=1, help="tokens an answer")
    ] = 512,
    temperature: Annotated[float, typer.Option("--temperature", min=0, help="sampling temperature")] = 1.0,
    success: Annotated[float, typer.Option("--success", help="the reward from which an answer is kept")] = 1.0,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="seconds for a reply of the endpoint")] = 120.0,
    set_: Set = None,
) -> None:
    """Ask a teacher for demonstrations of a stage's task.

    It answers the stage's prompts; answers that the reward accepts are kept.
    """
    from perdure.cli.commands.demonstrate import DemonstrateCall, demonstrate_command

    demonstrate_command(
        DemonstrateCall(
            *(file, set_ or [], stage, model, endpoint, output),
            *(num_generations, max_completion_length, temperature, success, timeout),
        )
    )


app.add_typer(asking.app)


if __name__ == "__main__":
    main()
