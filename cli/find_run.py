"""The names of `perdure.agent.run.find` that the verbs use."""

from perdure.agent.run.find import RUNS, SWEEPS, find_folder, find_run, locate, read_run

__all__ = ["RUNS", "SWEEPS", "find_folder", "find_run", "locate", "read_run"]
