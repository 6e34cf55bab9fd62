"""`python`: a strategy of the user's own, by import path or entry point."""

from perdure.agent.strategies.contract import Decision, Situation, Strategy
from perdure.budget.errors import ConfigError, PerdureError
from perdure.curriculum.file.faults import CurriculumError, Fault
from perdure.curriculum.file.reader import ReadCurriculum
from perdure.curriculum.import_path import load_function, show_error
from perdure.curriculum.own_code import STRATEGY
from perdure.curriculum.strategies import PythonStrategy

PLACE = ("strategy", "path")


def check_strategy(read: ReadCurriculum) -> None:
    """Make the user's own strategy that a file names, before a run begins. Imports the user's module.

    Raises:
        CurriculumError: the error that a run would raise, with its place in the file.
    """
    strategy = read.curriculum.strategy
    if isinstance(strategy, PythonStrategy):
        try:
            Python(strategy)
        except ConfigError as error:
            raise CurriculumError([Fault(read.document.place(PLACE), PLACE, str(error))]) from error


class Python:
    """Calls the user's own strategy, and names it in every error.

    Raises:
        ConfigError: it cannot be found, does not accept the arguments, or has no `choose`.
    """

    def __init__(self, config: PythonStrategy) -> None:
        self._label = f"the strategy {config.path!r}"
        self._strategy = _make(config, self._label)

    def choose(self, situation: Situation) -> Decision:
        """See `Strategy`; `perdure.agent.decide` checks the decision."""
        try:
            return self._strategy.choose(situation)
        except PerdureError:
            raise
        except Exception as error:
            raise ConfigError(f"{self._label} failed on stage {situation.stage.name!r}: {show_error(error)}") from error


def _make(config: PythonStrategy, label: str) -> Strategy:
    factory = load_function(config.path, STRATEGY)
    try:
        found = factory(**config.args)
    except PerdureError:
        raise
    except Exception as error:
        given = ", ".join(config.args) or "no arguments"
        raise ConfigError(f"{label} could not be made with {given}: {show_error(error)}") from error
    if not callable(getattr(found, "choose", None)):
        raise ConfigError(
            f"{label} made a {type(found).__name__}, which has no method `choose(situation)`; see docs/strategies.md"
        )
    strategy: Strategy = found
    return strategy
