"""trackio: a run is found again by its name, and told from another of that name by its id."""

import os
from contextlib import suppress
from urllib.error import HTTPError
from urllib.request import urlopen
from uuid import uuid4

import trackio

from perdure.agent.tracking.contract import Opening, Record, Status, flat

PATIENCE = 10.0
"""Seconds for a server of one's own to answer."""


def refuse_unreachable(server: str | None) -> None:
    """Raise OSError where nothing answers at a server: trackio would keep all to itself, and say nothing."""
    if server is not None:
        with suppress(HTTPError):  # it answered
            urlopen(server.partition("?")[0], timeout=PATIENCE).close()


class TrackioRun:
    """One run of a trackio project.

    Raises:
        OSError: nothing answers at `server_url`.
    """

    def __init__(self, opening: Opening) -> None:
        options = dict(opening.options)
        if not options.get("space_id"):
            refuse_unreachable(options.get("server_url") or os.environ.get("TRACKIO_SERVER_URL"))
        number, _, known = (opening.known or f"{uuid4().hex[:6]}:").partition(":")
        name = options.pop("name", None) or f"{opening.name}-{number}"
        options["group"] = options.get("group") or opening.group
        config = {key: value for key, value in flat(opening.config).items() if not key.startswith("_")}
        resume = "must" if known else "never"
        self._run = trackio.init(name=name, config=config, resume=resume, embed=False, **options)
        if known and self._run.id != known:
            raise RuntimeError(f"project {options.get('project')!r} has a newer run called {name!r}")
        self.id = f"{number}:{self._run.id}"

    def log(self, record: Record) -> None:
        """Metrics as they are, notes as Markdown, tables as tables."""
        values: dict[str, object] = dict(record.metrics)
        values |= {name: trackio.Markdown(text) for name, text in record.notes.items()}
        values |= {
            name: trackio.Table(columns=list(table.columns), data=[list(row) for row in table.rows])
            for name, table in record.tables.items()
        }
        self._run.log(values, step=record.step)

    def rewind(self, step: int) -> None:
        """Trackio cannot hide steps: those that are run again stand there twice."""

    def flush(self) -> None:
        """Trackio writes twice a second by itself."""

    def close(self, status: Status) -> None:
        """End the run, whatever its status: trackio has none."""
        self._run.finish()


open_run = TrackioRun
