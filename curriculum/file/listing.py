"""The things that a curriculum can name, one row each, from their registries: for `perdure list`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from pydantic import BaseModel

from perdure.curriculum.file import schema_paths
from perdure.curriculum.file.document import parse
from perdure.curriculum.file.shipped import first_sentence, shipped, shipped_sweeps, summary_and_needs
from perdure.curriculum.file.world_faults import world_of
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.sweeps.points import count_cells
from perdure.curriculum.sweeps.schema import Sweep
from perdure.curriculum.worlds.learnable import needs_of
from perdure.curriculum.worlds.registry import worlds


@dataclass(frozen=True)
class Listed:
    """One thing that a curriculum can name.

    Attributes:
        summary: what it is, in one line.
        needs: what it needs; empty for nothing.
        worlds: the worlds that have it; empty where it is of no world.
        group: the sort of thing, where there are several.
    """

    name: str
    summary: str
    needs: str = ""
    worlds: tuple[str, ...] = ()
    group: str = ""


def curricula() -> list[Listed]:
    """The shipped curricula."""
    found = []
    for name, file in shipped().items():
        world = world_of(parse(file.read_text(encoding="utf-8"), name))
        found.append(Listed(name, *summary_and_needs(file), (world.name,) if world else ()))
    return found


def sweeps() -> list[Listed]:
    """The shipped sweeps; each needs its runs."""
    found = []
    for name, file in shipped_sweeps().items():
        sweep = Sweep.model_validate(parse(file.read_text(encoding="utf-8"), name).data)
        summary, needs = summary_and_needs(file)
        runs = f"{count_cells(sweep)} runs of `{sweep.curriculum}`"
        found.append(Listed(name, summary, ", ".join(filter(None, (runs, needs)))))
    return found


def methods() -> list[Listed]:
    """The objectives, modifiers and recipes of all worlds; a modifier with its `+`."""
    return sorted(_together(_methods()), key=lambda one: list(GROUPS.values()).index(one.group))


GROUPS = {
    "objective": "objectives",
    "modifier": "modifiers, behind an objective: sft+replay",
    "recipe": "recipes, each a name for a combination",
}


def _methods() -> Iterator[Listed]:
    for spec in worlds().values():
        for one in spec.methods:
            name = f"+{one.name}" if one.kind == "modifier" else one.name
            yield Listed(name, headline_of(one.settings), _listed(needs_of(one)), (spec.name,), GROUPS[one.kind])
        for recipe in spec.recipes:
            needs = _listed(needs_of(spec.method(recipe.name)))
            yield Listed(recipe.name, recipe.meaning, needs, (spec.name,), GROUPS["recipe"])


def _listed(needs: str) -> str:
    return needs.replace(" and a ", ", ").replace(" and ", ", ")


def strategies() -> list[Listed]:
    """The strategies."""
    return [_section(one) for one in _sections_at("strategy")]


def tasks() -> list[Listed]:
    """The sources of tasks."""
    rows = (replace(_section(one), worlds=(spec.name,)) for spec in worlds().values() for one in spec.tasks)
    return _together(rows)


def rewards() -> list[Listed]:
    """The rewards of all worlds; the group is the key of a task that names one."""
    return [
        Listed(one.name, one.summary, one.needs, (spec.name,), f"task.{one.key}")
        for spec in worlds().values()
        for one in spec.rewards
    ]


def benchmark_kinds() -> list[Listed]:
    """The kinds of benchmarks."""
    text = tuple(spec.name for spec in worlds().values() if spec.reads_text)
    everywhere = tuple(worlds())
    return [
        replace(_section(one), worlds=text if schema_paths.tag_of(one) == "lm_eval" else everywhere)
        for one in _sections_at("benchmarks")
    ]


def headline_of(section: type[BaseModel]) -> str:
    """The first sentence of a section's docstring."""
    return first_sentence(schema_paths.summary_of(section))


def _sections_at(key: str) -> tuple[type[BaseModel], ...]:
    return schema_paths.held_sections(Curriculum.model_fields[key].annotation)


def _section(section: type[BaseModel]) -> Listed:
    """A section by its `type`, with its required keys and what else its class says that it needs."""
    required = [f"`{name}`" for name, field in section.model_fields.items() if field.is_required() and name != "type"]
    needs = [*required, *filter(None, [getattr(section, "NEEDS", "")])]
    return Listed(str(schema_paths.tag_of(section)), headline_of(section), ", ".join(needs))


def _together(rows: Iterable[Listed]) -> list[Listed]:
    """Rows of the same thing as one, with the worlds of all; the first world's words count."""
    found: dict[tuple[str, str], Listed] = {}
    for row in rows:
        first = found.setdefault((row.group, row.name), replace(row, worlds=()))
        found[row.group, row.name] = replace(first, worlds=(*first.worlds, *row.worlds))
    return list(found.values())
