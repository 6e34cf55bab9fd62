"""One SFT stage of a model of 135 million parameters, by TRL alone and by perdure, each in a process of its own."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from perdure.curriculum.worlds.build import build_task
from tests.bench.bare import count_parameters
from tests.bench.figures import Options
from tests.bench.material import STAGE, bare_arguments, bare_rows, large_curriculum, save_large_model
from tests.bench.processes import run_json
from tests.bench.runs import StageTimes

STEPS = 21
"""A reading and a snapshot come after step 20, the default."""


@dataclass(frozen=True)
class LargePair:
    """Seconds of the update, peak resident memory in MB, and the hash of the final weights of the two."""

    name: str
    bare_seconds: float
    bare_peak: float
    bare_sha256: str
    times: StageTimes
    peak: float

    @property
    def same_weights(self) -> bool:
        return self.bare_sha256 == self.times.sha256


@cache
def large_pair(options: Options) -> LargePair:
    """Train both by perdure's defaults. It takes minutes, so the benchmarks that look at it share it."""
    return train_both(options, train={"max_steps": STEPS}, budget={})


def train_both(options: Options, *, train: dict[str, Any], budget: dict[str, Any]) -> LargePair:
    """Train both with these settings, `budget` on perdure's side alone."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model = options.model or folder / "model"
        if options.model is None:
            save_large_model(model)
        curriculum = large_curriculum(model.absolute(), options.threads, train, budget)
        run_through = run_json(
            ["-m", "tests.bench.runs"],
            {"curriculum": curriculum.model_dump(mode="json"), "folder": str(folder / "run")},
            folder,
        )
        peak = run_through.pop("peak")
        times = StageTimes(**run_through)
        bare = run_json([Path(__file__).with_name("bare.py")], _bare_job(curriculum, times.threads, folder), folder)
        weights = "random weights" if options.model is None else "the weights given"
        name = f"{count_parameters(model) / 1e6:.0f} M parameters, {weights}"
    return LargePair(name, bare["seconds"], bare["peak"], bare["sha256"], times, peak)


def _bare_job(curriculum: Any, threads: int, folder: Path) -> dict[str, Any]:
    from perdure.agent.seeds import derive

    task = build_task(curriculum.stages[0].task, name=STAGE, seed=derive(curriculum.seed, "task", STAGE))
    return {
        "method": "sft",
        "model": curriculum.model.model_name_or_path,
        "threads": threads,
        "rows": bare_rows(task, "sft"),
        "arguments": bare_arguments(curriculum, "sft", folder / "bare"),
    }
