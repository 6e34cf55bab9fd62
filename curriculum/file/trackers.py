"""Trackers that are not written in a curriculum, but given when a run is resumed."""

from pydantic import ValidationError, model_validator

from perdure.budget.config import Frozen
from perdure.curriculum.file.document import parse
from perdure.curriculum.file.explain import faults_of
from perdure.curriculum.file.faults import CurriculumError
from perdure.curriculum.file.local_paths import resolve_paths
from perdure.curriculum.tracking import Tracker, TrackerConfig, refuse_twice


class _Section(Frozen):
    tracking: list[TrackerConfig]

    @model_validator(mode="after")
    def _are_unique(self) -> "_Section":
        refuse_twice(self.tracking)
        return self


def read_trackers(written: str) -> list[str | Tracker]:
    """The trackers of a YAML list, such as `[trackio]`; folders are relative to the current one.

    Raises:
        CurriculumError: one line a fault.
    """
    document = parse(f"tracking: {written}", "--tracking", positions=False)
    resolve_paths(document)
    try:
        found = _Section.model_validate(document.data, strict=True).tracking
    except ValidationError as error:
        raise CurriculumError(faults_of(error, document, _Section)) from error
    return list(found)
