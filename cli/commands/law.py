"""`perdure law RUN|SWEEP…`: fits forgetting against KL, and says how far the fit can be trusted."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from perdure.budget.errors import ConfigError, RunError
from perdure.cli.console import reader_may_leave
from perdure.cli.errors import printable
from perdure.cli.find_run import locate
from perdure.cli.views.live import on_terminal
from perdure.cli.views.symbols import ASCII, glyphs_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.agent.law_data.findings import Findings


def law(
    paths: Sequence[Path],
    accuracies: Sequence[float],
    methods: Sequence[str],
    as_json: bool,
    output_dir: Path | None,
    save: Path | None,
) -> None:
    """Print the law of the checkpoints in `paths`; write plots to `output_dir` and the law for a monitor to `save`.

    Raises:
        RunError: what is to be pooled is missing, damaged or does not belong together; a file cannot be written.
        DataError: too few checkpoints or runs, or a forward KL that is the same everywhere.
        ConfigError: an accuracy that is no share, or a method that no point is of.
    """
    wrong = [accuracy for accuracy in accuracies if not 0 < accuracy <= 1]
    if wrong:
        raise ConfigError(f"--accuracy: a share between 0 and 1, such as 0.95, not {wrong[0]:g}")
    from perdure.agent.law_data.dataset import read_dataset, select_methods
    from perdure.agent.law_data.findings import compute_findings

    with _telling() as say:
        say("reading the checkpoints")
        dataset = read_dataset([_find(path) for path in paths])
        findings = compute_findings(select_methods(dataset, methods) if methods else dataset, accuracies, say)
    written = _write(findings, output_dir, save)
    with reader_may_leave():
        _print(findings, as_json)
    for words in written:
        print(printable(words), file=sys.stderr)


def _find(path: Path) -> Path:
    """The run or sweep of that path or name, and else the path itself: a table, or what the reader will refuse."""
    found = locate(path)
    return path if found is None else found.path


@contextmanager
def _telling() -> "Iterator[Callable[[str], object]]":
    """Says on a terminal what goes on, beside the output; nothing elsewhere."""
    console = Console(stderr=True, highlight=False)
    if not on_terminal(console):
        yield lambda words: None
        return
    with console.status("") as status:
        yield lambda words: status.update(Text(words))


def _write(findings: "Findings", output_dir: Path | None, save: Path | None) -> list[str]:
    """Write what is asked for; says what was written."""
    said = []
    try:
        if save is not None:
            _save(findings, save)
            said.append(f"wrote the law to {save}; name it under `budget.law` in a curriculum")
        if output_dir is not None:
            names = [path.name for path in _write_folder(findings, output_dir)]
            said.append(f"wrote {', '.join(names)} to {output_dir}")
    except OSError as error:
        raise RunError(f"cannot write {error.filename or save or output_dir}: {error.strerror or error}") from error
    return said


def _save(findings: "Findings", path: Path) -> None:
    from perdure.budget.law.saved import save_law

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
    text = json.dumps(law_object(findings), allow_nan=False, indent=1) + "\n"
    write_atomic(folder / "report.json", text.encode())
    return [*drawn, folder / "report.json"]


def _print(findings: "Findings", as_json: bool) -> None:
    """On a terminal with a plot; off one plain text, however wide; or one JSON object."""
    if as_json:
        from perdure.cli.law.as_json import law_object

        print(json.dumps(law_object(findings), allow_nan=False, indent=1))
        return
    from perdure.cli.law.page import page
    from perdure.cli.law.terminal_plot import terminal_plot
    from perdure.cli.law.text_table import Form

    console = Console(file=sys.stdout, highlight=False)
    if not on_terminal(console):
        for line in page(findings, Form(ASCII)):
            print(line.plain.rstrip())
        return
    glyphs = glyphs_for(console.encoding)
    plot = [] if glyphs.ascii else terminal_plot(findings, console.width)
    for line in page(findings, Form(glyphs, console.width), plot):
        console.print(line)
