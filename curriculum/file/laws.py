"""The law that a curriculum names: refused when the file is read if it is none, or of another world."""

from pathlib import Path

from perdure.budget.errors import ConfigError
from perdure.budget.law.saved import load_law
from perdure.budget.law.shipped import BUILTIN, law_path
from perdure.curriculum.file.document import Document
from perdure.curriculum.file.faults import Fault
from perdure.curriculum.file.world_faults import world_of

PLACE = ("budget", "law")


def law_faults(document: Document) -> list[Fault]:
    """A law that is not shipped, damaged, of another version or of another world; a missing file is told elsewhere.

    Its base is compared when the model is there.
    """
    name = document.get(PLACE)
    if not isinstance(name, str) or not (name.startswith(BUILTIN) or Path(name).is_file()):
        return []
    try:
        law = load_law(law_path(name))
    except ConfigError as error:
        return [Fault(document.place(PLACE), PLACE, str(error).removeprefix("budget.law: "))]
    here = world_of(document)
    if here is None or law.world == here.name:
        return []
    return [
        Fault(
            document.place(PLACE), PLACE, f"the law is of the {law.world} world, and the model of the {here.name} world"
        )
    ]
