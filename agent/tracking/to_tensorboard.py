"""TensorBoard's event files. Neither torch nor TensorFlow is imported."""

from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from perdure.agent.tracking.contract import Opening, Record, Status, flat


class TensorBoardRun:
    """One folder of event files."""

    def __init__(self, opening: Opening) -> None:
        parent = opening.options.get("log_dir")
        self.id = opening.known or (str(Path(parent, opening.name)) if parent else "tensorboard")
        self._writer = EventFileWriter(str(opening.folder / self.id))  # another disk's path stays as it is
        if opening.known is None:
            config = "\n".join(f"    {name}: {value}" for name, value in flat(opening.config).items())
            self._writer.add_event(Event(step=0, summary=text_pb("config", config)))
        else:
            self.rewind(opening.step)

    def log(self, record: Record) -> None:
        """A scalar a metric, a text a note and a table."""
        values = [Summary.Value(tag=name, simple_value=value) for name, value in record.metrics.items()]
        texts = dict(record.notes) | {name: table.markdown for name, table in record.tables.items()}
        values += [value for name, text in texts.items() for value in text_pb(name, text).value]
        self._writer.add_event(Event(wall_time=record.time, step=record.step, summary=Summary(value=values)))

    def rewind(self, step: int) -> None:
        """TensorBoard hides the steps from the event's own on, as after `purge_step` of a `SummaryWriter`."""
        self._writer.add_event(Event(step=step + 1, session_log=SessionLog(status=SessionLog.START)))

    def flush(self) -> None:
        """Write all to the file."""
        self._writer.flush()

    def close(self, status: Status) -> None:
        """Close the file."""
        self._writer.close()


open_run = TensorBoardRun
