"""The package `perdure`: its rooms lie beside this file once it is installed. `pyproject.toml` puts it there.

gymnasium imports the part of an environment's name before the colon, here `perdure`, and expects to find the
environment registered then; its releases since 1.0 have no other way in. Whoever does not use gymnasium pays nothing.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

ENVIRONMENT = "perdure.agent.environment"


class _Registering(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        import_module(ENVIRONMENT)


class _Finder:
    """Where perdure was imported first: finds gymnasium alone, as anyone would, to register when it is loaded."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path) if name == "gymnasium" else None
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Registering(spec.loader.name, spec.loader.path)
        return spec


if "gymnasium" in sys.modules:
    import_module(ENVIRONMENT)
else:
    sys.meta_path.insert(0, _Finder)
