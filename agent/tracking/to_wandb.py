"""Weights & Biases. The step is a metric of its own, `step`: wandb's own counter never goes back."""

import os
from uuid import uuid4

import wandb

from perdure.agent.tracking.contract import Opening, Record, Status

LOGIN_SECONDS = 30


class WandbRun:
    """One run of wandb."""

    def __init__(self, opening: Opening) -> None:
        options = {name: value for name, value in opening.options.items() if value not in (None, [])}
        options.setdefault("name", opening.name)
        options.setdefault("group", opening.group)
        options.setdefault("dir", os.environ.get("WANDB_DIR") or str(opening.folder))
        self.id = opening.known or uuid4().hex[:12]
        settings = wandb.Settings(console="off", silent=True, init_timeout=LOGIN_SECONDS)
        self._run = wandb.init(id=self.id, resume="allow", config=dict(opening.config), settings=settings, **options)
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def log(self, record: Record) -> None:
        """Metrics as they are; notes and tables as tables."""
        values: dict[str, object] = {"step": record.step, **record.metrics}
        for name, text in record.notes.items():
            values[f"{name}_text"] = wandb.Html(wandb_text(text), inject=False)
        for name, table in record.tables.items():
            values[name] = wandb.Table(columns=list(table.columns), data=[list(row) for row in table.rows])
        self._run.log(values)

    def rewind(self, step: int) -> None:
        """A history of wandb is only added to: steps that are run again stand there twice."""

    def flush(self) -> None:
        """The process of wandb has all by now."""

    def close(self, status: Status) -> None:
        """End the run: as failed, unless it is finished."""
        self._run.finish(exit_code=0 if status == "finished" else 1)


def wandb_text(text: str) -> str:
    """Text as HTML."""
    from html import escape

    return f"<pre>{escape(text)}</pre>"


open_run = WandbRun
