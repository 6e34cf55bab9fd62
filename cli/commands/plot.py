"""`perdure plot RUN`: the retention matrix, the KL curve and the training curves as PNG and SVG."""

from pathlib import Path

from perdure.agent.run.find import find_run, read_run
from perdure.budget.files import make_folder
from perdure.cli.console import say
from perdure.cli.output import writing
from perdure.cli.views.state import paired_tests


def plot_command(path: Path, output: Path | None) -> None:
    """Write `matrix`, `kl` and `training` as .png and .svg into `output`, by default the run's folder `plots`.

    Runs of versions that kept no record of their steps have no `training`.

    Raises:
        RunError: there is no such run; nothing is scored yet; a record of steps is damaged; the folder cannot be
            written.
    """
    folder = find_run(path)
    record, _ = read_run(folder)
    from perdure.agent.run.answers import scored_stage
    from perdure.agent.run.steps import read_steps
    from perdure.cli.report.curves import known_curves, training_figure
    from perdure.cli.report.figures import kl_figure, matrix_figure
    from perdure.cli.views.drawing import write_figures

    scored_stage(record, None)
    steps = read_steps(folder)
    changes, target = paired_tests(record, folder), output or folder / "plots"
    with writing(target):
        make_folder(target)
        figures = {"matrix": lambda: matrix_figure(record, changes), "kl": lambda: kl_figure(record)}
        if known_curves(steps):
            figures["training"] = lambda: training_figure(steps, record.nouns)
        for file in write_figures(figures, target):
            say(str(file))
