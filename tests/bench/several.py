"""A small run by two processes, and by one whose steps learn from as many items; see docs/several-gpus.md."""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.agent.killing import save_base
from tests.agent.several.curricula import curriculum, write
from tests.bench.figures import Options, Report, Series, Target, against
from tests.bench.processes import run

STEPS = 40
STAGES = {"sft": {"max_steps": STEPS}, "rl": {"max_steps": STEPS}}
NOTE = (
    f"Seconds of two stages of {STEPS} steps, `sft` and `rl`, of a random model of 30,000 weights, as the journal has "
    "them: without the start. Two processes share the cores over gloo, so that this is the cost of working together, "
    "and no gain in speed."
)


def measure(options: Options) -> Report:
    """Both, one after the other."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        save_base(folder / "base")
        two, one = (_seconds(folder, processes) for processes in (2, 1))
    return Report((against("sft, rl", Series((two,), "s"), Series((one,), "s"), Target("at most", 1.5, "×")),), (NOTE,))


def _seconds(folder: Path, processes: int) -> float:
    file = write(folder / f"{processes}.yaml", curriculum(folder / "base", STAGES, 8 // processes))
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    out = folder / str(processes)
    run([sys.executable, *launcher, "-m", "perdure", "run", file, "--output-dir", out])
    events = [json.loads(line) for line in (out / "journal.jsonl").read_text().splitlines()]
    return float(sum(event["seconds"] for event in events if event["event"] == "commit" and event["stage"]))
