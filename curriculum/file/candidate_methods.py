"""The methods that a stage may come to use, as far as the file alone shows."""

from collections.abc import Iterable

from perdure.curriculum.schema import Curriculum, Stage
from perdure.curriculum.strategies import FixedStrategy, PythonStrategy, RuleStrategy
from perdure.curriculum.worlds.learnable import learnable_by


def candidate_methods(curriculum: Curriculum, stage: Stage) -> tuple[str, ...]:
    """The stage's own method, or those of the strategy, without methods that cannot learn its task."""
    names = (stage.method,) if stage.method is not None else strategy_methods(curriculum)
    return learnable_by(curriculum.spec, stage.task.facts, names)


def strategy_methods(curriculum: Curriculum) -> tuple[str, ...]:
    """The methods that the strategy chooses among, in the order of the world's list or of its `candidates`.

    A method that the model cannot be trained by is left out.
    """
    strategy, spec = curriculum.strategy, curriculum.spec

    def able(names: Iterable[str]) -> tuple[str, ...]:
        known = [name for name in names if set(name.split("+")) <= set(spec.parts)]
        return tuple(name for name in known if curriculum.model.refusal(spec.method(name)) is None)

    match strategy:
        case FixedStrategy():
            names: tuple[str, ...] = (strategy.method,)
        case RuleStrategy():
            names = able(strategy.slots.values())
        case PythonStrategy():
            names = tuple(strategy.candidates or able(spec.names))
        case _:
            names = tuple(strategy.candidates or able(spec.candidates))
    return tuple(dict.fromkeys(spec.method(name).name for name in names))
