"""`perdure plot RUN`: the retention matrix and the KL curve as PNG and SVG."""

from pathlib import Path

from perdure.budget.files import make_folder
from perdure.cli.console import say
from perdure.cli.find_run import find_run, read_run
from perdure.cli.output import writing
from perdure.cli.views.state import paired_tests


def plot_command(path: Path, output: Path | None) -> None:
    """Write `matrix` and `kl` as .png and .svg into `output`, by default the run's folder `plots`.

    Raises:
        RunError: there is no such run; nothing is scored yet; the folder cannot be written.
    """
    folder = find_run(path)
    record, _ = read_run(folder)
    from perdure.agent.run.answers import scored_stage
    from perdure.cli.report.figures import kl_figure, matrix_figure
    from perdure.cli.views.drawing import write_figures

    scored_stage(record, None)
    changes, target = paired_tests(record, folder), output or folder / "plots"
    with writing(target):
        make_folder(target)
        figures = {"matrix": lambda: matrix_figure(record, changes), "kl": lambda: kl_figure(record)}
        for file in write_figures(figures, target):
            say(str(file))
