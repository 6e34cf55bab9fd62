"""Checks the law that a curriculum names, when the file is read."""

from pathlib import Path

from perdure.budget.errors import ConfigError
from perdure.budget.law.file import load_law
from perdure.budget.law.shipped import BUILTIN, law_path
from perdure.curriculum.file.document import Document
from perdure.curriculum.file.faults import Fault
from perdure.curriculum.file.world_faults import world_of

LAW_PATH = ("budget", "law")


def law_faults(document: Document) -> list[Fault]:
    """The fault of a law that is not shipped, is damaged, or is of another version or world.

    `local_paths` reports a missing file; the base is compared once the model is loaded.
    """
    name = document.get(LAW_PATH)
    if not isinstance(name, str) or not (name.startswith(BUILTIN) or Path(name).is_file()):
        return []
    try:
        law = load_law(law_path(name))
    except ConfigError as error:
        return [Fault(document.place(LAW_PATH), LAW_PATH, str(error).removeprefix("budget.law: "))]
    here = world_of(document)
    if here is None or law.world == here.name:
        return []
    return [
        Fault(
            document.place(LAW_PATH),
            LAW_PATH,
            f"the law is of the {law.world} world, and the model of the {here.name} world",
        )
    ]
