"""Finds a user's own function by dotted path: `module:function`, from an installed package or the current directory."""

import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from perdure.budget.errors import ConfigError
from perdure.curriculum.messages import did_you_mean

RENAMED_MODULES = {"perdure.curriculum.skills": "perdure.curriculum.worlds.language.skills"}
"""Modules that curricula may name as an earlier version did."""


def load_function(path: str, what: str) -> Callable[..., Any]:
    """The function at `module:function`. `what` says in messages what it is for ("the reward", …).

    The current directory is searched last, so that a module there is found but hides no package.

    Raises:
        ConfigError: no such module, a module that fails while it is imported, no such function, or not a function.
    """
    module_name, _, name = path.partition(":")
    module = _import(RENAMED_MODULES.get(module_name, module_name), f"{what} {path!r}")
    if not hasattr(module, name):
        public = [word for word in vars(module) if not word.startswith("_")]
        raise ConfigError(f"{what} {path!r}: module {module_name!r} has no {name!r}{did_you_mean(name, public)}")
    found = getattr(module, name)
    if not callable(found):
        raise ConfigError(f"{what} {path!r} is not a function but {type(found).__name__}")
    return found  # type: ignore[no-any-return]


def _import(name: str, shown: str) -> Any:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise ConfigError(
                f"{shown}: there is no module {error.name!r}; "
                f"it must be installed or lie in the current directory, {here}"
            ) from error
        raise ConfigError(f"{shown}: importing {name!r} failed: {error}") from error
    except Exception as error:
        raise ConfigError(f"{shown}: importing {name!r} failed: {show_error(error)}") from error


def show_error(error: Exception) -> str:
    """`ValueError: message (file.py, line 3)`: an error of a user's own code, and its place."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"
