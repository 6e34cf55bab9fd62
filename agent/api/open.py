"""`perdure.open_run`: a run that is there."""

import os
from pathlib import Path

from perdure.agent.api.run import Run
from perdure.agent.run.find import find_run


def open_run(path: str | os.PathLike[str]) -> Run:
    """The run in a folder, or of this name in `runs/`; finished or not.

    Raises:
        PerdureError: nothing there, no run, or a run that has written nothing yet.
    """
    return Run(find_run(Path(path)))
