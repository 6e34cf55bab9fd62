"""The curriculum reference, from the schema: `python -m perdure.curriculum.file.reference > docs/curriculum.md`."""

import json
import re
from typing import Any, Literal, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from perdure.curriculum.file import schema_paths
from perdure.curriculum.file.trl_fields import OWNED, REFUSED
from perdure.curriculum.schema import Curriculum

HEAD = """\
# The curriculum

<!-- Written from the schema by: python -m perdure.curriculum.file.reference > docs/curriculum.md -->

A curriculum is one YAML file: a base model, a budget, a way to choose the method, a stream of stages, and the
benchmarks that must be kept. The model says which world it is about: `language` (causal language models) or `vision`
(small classifiers of images, `type: mlp`). `perdure sample` prints a commented one that works, `perdure validate FILE`
checks one, `perdure run FILE` lives it. A file is given by its path, a shipped curriculum by its name; an existing file
wins.

A key that is not listed here is refused, as are a value of another type and a setting that has no meaning in the
curriculum's world (the tables name the world where a setting has only one). Every fault of a file is reported at once,
as `file:line:column: path: rule`. YAML is read as version 1.2: `1e-5` is a number, `yes` and `no` are text, and a key
given twice is refused.

## Paths

`model.model_name_or_path`, `model.data`, `budget.generic`, `budget.law`, the `include_path` of a benchmark, `path` and
`data_files` of a `dataset` task and `data` of an `images` task may name local files and folders. They are relative to
the curriculum's own folder; in a `--set`, to the current folder. `~` is the home folder. A path that begins with `/`,
`./`, `../` or `~`, or a dataset that ends in `.json`, `.jsonl`, `.csv` or `.parquet`, must exist. Another name, such as
`org/name`, is a hub id unless a file or folder of that name exists. `data_files` without a leading `./` lie inside the
dataset's own folder or repository; where `path` is a reader of `datasets` (`json`, `csv`, `parquet`, `text`, `arrow`),
they are local files.

## Overrides

`--set path=value` sets one value, and may be repeated; the last wins. A path goes by keys, list indices and names of
stages or benchmarks: `stages.0.train.learning_rate=1e-5`, `stages[0].method=rl` and `stages.even_number.method=rl`.
The value is YAML: `--set model.lora={r: 8}` sets a map, `--set model.lora=null` takes it away. `--seed N` is
`--set seed=N`, and comes last.

## Which setting wins

From the weakest to the strongest:

1. the method's own default (see `agent/methods`, and `agent/vision/plan.py` for the vision world), where a setting is
   left out or `null`;
2. the curriculum's `train`;
3. its section for the method, such as `train.rl`;
4. the stage's `train`;
5. the stage's section for the method.

`trl` maps are merged key by key in the same order. The method of a stage is its own `method`, or else what `strategy`
says.
"""

TRL = """\
## Fields of TRL

`trl` takes any other field of the installed TRL's config by its own name: of `SFTConfig` under `sft`, of `GRPOConfig`
under `rl` and `chord`. A field under the `trl` of `train` itself must exist for every method that a stage may come to
use. What has a key of its own is refused under `trl`, and so are these, which perdure sets itself:

| field | instead |
|---|---|
"""


def reference_markdown() -> str:
    """The whole reference as Markdown: one table a section, nested sections linked."""
    parts = [HEAD]
    headings = _sections()
    for section, heading in headings.items():
        parts.append(f"## {heading}\n\n{schema_paths.summary(section)}\n\n{_table(section, headings)}\n")
    owned = "\n".join(f"| `{field}` | {_cell(reason)} |" for field, reason in (OWNED | REFUSED).items())
    return "\n".join([*parts, f"{TRL}{owned}\n"])


def _sections() -> dict[type[BaseModel], str]:
    """Every section once, parents first, with its heading: `model`, `stages.task: dataset`, `train.rl`."""
    headings: dict[type[BaseModel], str] = {Curriculum: "The top of the file"}
    waiting: list[tuple[type[BaseModel], str]] = [(Curriculum, "")]
    for section, path in waiting:  # grows while it is walked
        for name, field in section.model_fields.items():
            inner = f"{path}.{name}" if path else name
            for held in schema_paths.held_sections(field.annotation):
                tag = schema_paths.tag_of(held)
                if held not in headings:
                    headings[held] = f"{inner}: {tag}" if tag else inner
                    waiting.append((held, inner))
    return headings


def _table(section: type[BaseModel], headings: dict[type[BaseModel], str]) -> str:
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, field in sorted(section.model_fields.items(), key=lambda one: one[0] != "type"):
        cells = (f"`{name}`", _type(field, headings), _default(field), _meaning(field))
        rows.append(f"| {' | '.join(map(_cell, cells))} |")
    return "\n".join(rows)


def _type(field: FieldInfo, headings: dict[type[BaseModel], str]) -> str:
    held = schema_paths.held_sections(field.annotation)
    if held:
        links = " or ".join(f"[{headings[one]}](#{_anchor(headings[one])})" for one in held)
        return f"list of {links}" if schema_paths.sections(field.annotation) == () else links
    return " or ".join(_word(kind) for kind in schema_paths.members(field.annotation)) + _limits(field)


def _word(kind: Any) -> str:
    """A type in plain words; literals as the values that may be written."""
    if schema_paths.origin(kind) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    if schema_paths.origin(kind) is list:
        return f"list of {' or '.join(_word(one) for one in schema_paths.members(get_args(kind)[0]))}"
    if schema_paths.origin(kind) is dict:
        key = schema_paths.members(get_args(kind)[0])[0]
        return f"map of {_word(key)}" if schema_paths.origin(key) is Literal else "map"
    return WORDS.get(kind, str(kind))


WORDS = {str: "text", int: "whole number", float: "number", bool: "`true`, `false`"}
SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def _limits(field: FieldInfo) -> str:
    """` ≥ 0, < 1` from the field's own constraints."""
    found = [
        f"{sign} {getattr(limit, name):g}" if getattr(limit, name) < 2**32 else f"{sign} 2³²"
        for limit in field.metadata
        for name, sign in SIGNS.items()
        if getattr(limit, name, None) is not None
    ]
    return f" {', '.join(found)}" if found else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    if default is None or default in ({}, []) or isinstance(default, BaseModel):
        return "–"
    return f"`{json.dumps(default)}`".replace('"', "")


def _meaning(field: FieldInfo) -> str:
    if field.description is None and schema_paths.allowed(field.annotation):
        return "says which kind of section this is"
    return field.description or ""


def _anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    print(reference_markdown(), end="")
