"""The tasks of the language world: one class a source, distinguished by `type`."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationError, model_validator

from perdure.budget.bounds import Items, Level
from perdure.budget.config import Frozen
from perdure.curriculum.own_code import TASK
from perdure.curriculum.worlds.language.environment_task import EnvironmentTask
from perdure.curriculum.worlds.language.text_source import HeldoutFile, Scalar, TextSource

MAX_SIZE, MAX_VALUE = 10**4, 10**15
"""The terms, digits, words, rows, … of a reasoning-gym item: their square still fits in memory. And its numbers."""

NUMBERS = frozenset({"count_bits", "number_format", "path_star", "time_intervals"})
"""Datasets whose settings are numbers in the items, not sizes; in the others these have `value` in their names."""


def _large(config: dict[str, Any], dataset: str, path: str = "config") -> Iterator[tuple[str, int]]:
    """The places of numbers that are too large, and the largest allowed; also in the parts of a `composite`."""
    for name, value in config.items():
        limit = MAX_VALUE if "value" in name or dataset in NUMBERS else MAX_SIZE
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                yield from _large(one, str(one.get("name", dataset)), f"{path}.{name}")
            elif isinstance(one, int | float) and limit < abs(one) < 2**63:
                yield f"{path}.{name}", limit


class ReasoningGym(TextSource):
    """A dataset of reasoning-gym, with its verifier."""

    LOADER: ClassVar[str] = "perdure.curriculum.worlds.language.sources.reasoning_gym:load"

    type: Literal["reasoning_gym"]
    dataset: Annotated[str, Field(description="a reasoning-gym dataset, such as `chain_sum`")]
    config: Annotated[dict[str, Any], Field(description="its own settings, by their own names")] = {}
    level: Annotated[
        Level | None, Field(ge=0, description="difficulty of reasoning-gym's own curriculum; `config` wins over it")
    ] = None
    success: Annotated[
        float | None,
        Field(gt=0, le=1, description="score from which an answer counts as right; `null`: the graded score itself"),
    ] = 1.0
    chat: Annotated[bool, Field(description="ask as a chat message; `false`: as plain text")] = True

    @model_validator(mode="after")
    def _seed_and_size_are_ours(self) -> "ReasoningGym":
        reserved = sorted({"seed", "size"} & set(self.config))
        if reserved:
            raise ValueError(f"`config.{reserved[0]}` is set by perdure; use `seed`, `train` and `heldout`")
        for path, limit in _large(self.config, self.dataset):
            raise ValueError(f"`{path}` must be at most {limit}: making so large an item would never end")
        return self


OurColumn = Literal[
    "prompt",
    "completion",
    "messages",
    "question",
    "answer",
    "choices",
    "system",
    "tools",
    "starter",
    "tests",
    "entry_point",
]
FOR_TESTS: tuple[OurColumn, ...] = ("starter", "tests", "entry_point")
"""The columns that `code_tests` reads: code that comes first, tests, and the function that their `check` takes."""


Columns = dict[OurColumn, str]


class HeldoutData(Frozen):
    """Items to evaluate on from other data than is learned from; what is not given here is as the task has it."""

    path: Annotated[
        str | None, Field(min_length=1, description="another file, folder or hub id; default: the task's `path`")
    ] = None
    name: Annotated[str | None, Field(description="configuration of the dataset; with `path` default: none")] = None
    revision: Annotated[str | None, Field(description="branch, tag or commit; with `path` default: none")] = None
    data_files: Annotated[
        str | list[str] | None, Field(description="as `load_dataset` takes it; with `path` default: none")
    ] = None
    split: Annotated[str | None, Field(description="another split; one file is one split, whatever its name")] = None
    limit: Annotated[Items | None, Field(ge=2, description="how many at most; default: all")] = None
    columns: Annotated[Columns | None, Field(description="with its `template`, in place of the task's two")] = None
    template: Annotated[str | None, Field(description="with its `columns`, in place of the task's two")] = None
    where: Annotated[dict[str, Scalar | list[Scalar]] | None, Field(description="only such rows")] = None
    explode: Annotated[list[str] | None, Field(description="list columns of equal length")] = None


class Dataset(TextSource):
    """One file, or what `datasets.load_dataset` reads."""

    LOADER: ClassVar[str] = "perdure.curriculum.worlds.language.sources.dataset:load"
    NEEDS: ClassVar[str] = "the hub for a hub id"
    ABOUT_READING: ClassVar[frozenset[str]] = frozenset(
        {"chat", "columns", "template", "answer_is", "first_index", "ignore_keys"}
    )

    type: Literal["dataset"]
    path: Annotated[
        str,
        Field(description="hub id, folder, or file (also a URL): .json, .jsonl, .csv, .tsv, .parquet", min_length=1),
    ]
    name: Annotated[str | None, Field(description="configuration of the dataset; one file has none")] = None
    revision: Annotated[str | None, Field(description="branch, tag or commit on the hub; nothing local has one")] = None
    data_files: Annotated[str | list[str] | None, Field(description="as `load_dataset` takes it")] = None
    split: Annotated[str, Field(description="split to learn from; one file is one split, whatever its name")] = "train"
    heldout: Annotated[
        Annotated[Items, Field(ge=2)] | HeldoutData,
        Field(description="how many items are cut from `split` to evaluate on, or data of their own"),
    ] = 100  # type: ignore[assignment]
    columns: Annotated[
        Columns,
        Field(description="our name: theirs; dots reach inside: `choices.text`, `prompt.0.value`"),
    ] = {}
    template: Annotated[
        str | None, Field(description="prompt text with `{column}` fields, in place of a prompt column")
    ] = None
    where: Annotated[
        dict[str, Scalar | list[Scalar]],
        Field(description="only rows whose column (dots reach inside) has this value, or one of these"),
    ] = {}
    explode: Annotated[
        list[str], Field(description="list columns of equal length; every element becomes a row of its own")
    ] = []
    answer_is: Annotated[
        Literal["index", "letter", "text"] | None,
        Field(
            description="how `answer` says which of `choices` is right; default: the one way in which all answers of "
            "the file can be read, or a label of `choices`"
        ),
    ] = None
    first_index: Annotated[
        Literal[0, 1] | None, Field(description="the first option's number, for `answer_is: index`")
    ] = None
    unreadable: Annotated[
        Literal["refuse", "leave_out"],
        Field(description="rows without an answer that the reward can read: an error, or left out and counted"),
    ] = "refuse"
    ignore_keys: Annotated[
        list[str],
        Field(description="keys of chat messages that are not read, such as `timestamp`; also the column `tools`"),
    ] = []
    chat: Annotated[bool, Field(description="text prompts become a user's chat message; `false`: plain text")] = True

    @model_validator(mode="after")
    def _a_dataset_has_no_verifier(self) -> "Dataset":
        if self.reward is not None and self.reward.type == "source":
            raise ValueError("a dataset has no verifier of its own; give another `reward.type`, or `reward.path`")
        return self

    @model_validator(mode="after")
    def _only_a_reward_reads(self) -> "Dataset":
        if self.unreadable != "refuse" and (self.reward is None or self.reward.type in (None, "regex")):
            raise ValueError("`unreadable` goes with a reward by name that reads the answers")
        return self

    @model_validator(mode="after")
    def _an_index_has_a_beginning(self) -> "Dataset":
        if self.first_index is not None and self.answer_is != "index":
            raise ValueError("`first_index` goes with `answer_is: index`")
        return self

    @model_validator(mode="before")
    @classmethod
    def _of_an_older_version(cls, data: Any) -> Any:
        """Runs of older versions have `heldout_split: null`, which said nothing."""
        said_nothing = isinstance(data, dict) and data.get("heldout_split", "") is None
        return {key: value for key, value in data.items() if key != "heldout_split"} if said_nothing else data

    @model_validator(mode="after")
    def _heldout_is_other_data(self) -> "Dataset":
        try:
            apart = self.apart
        except ValidationError as error:
            fault = error.errors()[0]
            place = "".join(f".{part}" for part in fault["loc"])
            raise ValueError(f"`heldout{place}`: {fault['msg'].removeprefix('Value error, ')}") from None
        if apart is not None and all(getattr(apart, key) == getattr(self, key) for key in (*_PLACE, "split", "where")):
            raise ValueError(
                "`heldout` is the data that is learned from; give another `path`, `split` or `where`, or a count of "
                "items to cut from it"
            )
        return self

    @model_validator(mode="after")
    def _one_kind_of_prompt(self) -> "Dataset":
        given: list[str] = [name for name in ("prompt", "question", "messages") if name in self.columns]
        given += ["template"] if self.template is not None else []
        if len(given) > 1 and "template" not in given:
            raise ValueError(f"`columns.{given[0]}` and `columns.{given[1]}` both say what the prompt is; keep one")
        if "template" in given and {"prompt", "messages"} & set(given):
            raise ValueError(f"`template` and `columns.{given[0]}` both say what the prompt is; keep one")
        if not self.chat and {"messages", "system", "tools"} & set(self.columns):
            raise ValueError("`chat: false` goes with plain text prompts, not with `messages`, `system` or `tools`")
        return self

    @property
    def apart(self) -> "Dataset | None":
        """The data to evaluate on as a dataset of its own; `None` where items are cut from `split`.

        Raises:
            ValidationError: it is no dataset by the rules for one.
        """
        if isinstance(self.heldout, int):
            return None
        given = self.heldout.model_dump(exclude_none=True, exclude={"limit"})
        taken = [*_PLACE, "heldout"] if "path" in given else ["heldout"]
        taken += ["columns", "template"] if {"columns", "template"} & set(given) else []
        return Dataset.model_validate(self.model_dump(exclude=set(taken)) | given)

    @property
    def may_reward(self) -> bool | None:
        return self.reward is not None


_PLACE = ("path", "name", "revision", "data_files")
"""The settings that say where a dataset lies."""


class PythonTask(TextSource):
    """A function of yours that returns a `Task`. Its form is `module:function(*, seed, train, heldout, **args)`."""

    LOADER: ClassVar[str] = "perdure.curriculum.worlds.language.sources.python:load"

    type: Literal["python"]
    path: Annotated[
        str,
        Field(
            pattern=r"^[\w.-]+(:[A-Za-z_]\w*)?$",
            description="`module:function`, or a name in the entry-point group `perdure.tasks`",
        ),
        TASK,
    ]
    args: Annotated[dict[str, Any], Field(description="further keyword arguments")] = {}

    @model_validator(mode="after")
    def _arguments_are_not_ours(self) -> "PythonTask":
        reserved = sorted({"seed", "train", "heldout"} & set(self.args))
        if reserved:
            raise ValueError(f"`args.{reserved[0]}` is given by perdure; use `seed`, `train` and `heldout`")
        return self

    @property
    def may_reward(self) -> bool | None:
        return True if self.reward is not None and self.reward.type != "source" else None


class ToolAlpaca(TextSource):
    """ToolAlpaca's requests to an API, and calls."""

    LOADER: ClassVar[str] = "perdure.curriculum.worlds.language.sources.tool_alpaca:load"
    NEEDS: ClassVar[str] = "a model with tools"
    ABOUT_READING: ClassVar[frozenset[str]] = frozenset({"steps"})

    type: Literal["tool_alpaca"]
    path: Annotated[
        str, Field(min_length=1, description="train_data.json, eval_simulated.json or eval_real.json (also a URL)")
    ]
    heldout: Annotated[
        Annotated[Items, Field(ge=2)] | HeldoutFile,
        Field(description="how many items are cut from the file to evaluate on, or a file of their own"),
    ] = 100  # type: ignore[assignment]
    steps: Annotated[
        Literal["together", "each"],
        Field(
            description="`together`: all calls of a request are one turn; `each`: a call is an item, which sees those "
            "before it and what the API said"
        ),
    ] = "together"
    unreadable: Annotated[
        Literal["refuse", "leave_out"],
        Field(
            description="instances of `path` whose calls have a value that nobody can know (`${id of the user}`), as "
            "the evaluation files have some: what imitates refuses the task, or they are left out and counted"
        ),
    ] = "refuse"

    @property
    def may_demonstrate(self) -> bool | None:
        return None


TEXT_SOURCES = (ReasoningGym, Dataset, PythonTask, ToolAlpaca, EnvironmentTask)
