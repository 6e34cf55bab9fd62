"""What of the user's own a file names, looked at before a run. Imports no torch; the user's module may."""

from perdure.agent.strategies.python import Python
from perdure.budget.errors import ConfigError
from perdure.curriculum.file.faults import CurriculumError, Fault
from perdure.curriculum.file.reader import ReadCurriculum
from perdure.curriculum.strategies import PythonStrategy

STRATEGY = ("strategy", "path")


def refuse_own(read: ReadCurriculum) -> None:
    """Make the curriculum's strategy as a run would, if it is the user's own, and let it go again.

    Raises:
        CurriculumError: what a run would say of it, with its place.
    """
    strategy = read.curriculum.strategy
    if isinstance(strategy, PythonStrategy):
        try:
            Python(strategy)
        except ConfigError as error:
            raise CurriculumError([Fault(read.document.place(STRATEGY), STRATEGY, str(error))]) from error
