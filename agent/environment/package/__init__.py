"""The package `perdure`: its rooms lie beside this file once it is installed. `pyproject.toml` puts it there.

gymnasium imports the part of an environment's name before the colon, here `perdure`, and expects to find the
environment registered then; its releases since 1.0 have no other way in. Whoever does not use gymnasium pays nothing.
"""

import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

ENVIRONMENT = "perdure.agent.environment"


class _AfterGymnasium:
    """Registers once gymnasium has been imported, where perdure was imported before it."""

    @classmethod
    def find_spec(cls, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """gymnasium's own spec, whose loader registers when it is done; of any other module, nothing."""
        if name != "gymnasium":
            return None
        sys.meta_path.remove(cls)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module: ModuleType) -> None:
                execute(module)
                importlib.import_module(ENVIRONMENT)

            spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


if "gymnasium" in sys.modules:
    importlib.import_module(ENVIRONMENT)
else:
    sys.meta_path.insert(0, _AfterGymnasium)
