"""perdure from Python: a curriculum is run, and a run is read as pandas frames.

    import perdure

    run = perdure.run("demo", output_dir="runs/demo")
    run.scores()

`__all__` is everything that is public; all else may change. A name is imported when it is first used, so that
`import perdure` takes no time.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perdure.agent.api.open import open_run
    from perdure.agent.api.run import Run
    from perdure.agent.api.start import run
    from perdure.budget.errors import PerdureError
    from perdure.curriculum.policy import Policy
    from perdure.curriculum.task import Item, Task

    __version__: str

__all__ = ["Item", "PerdureError", "Policy", "Run", "Task", "__version__", "open_run", "run"]

_PLACES = {
    "Item": "perdure.curriculum.task",
    "PerdureError": "perdure.budget.errors",
    "Policy": "perdure.curriculum.policy",
    "Run": "perdure.agent.api.run",
    "Task": "perdure.curriculum.task",
    "open_run": "perdure.agent.api.open",
    "run": "perdure.agent.api.start",
}

if not TYPE_CHECKING:  # a type checker would take any name for one that is there

    def __getattr__(name):
        """A public name, imported (PEP 562)."""
        from importlib import import_module

        if name == "__version__":
            from importlib.metadata import version

            return version("perdure")
        if name not in _PLACES:
            raise AttributeError(f"module 'perdure' has no attribute {name!r}; it has {', '.join(__all__)}")
        return getattr(import_module(_PLACES[name]), name)

    def __dir__():
        return sorted(__all__)
