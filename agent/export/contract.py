"""The door through which a world exports a policy (`WorldSpec.export`), and what passes it."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from perdure.agent.run.events import Started
from perdure.curriculum.schema import Curriculum


@dataclass(frozen=True)
class Order:
    """A policy to export.

    Attributes:
        source: the policy's folder in the run; each file in it is what was written.
        files: their names.
        target: an empty folder.
        merge: merge an adapter into its base.
        name: how the code that loads the policy names it: an id on the hub, or `.`, the folder itself.
    """

    source: Path
    files: tuple[str, ...]
    target: Path
    curriculum: Curriculum
    begun: Started
    merge: bool
    name: str


UNKNOWN = {"license": "unknown"}
"""The licence of a base whose own card says none."""


@dataclass(frozen=True)
class CardBase:
    """The base of a policy, for its model card.

    Attributes:
        title: its name in words, without a path of this machine.
        hub: its id on the hub; `None`: it is not from there.
        revision: its commit, or else the branch or tag that the curriculum names.
        license: the fields `license`, `license_name` and `license_link` of a card.
    """

    title: str
    hub: str | None = None
    revision: str | None = None
    license: Mapping[str, str] = field(default_factory=lambda: UNKNOWN)


@dataclass(frozen=True)
class Exported:
    """An exported policy.

    Attributes:
        weights_sha256: the fingerprint of the policy that was exported.
        relation: to its base, as the hub calls it.
        merged: an adapter was merged into its base.
        library, pipeline: the hub's names of the library that loads it and of what it does; `None`: it has none.
        usage: how to load it, as Markdown with code.
        notes: what a user must know, a sentence each.
    """

    weights_sha256: str
    base: CardBase
    relation: Literal["finetune", "adapter"]
    usage: str
    merged: bool = False
    library: str | None = None
    pipeline: str | None = None
    tags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class ExportPolicy(Protocol):
    """The function `WorldSpec.export`."""

    def __call__(self, order: Order) -> Exported:
        """Fill the target with the policy: safetensors, and what loads them.

        Raises:
            RunError: the policy is not what the run saved, or cannot be exported.
            ModelError: its base cannot be loaded, or is another one now.
        """
        ...


def code(text: str, language: str = "python") -> str:
    """A block of code in Markdown."""
    return f"```{language}\n{text.strip()}\n```"


def copy_policy(order: Order, without: str = "README") -> None:
    """Copy the policy's files but those whose names begin so, and but peft's card, in place of which comes another."""
    for name in order.files:
        if not name.startswith(("README", without)):
            (order.target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(order.source / name, order.target / name)


def folder_of(name: str) -> str:
    """Lines of Python that make `folder` the export's, which they download from the hub if it has a name there."""
    if name == ".":
        return 'folder = "."'
    return f'from huggingface_hub import snapshot_download\n\nfolder = snapshot_download("{name}")'
