"""Checks that the packages of a curriculum's trackers are installed, when the file is read."""

from perdure.curriculum.file.document import Document
from perdure.curriculum.file.faults import Fault
from perdure.curriculum.schema import Curriculum


def tracker_faults(document: Document, curriculum: Curriculum) -> list[Fault]:
    """A fault for each tracker whose package is missing, with the line that installs it."""
    found = [(("tracking", index), one.missing) for index, one in enumerate(curriculum.trackers)]
    return [Fault(document.place(path), path, missing) for path, missing in found if missing is not None]
