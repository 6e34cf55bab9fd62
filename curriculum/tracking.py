"""The `tracking` section of a curriculum: where the figures of a run are sent. Importing it imports no tracker.

The options of a tracker have the library's own names, and go to it as they are.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Annotated, ClassVar, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import Discriminator, Field, Tag, field_validator

from perdure.budget.config import Frozen, broken_rule
from perdure.budget.errors import ConfigError

PROJECT = "perdure"

ShortText = Annotated[str, Field(min_length=1, max_length=500)]


def without_secret(address: str | None) -> str | None:
    """The address, unless a password or a token stands in it: run folders are handed on.

    Raises:
        ValueError: it holds one.
    """
    parts = urlsplit(address or "")
    if parts.password is not None or any("token" in key or "key" in key for key in parse_qs(parts.query)):
        raise ValueError("an address in a curriculum holds no password and no token; give it by the environment")
    return address


class Tracker(Frozen):
    """What every tracker has: its module and the extra that brings it."""

    module: ClassVar[str]
    type: str


class Trackio(Tracker):
    """trackio: on this machine, or in a Space or on a server of your own."""

    module = "trackio"

    type: Literal["trackio"]
    project: Annotated[ShortText, Field(description="trackio's project")] = PROJECT
    name: Annotated[ShortText | None, Field(description="the run's name; default: that of the run's folder")] = None
    group: Annotated[ShortText | None, Field(description="group of runs; default: the sweep's name")] = None
    space_id: Annotated[ShortText | None, Field(description="a Space, `org/name`, to send to; default: none")] = None
    private: Annotated[bool | None, Field(description="make a new Space private")] = None
    bucket_id: Annotated[ShortText | None, Field(description="the Space's bucket; default: trackio's")] = None
    server_url: Annotated[
        ShortText | None,
        Field(description="a trackio server of your own; the token stands in `TRACKIO_WRITE_TOKEN`"),
    ] = None

    _no_secret = field_validator("server_url")(without_secret)


class Wandb(Tracker):
    """Weights & Biases."""

    module = "wandb"

    type: Literal["wandb"]
    project: Annotated[ShortText, Field(description="wandb's project")] = PROJECT
    entity: Annotated[ShortText | None, Field(description="user or team; default: wandb's")] = None
    name: Annotated[ShortText | None, Field(description="the run's name; default: that of the run's folder")] = None
    group: Annotated[ShortText | None, Field(description="group of runs; default: the sweep's name")] = None
    tags: Annotated[list[ShortText], Field(description="tags of the run")] = []
    notes: Annotated[ShortText | None, Field(description="a note about the run")] = None
    mode: Annotated[
        Literal["online", "offline", "disabled"] | None,
        Field(description="default: `WANDB_MODE`, else `online`"),
    ] = None
    dir: Annotated[
        ShortText | None,
        Field(description="wandb's files; default: `WANDB_DIR`, else `tracking` in the run's folder"),
    ] = None


class TensorBoard(Tracker):
    """TensorBoard: event files."""

    module = "tensorboard"

    type: Literal["tensorboard"]
    log_dir: Annotated[
        ShortText | None,
        Field(description="each run has a folder of its name in it; default: `tracking/tensorboard` in the run's"),
    ] = None


class MLflow(Tracker):
    """MLflow."""

    module = "mlflow"

    type: Literal["mlflow"]
    tracking_uri: Annotated[
        ShortText | None,
        Field(description="server or database; default: `MLFLOW_TRACKING_URI`, else MLflow's own"),
    ] = None
    experiment_name: Annotated[ShortText, Field(description="MLflow's experiment")] = PROJECT
    run_name: Annotated[ShortText | None, Field(description="the run's name; default: that of the run's folder")] = None
    tags: Annotated[dict[ShortText, ShortText], Field(description="tags of the run")] = {}

    _no_secret = field_validator("tracking_uri")(without_secret)


TrackerName = Literal["trackio", "wandb", "tensorboard", "mlflow"]

SECTIONS: dict[str, type[Tracker]] = {
    "trackio": Trackio,
    "wandb": Wandb,
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
}


def _kind(entry: object) -> str | None:
    """The tag of an entry: a bare name, or the `type` of a map."""
    if isinstance(entry, dict | Tracker):
        return entry.get("type") if isinstance(entry, dict) else entry.type
    return "name"


TrackerConfig = Annotated[
    Annotated[TrackerName, Tag("name")]
    | Annotated[Trackio, Tag("trackio")]
    | Annotated[Wandb, Tag("wandb")]
    | Annotated[TensorBoard, Tag("tensorboard")]
    | Annotated[MLflow, Tag("mlflow")],
    Discriminator(_kind),
]
"""A tracker by its name, or with options."""


def tracker_of(entry: str | Tracker) -> Tracker:
    """The section of an entry of `tracking`: that of a bare name has the defaults."""
    return SECTIONS[entry].model_validate({"type": entry}) if isinstance(entry, str) else entry


def refuse_twice(entries: Sequence[str | Tracker]) -> None:
    """Refuse a tracker that stands in the list before. Raises pydantic's error of a broken rule."""
    names = [entry if isinstance(entry, str) else entry.type for entry in entries]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise broken_rule("this tracker is given twice", "tracking", index)


def refuse_missing(trackers: Sequence[Tracker]) -> None:
    """Refuse a tracker whose package is not installed.

    Raises:
        ConfigError: names the place and the extra.
    """
    for index, one in enumerate(trackers):
        if find_spec(one.module) is None:
            raise ConfigError(
                f"tracking[{index}]: the package of {one.type!r} is not installed: pip install 'perdure[{one.type}]'"
            )
