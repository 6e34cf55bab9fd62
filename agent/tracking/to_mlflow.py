"""MLflow, by its client."""

import os

from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from perdure.agent.tracking.contract import Opening, Record, Status, flat

ENDS: dict[Status, str] = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}
LONGEST = 6000
BATCH = 100


class MLflowRun:
    """One run of MLflow. A server that does not answer is given up after seconds; MLflow would try for minutes."""

    def __init__(self, opening: Opening) -> None:
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        options = opening.options
        self._client = MlflowClient(options.get("tracking_uri"))
        if opening.known is not None:
            self.id = opening.known
            self._client.update_run(self.id, status="RUNNING")
            return
        name, tags = options["experiment_name"], dict(options.get("tags") or {})
        if opening.group is not None:
            tags.setdefault("group", opening.group)
        experiment = self._client.get_experiment_by_name(name)
        where = self._client.create_experiment(name) if experiment is None else experiment.experiment_id
        run = self._client.create_run(where, tags=tags, run_name=options.get("run_name") or opening.name)
        self.id = run.info.run_id
        params = [Param(key, str(value)[:LONGEST]) for key, value in flat(opening.config).items()]
        for start in range(0, len(params), BATCH):
            self._client.log_batch(self.id, params=params[start : start + BATCH])

    def log(self, record: Record) -> None:
        """Metrics as they are; notes and tables as artifacts."""
        moment = int(record.time * 1000)
        metrics = [Metric(_name(name), value, moment, record.step) for name, value in record.metrics.items()]
        if metrics:
            self._client.log_batch(self.id, metrics=metrics)
        for name, text in record.notes.items():
            self._client.log_text(self.id, text, f"{name}/{record.step:07d}-{record.event}.txt")
        for name, table in record.tables.items():
            columns = dict(zip(table.columns, map(list, zip(*table.rows, strict=True)), strict=True))
            # a file an event: MLflow appends to a table that is there
            self._client.log_table(self.id, columns, f"{name}/{record.step:07d}-{record.event}.json")

    def rewind(self, step: int) -> None:
        """MLflow keeps every value: steps that are run again stand there twice."""

    def flush(self) -> None:
        """Each call has waited for the server."""

    def close(self, status: Status) -> None:
        """End the run with MLflow's word for its status."""
        self._client.set_terminated(self.id, ENDS[status])


def _name(name: str) -> str:
    """A name with the characters that MLflow takes."""
    return "".join(each if each.isalnum() or each in "_-./ :" else "_" for each in name)


open_run = MLflowRun
