"""The journal of a run: one JSON object a line, appended and synced, never changed.

Every line has `event`, `time` (seconds since 1970) and the event's own fields:

    started       run, tasks, benchmarks, curriculum, versions, base_sha256, data
    resumed
    price         stage, name, base_rate, target, floor, floor_interval, need, left (see `agent/prices.py`)
    decision      stage, name, method, reason, evidence, candidates (list of method and figures), share, cap,
                  steps_spent (those of trials, which the stage makes less)
    reading       stage, step, kl_per_token, kl_per_sequence, cap, unit, bound (what is held against the cap), within,
                  entry, final (the one the stage ends with), penalty_weight (only with a penalty), further divergences
                  for the forgetting law, and
                  predicted_forgetting: null, or what a law expects (value, low, high: fractions; inside: whether
                  the KL is in the range the law was fitted on; benchmarks: those whose mean drop it is; level: of
                  the interval; other_prompts: whether the law was fitted to KL on other prompts)
    intervention  stage, step, action (stop | rollback | broken | project | recover), reason, target; of project also
                  start, share (of the line), readings, kl, kl_within, kl_beyond; of recover steps, kl_before, kl_after,
                  within (whether it came back) and undone (it did not come nearer, and was taken back)
    end_score     stage, end (within | beyond: the ends of the line of a projection), name, value, stderr, n
    score         stage, name, kind (task | benchmark), value, stderr, n, file
    commit        stage, name, method, steps, seconds, weights_sha256, penalty_weight (only with a penalty)
    interrupted
    refused       reason: why a strict life was not lived
    finished      seconds

An estimate is `{"value", "stderr", "n"}`, with `null` for a standard error that cannot be told. Stage 0 is the base.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Event = dict[str, Any]


class Journal:
    """Appends events to one file. One writer at a time; readers use `read_journal`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._drop_torn_line()

    def _drop_torn_line(self) -> None:
        """A kill may leave half a line at the end; it was never acknowledged, so it is cut off."""
        if not self.path.exists():
            return
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            os.truncate(self.path, len(whole))

    def append(self, event: str, **fields: Any) -> Event:
        """Write one event and wait until it is on the disk. Returns it as read back."""
        row = {"event": event, "time": round(time.time(), 3)} | fields
        line = (json.dumps(row, allow_nan=True) + "\n").encode()
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        start = os.fstat(file).st_size
        try:  # without a buffer, which would write its rest when it is closed
            written = 0
            while written < len(line):
                written += os.write(file, line[written:])
            os.fsync(file)
        except OSError:
            os.ftruncate(file, start)
            raise
        finally:
            os.close(file)
        return json.loads(line)  # type: ignore[no-any-return]


def read_journal(path: Path) -> Iterator[Event]:
    """The whole events of a journal, oldest first; half a line at the end is not one."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield json.loads(line)
