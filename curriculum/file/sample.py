"""The curricula that `perdure sample` prints: small, working offline, and explained by the schema's descriptions.

A world's module `sample.py` has the text of its `SAMPLE` and of its `MINIMAL` one, of at most 25 lines with the header.
"""

from importlib import import_module
from textwrap import wrap
from typing import Any

from perdure.budget.errors import ConfigError
from perdure.curriculum.file import schema_paths
from perdure.curriculum.file.document import parse
from perdure.curriculum.file.json_schema import FIRST_LINE, SCHEMA_FILE
from perdure.curriculum.messages import did_you_mean
from perdure.curriculum.worlds.registry import default_world, worlds

OFF_MARK = "  #off"
"""The mark of a sample's lines that are printed as comments."""

HEADER = f"""\
{FIRST_LINE}
# A curriculum for perdure. Check it with `perdure validate FILE`, run it with `perdure run FILE`.
# Lines that begin with `#` and no space are settings that are off: remove the `#` to use them.
# Paths are relative to this file. Every key is in docs/curriculum.md.
# Editors check and complete it by the file that its first line names: `perdure schema -o {SCHEMA_FILE}`.
"""

MINIMAL_HEADER = f"""\
{FIRST_LINE}
# Run it with `perdure run FILE`. `perdure sample` prints one in which every section is explained.
"""


def sample_curriculum(world: str | None = None, *, minimal: bool = False) -> str:
    """A curriculum that validates and runs as it is; each key is explained where it first appears.

    Args:
        world: a world's name; `None` is that of a model without a `type`.
        minimal: one of at most 25 lines, explained only by a few comments.

    Raises:
        ConfigError: there is no such world, or it has no sample.
    """
    texts = _texts(default_world().name if world is None else world)
    return f"{MINIMAL_HEADER}{texts.MINIMAL}" if minimal else f"{HEADER}\n{_explained(texts.SAMPLE)}\n"


def _texts(world: str) -> Any:
    having = {name: spec.sample for name, spec in worlds().items() if spec.sample is not None}
    if world not in having:
        hint = did_you_mean(world, having) or f"; there are {', '.join(having)}"
        raise ConfigError(f"there is no sample of a world {world!r}{hint}")
    return import_module(having[world])


def _explained(text: str) -> str:
    """A sample with the description of each key above the line where it first appears."""
    explained = _explanations(text)
    lines: list[str] = []
    column: int | None = None
    for number, line in enumerate(text.splitlines(), 1):
        indent = len(line) - len(line.lstrip())
        off = line.endswith(OFF_MARK)
        column = None if not off else indent if column is None else min(column, indent)
        lines += [f"{' ' * indent}# {part}" for part in wrap(explained.get(number, ""), 100 - indent)]
        lines.append(line if column is None else f"{line[:column]}#{line[column:].removesuffix(OFF_MARK)}")
    return "\n".join(lines)


def _explanations(text: str) -> dict[int, str]:
    """The description of the key on each line of a sample, each description once."""
    document = parse(text, "sample")
    first: dict[str, int] = {}
    for path, place in document.keys.items():
        first.setdefault(schema_paths.describe_key(path, document.data), place.line or 0)
    return {line: text for text, line in first.items()}
