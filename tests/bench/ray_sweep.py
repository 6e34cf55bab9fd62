"""A Ray sweep of 8 vision runs on two workers against one worker, each on a cluster that begins and ends with it.

The runs have `enforce: rollback`, so that each has a run folder of its own. A worker that asks for all CPUs has the
cluster to itself.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.figures import Options, Report, Series, Target, UnmeasuredError, against
from tests.bench.processes import run

SWEEP = """\
curriculum: parity-mnist-task
seeds: [0]
axes:
  - {{path: budget.enforce, values: [rollback]}}
  - {{path: train.num_train_epochs, values: [8]}}
  - {{path: train.learning_rate, logspace: {{low: 1.0e-4, high: 1.0e-3, num: 8}}}}
workers: {{type: ray, address: local, num_cpus: {cpus}}}
"""


def measure(options: Options) -> Report:
    """Wall time of both sweeps.

    Raises:
        UnmeasuredError: Ray is not installed, or there are fewer than two CPUs.
    """
    cpus = os.cpu_count() or 1
    if find_spec("ray") is None:
        raise UnmeasuredError("the extra `ray` is not installed: pip install 'perdure[ray]'")
    if cpus < 2:
        raise UnmeasuredError("two workers need two CPUs")
    two, one = Series((_seconds(cpus // 2),), "s"), Series((_seconds(cpus),), "s")
    note = f"Compared with one worker. A cluster of {cpus} CPUs begins and ends with each sweep, which counts."
    return Report((against("8 vision runs, 2 workers on Ray", two, one, Target("at most", 0.7, "×")),), (note,))


def _seconds(cpus: int) -> float:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "lives.yaml"
        file.write_text(SWEEP.format(cpus=cpus))
        seconds, _ = run([sys.executable, "-m", "perdure", "sweep", file, "--output-dir", Path(folder) / "sweep"])
    return seconds
