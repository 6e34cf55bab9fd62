"""A run, read from its folder: what `perdure.run` and `perdure.open_run` give."""

import math
import warnings
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from perdure.agent.api.frames import answers_frame, decisions_frame, readings_frame, scores_frame
from perdure.agent.run.answers import run_answers, scored_stage
from perdure.agent.run.folder import RunFolder
from perdure.agent.run.percent import format_score, in_percent
from perdure.agent.run.record import read_record
from perdure.agent.run.report import metric_estimates
from perdure.agent.run.state import RunState
from perdure.agent.run.steps import read_steps
from perdure.budget.errors import ConfigError
from perdure.curriculum.policy import Policy

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Run:
    """A run in its folder, finished or not. Everything is read when it is asked for, so that it is never out of date.

    Stage 0 is the base. Scores and changes are fractions, KLs are in nats; what is not known is NaN or missing.
    Every method raises `PerdureError` where files are missing or damaged, with the message of the command line.
    """

    path: Path

    @property
    def status(self) -> str:
        """`empty`, `running` (also of a process that was killed), `interrupted`, `refused` or `finished`."""
        return self._record().status

    @property
    def metrics(self) -> dict[str, float | None]:
        """The metrics of the stages that are done, as in `perdure show --json`: average accuracy, backward and forward
        transfer, forgetting, benchmark drop. Fractions; `None` where nothing can be said yet.
        """
        return {name: one.value for name, one in metric_estimates(self._record()).items()}

    def scores(self) -> "DataFrame":
        """One row a stage and task or benchmark.

        Columns: `stage`, `stage_name`, `name` and `kind` (`task` or `benchmark`) of what is scored; `value` with its
        `stderr` over `n` items, of `of` where a part was asked alone; `change` since the base, the 95 % interval
        `change_low` to `change_high` and the `p_value` of the exact paired test on the same items.
        """
        return scores_frame(self._record(), self.path)

    def readings(self) -> "DataFrame":
        """One row a reading of the monitor, in the order of the run.

        Columns: `stage`, `stage_name`, `step`; `entry` (before the first step) and `final` (the stage ended so);
        `kl_per_token` and `kl_per_sequence`, forward from the base, each with `…_stderr`;
        `kl_policy_to_base_per_token`, `total_variation_per_token`, `l2_distributions_per_token`,
        `jensen_shannon_per_token`, `hellinger_per_token` at the same positions; `kl_median` and `kl_q90`, quantiles
        over texts of a text's KL per token; `kl_generic_per_token` and `kl_generic_per_sequence`, each with
        `…_stderr`, on the generic probe, and `on_generic`: the budget counts them, as the larger ones;
        the `unit` that the budget counts, the `cap` in it, the `upper_bound` that is held against it and `within`;
        `penalty_weight` of a KL term in the loss; `predicted_forgetting`, the law's mean drop of benchmarks.
        """
        return readings_frame(self._record())

    def decisions(self) -> "DataFrame":
        """One row a stage and candidate method; where the curriculum names the method it is the one candidate.

        Columns: `stage`, `stage_name`, `candidate`, `chosen`; `reason`, `cap` in nats of the budget's unit, `share` of
        the remaining budget that the strategy asked for, `steps_spent` on trials and `evidence` (dict) of the stage;
        `figures` (dict) of the candidate, by name.
        """
        return decisions_frame(self._record())

    def steps(self, stage: int | None = None) -> "DataFrame":
        """One row an optimiser step, of one stage or of all: runs of older versions have none.

        Columns: `stage`, `stage_name`, `step` of the stage and `run_step` of the run, both from 1; `time`, seconds
        since 1970; `loss`, `reward`, `reward_std`, `entropy`, `mean_length` (tokens), `learning_rate` and `grad_norm`,
        NaN where the method has none.
        """
        stages = len(self._record().tasks)
        if stage is not None and not 1 <= stage <= stages:
            raise ConfigError(f"{self.path}: stage {stage}: the run has the stages 1 to {stages}")
        return read_steps(self.path, stage).rename(columns={"name": "stage_name"})

    def answers(self, task: str | None = None, stage: int | None = None) -> "DataFrame":
        """One row an item of a task or benchmark, by default of all: the base's answer and that after a stage, by
        default the last one scored. What was lost comes first, then what was gained.

        Columns: `stage`, `name` of the task or benchmark, `item` (its id), `outcome` (`lost`, `gained`, `same`,
        `unscored`), `base_score`, `score`, `prompt`, `expected`, the answer of the `base` and the `answer` after it.

        Warns where the answers of a task or benchmark are missing or damaged, and leaves it out.
        """
        record = self._record()
        row = scored_stage(record, stage)
        columns = run_answers(record, self.path, task, stage)
        for column in columns:
            if column.fault is not None:
                warnings.warn(column.fault, stacklevel=2)
        return answers_frame(row.stage, columns)

    def policy(self, stage: int | None = None) -> Policy:
        """The policy after a stage, by default after the last that is done; 0 is the base.

        Its weights are those of the journal, by their SHA-256. `policy.respond(prompts, max_completion_length=…,
        batch_size=…)` answers. In the language world `policy.model` is the transformers model, with the adapter on
        where the run trained one, and `policy.tokenizer` its tokenizer. The device is that of the curriculum.
        """
        from perdure.agent.api.policy import load_policy

        return load_policy(self.path, stage)

    def _record(self) -> RunState:
        return read_record(RunFolder(self.path))[0]

    def __repr__(self) -> str:
        record = self._record()
        return f"<Run {self.path}: {record.status}, {len(record.done)} of {len(record.tasks)} stages>"

    def _repr_html_(self) -> str:
        """The scores as a notebook shows them: a row a stage, shares in per cent; `~`: asked in part."""
        scores, record = self.scores(), self._record()
        percent = {name: in_percent(record, [name]) for name in set(scores["name"])}
        cells = zip(scores["name"], scores["value"], scores["n"] < scores["of"], strict=True)
        words = [
            f"{'~' if part else ''}{format_score(value, percent[name])}{'%' if percent[name] else ''}"
            if math.isfinite(value)
            else ""
            for name, value, part in cells
        ]
        table = scores.assign(words=words).pivot(index=["stage", "stage_name"], columns="name", values="words")
        return f"<p>{escape(repr(self))}</p>{table.to_html(na_rep='')}"
