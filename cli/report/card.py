"""The model card of an exported policy: the hub's metadata, and what the run measured."""

import math
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from perdure.agent.export.export import Described
from perdure.agent.run.percent import in_percent
from perdure.agent.run.report import Change, changes
from perdure.agent.run.state import StageState
from perdure.budget.base_id import weights_of
from perdure.budget.estimate import Estimate
from perdure.budget.figures import figure
from perdure.cli.views.format import format_generic, format_kl, last_reading
from perdure.curriculum.messages import printable
from perdure.curriculum.worlds.nouns import Nouns
from perdure.eval.scorefile import Asked

TEMPLATE = "card.md.jinja"
LIBRARIES = ("torch", "transformers", "trl", "peft")


def model_card(one: Described) -> str:
    """The text of README.md, with the hub's YAML metadata before it."""
    from huggingface_hub import ModelCardData
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown; the hub cleans what it shows
    )
    metadata = ModelCardData(**_metadata(one)).to_yaml()
    return environment.get_template(TEMPLATE).render(_contents(one) | {"metadata": metadata})


def _metadata(one: Described) -> dict[str, Any]:
    base, exported = one.exported.base, one.exported
    tied = {"base_model": base.hub, "base_model_relation": exported.relation} if base.hub else {}
    tags = ["perdure", "continual-learning", *exported.tags]
    return {
        **base.license,
        **tied,
        "library_name": exported.library,
        "pipeline_tag": exported.pipeline,
        "tags": tags,
    }


def _contents(one: Described) -> dict[str, Any]:
    record, row = one.record, one.row
    rows = [found for found in record.rows if found.stage <= row.stage]
    return {
        "title": one.name,
        "summary": _summary(one),
        "usage": one.exported.usage,
        "notes": one.exported.notes,
        "base": _base(one),
        "license": _license(one),
        "base_sha256": weights_of(one.begun.base_id),
        "stages": [_stage(found, one.record.nouns) for found in rows if found.stage],
        "settings": [*_settings(one)],
        "columns": [f"after stage {found.stage}" if found.stage else "base" for found in rows],
        "scores": [*_scores(one, rows)],
        "stage": row.stage,
        "kl": _kl(one),
        "version": one.begun.versions.get("perdure") or version("perdure"),
        "policy_sha256": row.weights_sha256,
    }


def _summary(one: Described) -> str:
    tasks = f"{one.row.stage} of {len(one.record.tasks)} tasks"
    how = "an adapter of" if one.exported.relation == "adapter" else "all weights of"
    return (
        f"The policy of the run `{one.record.run}` of perdure after {tasks}: {how} {one.exported.base.title}, trained "
        "on one task after another while its KL divergence from the base was measured."
    )


def _base(one: Described) -> str:
    base = one.exported.base
    revision = f" at revision `{base.revision}`" if base.revision else ""
    unnamed = " (no revision named: the default branch)" if base.hub and not base.revision else ""
    return f"The base is {base.title}{revision}{unnamed}"


def _license(one: Described) -> str:
    said = one.exported.base.license["license"]
    return "not known, since it has no card that says it" if said == "unknown" else said


def _stage(row: StageState, nouns: Nouns) -> dict[str, Any]:
    reading = last_reading(row)
    cap = "n/a" if row.cap is None or reading is None else f"{figure(row.cap)} nats/{nouns.unit(reading.unit)}"
    return {"number": row.stage, "task": _cell(row.name), "method": row.method, "steps": row.steps, "cap": cap}


def _settings(one: Described) -> Iterator[str]:
    curriculum = one.curriculum
    yield f"Strategy: {curriculum.strategy.type}; seed {curriculum.seed}."
    per = one.record.nouns.per(curriculum.budget.unit)
    yield f"Budget: {curriculum.budget.kl:g} nats {per}; enforced by {_joined(one)}."
    known = [f"{name} {one.begun.versions[name]}" for name in LIBRARIES if name in one.begun.versions]
    yield f"With {', '.join(known)}." if known else "Versions of libraries: not known."


def _joined(one: Described) -> str:
    return ", ".join(f"`{name}`" for name in one.curriculum.budget.enforced)


def _scores(one: Described, rows: list[StageState]) -> Iterator[dict[str, Any]]:
    tested = changes(one.record, one.folder)
    for name in (*one.record.tasks, *one.record.benchmarks):
        found = [row.scores.get(name) for row in rows]
        asked = [row.asked.get(name) for row in rows]
        scale = 100 if in_percent(one.record, [name]) else 1
        change = tested.get((one.row.stage, name))
        yield {"name": _cell(name), "cells": [_score(*one, scale) for one in zip(found, asked, strict=True)]} | _change(
            change, scale
        )


def _score(score: Estimate | None, asked: Asked | None, scale: float) -> str:
    if score is None or score.n < 2 or not math.isfinite(score.value):
        return f"n/a (n={0 if score is None else score.n})"
    error = "" if score.stderr is None else f" ± {scale * score.stderr:.1f}"
    part = "" if asked is None else f" ({asked.n} of {asked.of} items asked)"
    return f"{scale * score.value:.1f}{error}{part}"


def _change(change: Change | None, scale: float) -> dict[str, Any]:
    if change is None:
        return {"change": "n/a", "p": "n/a"}
    known = change.low is not None and change.high is not None
    interval = f" [{scale * (change.low or 0):+.1f}, {scale * (change.high or 0):+.1f}]" if known else ""
    p = "n/a" if change.p_value is None else f"{change.p_value:.2g}"
    return {"change": f"{scale * change.difference:+.1f}{interval}", "p": p}


def _kl(one: Described) -> str:
    reading, budget, nouns = last_reading(one.row), one.curriculum.budget, one.record.nouns
    if reading is None:
        return "The KL was not measured."
    whose = PROMPTS[one.record.prompts(budget.prompts)].format(nouns.prompt)
    held = "within" if reading.within else "above"
    each = (f"{figure(reading.in_unit(unit).value)} nats {nouns.per(unit)}" for unit in ("token", "sequence"))
    both = "" if nouns.one_unit else f": {', '.join(each)}"
    answers = "" if nouns.one_unit else f"the base's {nouns.answer}s {nouns.to} "
    settings = f" (at {one.record.kl_settings})" if one.record.kl_settings else ""
    return (
        f"KL(base ‖ policy), the forward KL with the base first, is {format_kl(reading, nouns=nouns)}{settings}: "
        f"{held} the cap. It is measured on {answers}{whose}, in nats "
        f"{nouns.per(reading.unit)}, ± one standard error over {nouns.prompt}s{both}"
        f"{format_generic(reading, nouns=nouns)}."
    )


PROMPTS = {
    "seen": "the {0}s of every task so far, in equal parts",
    "task": "the {0}s of the stage's own task",
    "generic": "a fixed set of general {0}s",
    "both": "the {0}s of every task so far, in equal parts, or general {0}s, where it is larger",
}


def _cell(text: str) -> str:
    """A text for a cell of a table."""
    return printable(text).replace("|", "\\|").replace("\n", " ")
