"""The fields of TRL's configs, read from the installed package without importing it.

TRL's configs are dataclasses; their fields are read from the source files, which takes some 50 ms, while importing
TRL takes ten seconds. If the files are not there, TRL is imported.
"""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

CONFIG_FILES = {
    "SFTConfig": ("trl", "trainer/sft_config.py"),
    "GRPOConfig": ("trl", "trainer/grpo_config.py"),
    "_BaseConfig": ("trl", "trainer/base_config.py"),
    "TrainingArguments": ("transformers", "training_args.py"),
    "SchedulerType": ("transformers", "trainer_utils.py"),
}
"""The file in which each class is defined."""


@dataclass(frozen=True)
class Field:
    """A field of a config as its source declares it; `choices` is empty if the source does not list them."""

    annotation: str
    choices: tuple[str, ...] = ()


@cache
def fields_of(config: str) -> Mapping[str, Field]:
    """The fields of `SFTConfig` or `GRPOConfig`, inherited ones included."""
    try:
        return _declared(config)
    except (OSError, KeyError, SyntaxError):
        import dataclasses

        import trl

        found: tuple[dataclasses.Field[Any], ...] = dataclasses.fields(getattr(trl, config))
        return {one.name: Field(str(one.type)) for one in found if one.init}


@cache
def schedulers() -> tuple[str, ...]:
    """The values of `lr_scheduler_type`; empty if they cannot be read."""
    try:
        lines = _class("SchedulerType").body
    except (OSError, KeyError, SyntaxError):
        return ()
    values = (line.value for line in lines if isinstance(line, ast.Assign))
    return tuple(str(value.value) for value in values if isinstance(value, ast.Constant))


@cache
def _declared(config: str) -> Mapping[str, Field]:
    body = _class(config)
    found: dict[str, Field] = {}
    for base in body.bases:
        found |= _declared(base.id if isinstance(base, ast.Name) else "")
    for line in body.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and not line.target.id.startswith("_"):
            found[line.target.id] = Field(ast.unparse(line.annotation), _choices(line.value))
    return found


def _class(name: str) -> ast.ClassDef:
    """The source of one class.

    Raises:
        OSError, KeyError, SyntaxError: the installed package is laid out otherwise.
    """
    package, file = CONFIG_FILES[name]
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise OSError(f"{package} is not installed")
    text = (Path(spec.submodule_search_locations[0]) / file).read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node
    raise KeyError(name)


def _choices(value: ast.expr | None) -> tuple[str, ...]:
    """The allowed values in `field(metadata={"choices": …})`, or those that its help lists as supported."""
    metadata: dict[str, Any] = {}
    for keyword in value.keywords if isinstance(value, ast.Call) else ():
        if keyword.arg == "metadata":
            try:
                metadata = ast.literal_eval(keyword.value)
            except ValueError:  # a computed help text
                return ()
    if "choices" in metadata:
        return tuple(metadata["choices"])
    listed = re.search(r"Supported values are ((?:'\w+'[, and]*)+)\.", str(metadata.get("help", "")))
    return tuple(re.findall(r"'(\w+)'", listed[1])) if listed else ()
