"""The schema of a sweep file. Importing it imports no torch."""

import json
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from perdure.budget.bounds import Level, Threads, Weight
from perdure.budget.config import Frozen, broken_rule
from perdure.curriculum.evaluation import Name

LOGSPACE_DIGITS = 6
"""Significant digits of a `logspace` value: legible, and the same on every machine."""


class Logspace(Frozen):
    """Values with a constant ratio from one to the next, both ends included."""

    low: Annotated[Weight, Field(gt=0, description="the first value")]
    high: Annotated[Weight, Field(gt=0, description="the last value")]
    num: Annotated[Level, Field(ge=2, description="how many values")]

    @property
    def values(self) -> list[float]:
        """`low * (high / low) ** (i / (num - 1))`, to six significant digits."""
        ratio, last = self.high / self.low, self.num - 1
        inner = [float(f"{self.low * ratio ** (i / last):.{LOGSPACE_DIGITS}g}") for i in range(1, last)]
        return [self.low, *inner, self.high]

    @model_validator(mode="after")
    def _ends_differ(self) -> "Logspace":
        if self.low >= self.high:
            raise broken_rule(f"must be above `low`; got {self.high:g}", "high")
        return self


class Axis(Frozen):
    """One axis of the sweep: one field and its values, or several fields at once in named cells."""

    name: Annotated[
        Name | None, Field(description="column `axis.NAME` of the results; default: the last word of `path`")
    ] = None
    path: Annotated[
        str | None, Field(min_length=1, description="the field of the curriculum, as in `--set`: `train.learning_rate`")
    ] = None
    values: Annotated[list[Any] | None, Field(min_length=1, description="the values of `path`")] = None
    logspace: Annotated[Logspace | None, Field(description="the values of `path`, by their ends and their number")] = (
        None
    )
    cells: Annotated[
        dict[Name, dict[str, Any]] | None,
        Field(min_length=1, description="in place of `path`: by name, the fields that are set together"),
    ] = None

    @property
    def title(self) -> str:
        """The name, or the last word of the path."""
        return self.name or (self.path or "").rpartition(".")[2]

    @property
    def choices(self) -> list[Any]:
        """The values of the results' column: the names of the cells, or the values of the field."""
        if self.cells is not None:
            return list(self.cells)
        return self.values if self.values is not None else self.logspace.values if self.logspace else []

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> "Axis":
        if self.cells is not None:
            for key in ("path", "values", "logspace"):
                if getattr(self, key) is not None:
                    raise broken_rule("an axis has either `cells`, or a `path` with its values", key)
            if self.name is None:
                raise broken_rule("an axis of `cells` needs a `name`")
            return self
        if self.path is None:
            raise broken_rule("an axis needs a `path` with `values` or `logspace`, or else `cells`")
        if (self.values is None) == (self.logspace is None):
            raise broken_rule("`path` needs one of `values` and `logspace`", "path")
        return self

    @model_validator(mode="after")
    def _values_differ(self) -> "Axis":
        written = [json.dumps(value, sort_keys=True, default=str) for value in self.values or ()]
        for index, value in enumerate(written):
            if value in written[:index]:
                raise broken_rule(f"{value} is given twice", "values", index)
        return self


Predictors = Literal["all", "divergences"]


class RayWorkers(Frozen):
    """Workers of a Ray cluster, each for one cell or stack at a time. All of them see the sweep's folder."""

    type: Literal["ray"]
    address: Annotated[
        str, Field(min_length=1, description="`auto`: the cluster of this machine; `local`: one of its own; HOST:PORT")
    ] = "auto"
    num_cpus: Annotated[Weight, Field(ge=0, description="CPUs that Ray reserves for a worker")] = 1
    num_gpus: Annotated[Weight, Field(ge=0, description="GPUs that Ray reserves for a worker")] = 0


class Sweep(Frozen):
    """Many runs: a curriculum, and the fields that vary, with their values."""

    curriculum: Annotated[
        str, Field(min_length=1, description="a shipped curriculum's name, or a path relative to this file")
    ]
    seeds: Annotated[
        list[Annotated[int, Field(ge=0, lt=2**32)]] | None,
        Field(min_length=1, description="every point of the axes runs with each; default: the curriculum's own"),
    ] = None
    combine: Annotated[
        Literal["product", "zip"],
        Field(description="`product`: every value with every other; `zip`: the first ones together, then the second"),
    ] = "product"
    axes: Annotated[list[Axis], Field(description="what varies")] = []
    checkpoints: Annotated[
        Level, Field(ge=1, description="measurements of a stacked cell, evenly spaced, the last at its end")
    ] = 8
    predictors: Annotated[
        Predictors,
        Field(
            description="measured at a checkpoint of a stacked cell: `all`, or `divergences` alone, without changes of "
            "weights and activations, which takes half the time"
        ),
    ] = "all"
    workers: Annotated[
        Annotated[Threads, Field(ge=1)] | Literal["auto"] | RayWorkers,
        Field(description="processes at a time; `auto`: one a CPU core, or one a GPU if the model is on one; or Ray"),
    ] = "auto"

    @property
    def may_run_elsewhere(self) -> bool:
        """True if cells may run on other machines, which may have packages that this one lacks."""
        return isinstance(self.workers, RayWorkers) and self.workers.address != "local"

    @model_validator(mode="after")
    def _seeds_differ(self) -> "Sweep":
        for index, seed in enumerate(self.seeds or ()):
            if seed in (self.seeds or ())[:index]:
                raise broken_rule(f"{seed} is given twice", "seeds", index)
        return self

    @model_validator(mode="after")
    def _names_differ(self) -> "Sweep":
        titles = [axis.title for axis in self.axes]
        for index, title in enumerate(titles):
            if title in titles[:index]:
                raise broken_rule(f"two axes are called {title!r}; give one another `name`", "axes", index, "name")
        return self

    @model_validator(mode="after")
    def _zipped_axes_are_equally_long(self) -> "Sweep":
        lengths = [len(axis.choices) for axis in self.axes]
        if self.combine == "zip" and len(set(lengths)) > 1:
            shown = ", ".join(f"{axis.title} {length}" for axis, length in zip(self.axes, lengths, strict=True))
            raise broken_rule(f"`zip` needs axes of equal length; here: {shown}", "combine")
        return self
