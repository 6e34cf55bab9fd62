"""The record of a run, for every command that reads one: its journal, and the `run.json` that it began with."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from perdure.agent.run.event import Event, StageEvent
from perdure.agent.run.events import Started
from perdure.agent.run.folder import POLICY, RunFolder, read_json
from perdure.agent.run.journal import read_journal
from perdure.agent.run.lines import from_json
from perdure.agent.run.state import RunState, read_state
from perdure.budget.errors import RunError
from perdure.curriculum.schema import Curriculum

CANDIDATES_BEFORE = ["sft", "rl_kl", "low_lr_sft", "tilt"]
"""What `probe` and `bandit` chose among by default before each world had candidates of its own."""


def read_record(folder: RunFolder) -> tuple[RunState, list[Event]]:
    """The state of a run, and the events that it came from.

    Raises:
        RunError: the journal cannot be read, begins otherwise than a run, or tells of a stage that the run has not.
    """
    events = list(read_journal(folder.journal))
    if not events:
        return RunState(), []
    if not isinstance(events[0], Started):
        raise RunError(f"{folder.journal} is damaged: its beginning is missing, where the run says what it is")
    stages = len(events[0].tasks)
    for event in events:
        if isinstance(event, StageEvent) and not 0 <= event.stage <= stages:
            raise RunError(f"{folder.journal} is damaged: it tells of stage {event.stage} in a run of {stages}")
    return read_state(events), events


def final_policy(folder: RunFolder, state: RunState) -> Path | None:
    """The folder of the policy after the last stage that is done; `None` while none is."""
    return folder.stage(state.done[-1].stage, state.done[-1].name) / POLICY if state.done else None


def read_begun(folder: RunFolder, events: list[Event]) -> tuple[Started, Curriculum]:
    """The beginning of a run and its curriculum; from `run.json` alone where it was killed before its first event.

    The curriculum of the beginning has settings that came since at their defaults, so that they are no difference,
    but for those that would make it another run (`_as_it_was`).

    Raises:
        RunError: `run.json` cannot be read.
    """
    described = read_json(folder.description)
    try:
        begun = events[0] if events else from_json({"event": "started"} | described)
        assert isinstance(begun, Started), "`read_record` refuses any other beginning"
        curriculum = Curriculum.model_validate(_as_it_was(described["curriculum"]))
        same = described["curriculum"] == begun.curriculum
        as_begun = curriculum if same else Curriculum.model_validate(_as_it_was(begun.curriculum))
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise RunError(
            f"{folder.description} holds no curriculum of this version: {place}: {fault['msg']}. Its journal's first "
            "line has it as the run began"
        ) from error
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{folder.description} is damaged: it does not say what the run is ({error!r})") from error
    return replace(begun, curriculum=as_begun.model_dump(mode="json")), curriculum


def _as_it_was(curriculum: Mapping[str, Any]) -> dict[str, Any]:
    """A curriculum of an older version with that version's defaults, where they are others now.

    Its base wrote no texts for the probe, its scores were asked in full, and trials had the same candidates in all
    worlds.
    """
    found = dict(curriculum)
    if found["budget"].get("prompts") != "generic":
        found["budget"] = {"probe": False} | found["budget"]
    if "items" not in found.get("evaluation", {}):
        found["evaluation"] = {**found.get("evaluation", {}), "items": "all"}
        strategy = found.get("strategy", {})
        if strategy.get("type") in ("probe", "bandit") and strategy.get("candidates") is None:
            found["strategy"] = {**strategy, "candidates": CANDIDATES_BEFORE}
    return found
