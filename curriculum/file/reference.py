"""The curriculum reference, from the schema: `python -m perdure.curriculum.file.reference > docs/curriculum.md`."""

import json
import re
from math import log
from typing import Any, Literal, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from perdure.curriculum.file import schema_paths
from perdure.curriculum.file.library import library_of
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.worlds.learnable import needs_of
from perdure.curriculum.worlds.registry import worlds

INTRODUCTION = """\
# The curriculum

<!-- Written from the schema by: python -m perdure.curriculum.file.reference > docs/curriculum.md -->

A curriculum is one YAML file: a base model, a budget, a way to choose the method, a stream of stages, and the
benchmarks that must be kept. The model says which world it is about: `language` (causal language models), `vision`
(small classifiers of images, `type: mlp`) or `control` (policies of robots and games, `type: control`). `perdure
sample` prints a commented one that works, `perdure validate FILE` checks one, `perdure run FILE` runs it. A file is
given by its path, a shipped curriculum by its name; an existing file wins.

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

1. the default of the objective or modifier (`curriculum/worlds/NAME/spec.py`), where a setting is left out or `null`;
2. what a recipe sets;
3. the curriculum's `train`, then its section of the objective (for `gate` that of `rl`, then its own), then that of the
   recipe;
4. the same three of the stage.

What makes a recipe another method than its objective, such as the `token_weight` of `eaft`, only the recipe's own
section overrides. A `beta` of 0 does not reach `rl_kl` or `sft_kl` from elsewhere.

A modifier has a section of its own, such as `train.replay`, whatever the objective; the recipe's section overrides it,
such as `train.sft_kl` that of `train.kl`. Of `train` itself only `beta` reaches a modifier: that of `sft_kl`.

A `learning_rate_share` is the share of a learning rate that other sections set. `trl` maps are merged key by key. The
method of a stage is its own `method`, or else what `strategy` says.

## Enforcement and allocation

`budget.kl` caps the whole run, and `budget.allocation` divides what remains: the cap of a stage is the KL when it
begins, plus its share of the rest. `budget.enforce` is one word or a list:

| word | what it does | beside |
|---|---|---|
| `observe` | only measures | nothing |
| `stop` | ends an update at the first reading above the cap, and keeps what it reached | `penalty`, `recover` |
| `rollback` | goes back to the last state within the cap | `penalty`, `recover` |
| `project` | goes back along the line to the last state within the cap, as little as needed | `penalty`, `recover` |
| `penalty` | adds a KL term to every method's loss, its weight steered to the cap | any but `observe` |
| `recover` | if a stage ends above the cap, distils from the base | any but `observe` |

At most one of `observe`, `stop`, `rollback` and `project` can be listed. With `rollback` or `project` no stage is
committed above its cap; with `stop`, or with `penalty` and `recover` alone, one may be. Under `project`, and beside
`penalty` or `recover`, a reading above the cap does not end an update, since something brings it back. With
`confidence` the upper bound of the KL counts, and not the estimate.

A setting of the budget that cannot have an effect is refused: `penalty` and `recover` where `enforce` does not list
them, `generic` where neither `prompts` nor `recover` reads it, `fraction` without `allocation: remaining`, and the
`rate` or `horizon` of the other controller. It is allowed if the switch comes from a `--set` or a sweep, so that one
run can turn off what a file sets.

## Methods

`method: OBJECTIVE [+ MODIFIER]…`, such as `sft`, `rl+replay` or `chord+replay+kl`: an objective is what the gradient is
of, modifiers add to it, in any order. A recipe is a name for an objective, modifiers and settings; one without
modifiers can be given some, such as `eaft+replay`.

METHODS
## Strategies

`fixed` uses one method. `rule` decides among `sft`, `rl` and `chord` by the base rate, the demonstrations and the
remaining budget. `probe` tries each of its `candidates` for a few steps on a copy of the policy, and `bandit` learns
over the stages which one pays; candidates that cannot learn a task are skipped, and a task that none can learn is
refused. `python` is your own. A stage with a `method` of its own asks no strategy.

"""


def reference_markdown() -> str:
    """The whole reference as Markdown: one table a section, nested sections linked."""
    parts = [INTRODUCTION.replace("METHODS", _methods())]
    headings = _sections()
    for section, heading in headings.items():
        parts.append(f"## {heading}\n\n{schema_paths.summary_of(section)}\n\n{_settings(section, headings)}\n")
    libraries = [library.reference() + "\n" for spec in worlds().values() if (library := library_of(spec)) is not None]
    return "\n".join([*parts, *libraries])


def _sections() -> dict[type[BaseModel], str]:
    """Every section once, parents first, with its heading: `model`, `stages.task: dataset`, `train.rl`."""
    headings: dict[type[BaseModel], str] = {Curriculum: "The top of the file"}
    waiting: list[tuple[type[BaseModel], str]] = [(Curriculum, "")]
    for section, path in waiting:  # grows while it is walked
        for name, field in section.model_fields.items():
            inner = f"{path}.{name}" if path else name
            found = schema_paths.held_sections(field.annotation)
            for held in found:
                if held not in headings:
                    kind = schema_paths.tag_of(held) or (held.__name__.lower() if len(found) > 1 else None)
                    heading = f"{inner}: {kind}" if kind else inner
                    taken = heading in headings.values()
                    headings[held] = f"{inner}: {schema_paths.tag_of(section)}" if taken else heading
                    waiting.append((held, inner))
    return headings


def _methods() -> str:
    """A row for each objective, modifier and recipe of any world."""
    rows: dict[tuple[str, str], list[str]] = {}
    for spec in worlds().values():
        for one in spec.methods:
            row = [schema_paths.summary_of(one.settings).removesuffix("."), needs_of(one) or "–"]
            rows.setdefault((one.kind, one.name), row).append(spec.name)
        for recipe in spec.recipes:
            settings = " and ".join(
                f"`{name}: {value}`" for name, value in {**recipe.settings, **recipe.defaults}.items()
            )
            meaning = f"`{recipe.combination}`" + (f" with {settings}" if settings else "")
            row = [meaning, needs_of(spec.method(recipe.name))]
            rows.setdefault(("recipe", recipe.name), row).append(spec.name)
    lines = ["| kind | method | meaning | needs | worlds |", "|---|---|---|---|---|"]
    for kind in ("objective", "modifier", "recipe"):
        for (_, name), (meaning, needs, *where) in (row for row in rows.items() if row[0][0] == kind):
            shown = f"[`{'+' * (kind == 'modifier')}{name}`](#{_anchor(f'train.{name}')})"
            lines.append(f"| {kind} | {shown} | {meaning} | {needs} | {', '.join(where)} |")
    return "\n".join(lines) + "\n"


def _settings(section: type[BaseModel], headings: dict[type[BaseModel], str]) -> str:
    """The table of a section; that of a recipe has only settings that its objective's section lacks."""
    name = headings[section].removeprefix("train.")
    recipe = next((one for spec in worlds().values() for one in spec.recipes if one.name == name), None)
    if recipe is None:
        return _table(section, headings)
    parent = next(one for one, heading in headings.items() if heading == f"train.{recipe.objective}")
    also = f"The recipe takes every setting of [train.{recipe.objective}](#{_anchor(headings[parent])})"
    if set(section.model_fields) <= set(parent.model_fields):
        return also + "."
    return f"{also}, and these of its modifiers:\n\n{_table(section, headings, besides=parent)}"


def _table(section: type[BaseModel], headings: dict[type[BaseModel], str], besides: type[BaseModel] = BaseModel) -> str:
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    fields = {name: field for name, field in section.model_fields.items() if name not in besides.model_fields}
    for name, field in sorted(fields.items(), key=lambda one: one[0] != "type"):
        cells = (f"`{name}`", _type(field, headings), _default(field), _meaning(field))
        rows.append(f"| {' | '.join(map(_cell, cells))} |")
    return "\n".join(rows)


def _type(field: FieldInfo, headings: dict[type[BaseModel], str]) -> str:
    held = schema_paths.held_sections(field.annotation)
    if held:
        links = " or ".join(f"[{headings[one]}](#{_anchor(headings[one])})" for one in held)
        return f"list of {links}" if schema_paths.sections_of(field.annotation) == () else links
    return " or ".join(_word(kind) for kind in schema_paths.members(field.annotation)) + _limits(field)


def _word(kind: Any) -> str:
    """A type in plain words; literals as the values that may be written."""
    if schema_paths.origin_of(kind) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    if schema_paths.origin_of(kind) is list:
        return f"list of {' or '.join(_word(one) for one in schema_paths.members(get_args(kind)[0]))}"
    if schema_paths.origin_of(kind) is dict:
        key = schema_paths.members(get_args(kind)[0])[0]
        return f"map of {_word(key)}" if schema_paths.origin_of(key) is Literal else "map"
    return TYPE_WORDS.get(kind, str(kind))


TYPE_WORDS = {str: "text", int: "whole number", float: "number", bool: "`true`, `false`"}
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def _limits(field: FieldInfo) -> str:
    """` ≥ 0, < 1` from the constraints of the field and of its type."""
    inner = [limit for one in get_args(field.annotation) for limit in _inside(one)]
    found = [
        f"{sign} {_number(getattr(limit, name))}"
        for name, sign in SIGNS.items()
        for limit in (*field.metadata, *inner)
        if getattr(limit, name, None) is not None
    ]
    return f" {', '.join(found)}" if found else ""


def _inside(annotation: Any) -> list[Any]:
    """The constraints in an `Annotated`, those of its `Field`s included."""
    found = getattr(annotation, "__metadata__", ())
    return [limit for one in found for limit in (one.metadata if isinstance(one, FieldInfo) else [one])]


def _number(limit: float) -> str:
    """`0.5`, `10⁸`, `2³²`."""
    for base in (10, 2):
        power = round(log(limit, base)) if limit >= 10**4 else 0
        if power and float(base**power) == limit:
            return f"{base}{str(power).translate(SUPERSCRIPTS)}"
    return f"{limit:g}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    if default is None or default in ({}, []) or isinstance(default, BaseModel):
        return "–"
    return f"`{json.dumps(default)}`".replace('"', "")


def _meaning(field: FieldInfo) -> str:
    if field.description is None and schema_paths.allowed(field.annotation):
        return "the kind of section"
    return field.description or ""


def _anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    print(reference_markdown(), end="")
