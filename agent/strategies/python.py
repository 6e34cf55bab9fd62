"""`python`: a strategy of the user's own, by dotted path or by entry point."""

from importlib.metadata import entry_points
from typing import Any

from perdure.agent.strategies.contract import Decision, Situation, Strategy
from perdure.budget.errors import ConfigError, PerdureError
from perdure.curriculum.import_path import describe, load_function
from perdure.curriculum.messages import did_you_mean
from perdure.curriculum.strategies import PythonStrategy

GROUP = "perdure.strategies"
"""The entry points among which a path without a colon is looked up."""


class Python:
    """Asks the user's own object, and says whose fault it is where that fails.

    Raises:
        ConfigError: it cannot be found, does not take the arguments, or has no `choose`.
    """

    def __init__(self, config: PythonStrategy) -> None:
        self._shown = f"the strategy {config.path!r}"
        self._strategy = _make(config, self._shown)

    def choose(self, situation: Situation) -> Decision:
        """See `Strategy`; what it returned is checked by `perdure.agent.decide`."""
        try:
            return self._strategy.choose(situation)
        except PerdureError:
            raise
        except Exception as error:
            raise ConfigError(f"{self._shown} failed on stage {situation.stage.name!r}: {describe(error)}") from error


def _make(config: PythonStrategy, shown: str) -> Strategy:
    factory = load_function(config.path, "the strategy") if ":" in config.path else _entry_point(config.path, shown)
    try:
        found = factory(**config.args)
    except PerdureError:
        raise
    except Exception as error:
        given = ", ".join(config.args) or "no arguments"
        raise ConfigError(f"{shown} could not be made with {given}: {describe(error)}") from error
    if not callable(getattr(found, "choose", None)):
        raise ConfigError(
            f"{shown} made a {type(found).__name__}, which has no method `choose(situation)`; see docs/strategies.md"
        )
    strategy: Strategy = found
    return strategy


def _entry_point(name: str, shown: str) -> Any:
    found = {point.name: point for point in entry_points(group=GROUP)}
    if name not in found:
        known = did_you_mean(name, list(found)) or (f"; installed are {', '.join(sorted(found))}" if found else "")
        raise ConfigError(
            f"{shown} is no entry point of the group {GROUP!r}{known}. Write `module:name`, or install the package "
            "that has it"
        )
    try:
        return found[name].load()
    except Exception as error:
        raise ConfigError(f"{shown}: the entry point {found[name].value!r} failed: {describe(error)}") from error
