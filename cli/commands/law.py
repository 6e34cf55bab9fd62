"""`perdure law RUN|SWEEP…`: fits forgetting against KL and reports how far the fit can be trusted."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from perdure.agent.run.find import locate
from perdure.budget.errors import ConfigError, RunError
from perdure.budget.law.saved import Predictor
from perdure.cli.console import json_text, phase_status, print_lines, reader_may_leave, say, symbols_and_width

if TYPE_CHECKING:
    from perdure.agent.law_data.findings import Findings


def law_command(
    paths: Sequence[Path],
    accuracies: Sequence[float],
    methods: Sequence[str],
    as_json: bool,
    output_dir: Path | None,
    save: Path | None,
    predictor: Predictor = "task",
) -> None:
    """Print the law of the checkpoints in `paths`; write plots to `output_dir` and the law to `save`.

    Raises:
        RunError: a path is missing, damaged or cannot be pooled with the others; a file cannot be written.
        DataError: there are too few checkpoints or runs, their forward KL is all the same, or that of `predictor` was
            not measured.
        ConfigError: an accuracy is no share, or no checkpoint is of one of `methods`.
    """
    wrong = [accuracy for accuracy in accuracies if not 0 < accuracy <= 1]
    if wrong:
        raise ConfigError(f"--accuracy: a share between 0 and 1, such as 0.95, not {wrong[0]:g}")
    with phase_status() as report:
        report("reading the checkpoints")
        from perdure.agent.law_data.dataset import read_dataset, select_methods
        from perdure.agent.law_data.findings import compute_findings

        dataset = read_dataset([_find(path) for path in paths])
        chosen = select_methods(dataset, methods) if methods else dataset
        findings = compute_findings(chosen, accuracies, report, predictor)
    written = _write(findings, output_dir, save)
    with reader_may_leave():
        _print(findings, as_json)
    for line in written:
        say(line, error=True)


def _find(path: Path) -> Path:
    """The run or sweep of this path or name, else the path itself: a table, or what the reader will refuse."""
    found = locate(path)
    return path if found is None else found.path


def _write(findings: "Findings", output_dir: Path | None, save: Path | None) -> list[str]:
    """Write the plots and the law that are asked for; a line for each."""
    lines = []
    try:
        if save is not None:
            _save(findings, save)
            lines.append(f"wrote the law to {save}; name it under `budget.law` in a curriculum")
        if output_dir is not None:
            names = [path.name for path in _write_folder(findings, output_dir)]
            lines.append(f"wrote {', '.join(names)} to {output_dir}")
    except OSError as error:
        raise RunError(f"cannot write {error.filename or save or output_dir}: {error.strerror or error}") from error
    return lines


def _save(findings: "Findings", path: Path) -> None:
    from perdure.budget.law.file import save_law

    if findings.law is None:
        raise RunError(f"there is no law to save to {path}: {findings.no_law}")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_law(findings.law, path)


def _write_folder(findings: "Findings", folder: Path) -> list[Path]:
    from perdure.budget.files import write_atomic
    from perdure.cli.law.as_json import law_object
    from perdure.cli.law.plots import draw_all

    folder.mkdir(parents=True, exist_ok=True)
    drawn = draw_all(findings, folder)
    write_atomic(folder / "report.json", f"{json_text(law_object(findings))}\n".encode())
    return [*drawn, folder / "report.json"]


def _print(findings: "Findings", as_json: bool) -> None:
    """Print the report, on a terminal with a plot; or one JSON object."""
    if as_json:
        from perdure.cli.law.as_json import law_object

        print(json_text(law_object(findings)))
        return
    from perdure.cli.law.report import law_report
    from perdure.cli.law.terminal_plot import terminal_plot
    from perdure.cli.views.text_table import Form

    console = Console(file=sys.stdout, highlight=False)
    form = Form(*symbols_and_width(console))
    plot = [] if form.symbols.ascii else terminal_plot(findings, form.width)
    print_lines(law_report(findings, form, plot), console)
