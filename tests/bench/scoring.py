"""Scoring one checkpoint on the demo's benchmarks, against one `lm-eval` command for the same items."""

import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.bench.figures import Options, Report, Series, Target, UnmeasuredError, against
from tests.bench.processes import run

REPEATS = 2
BATCH = 64


def measure(_: Options) -> Report:
    """All benchmarks that are shipped, on the built-in model, alternately."""
    from perdure.agent.worlds.language.loading import load_policy
    from perdure.curriculum.evaluation import Benchmark, Evaluation
    from perdure.curriculum.worlds.language.model import CausalModel
    from perdure.eval.benchmarks import prepare_benchmarks
    from perdure.eval.lm_eval.names import BUILTIN

    names = sorted(file.stem for file in BUILTIN.glob("perdure_*.yaml"))
    began = time.perf_counter()
    import perdure.eval.lm_eval.model  # noqa: F401  (imported with the first score)

    prepared = prepare_benchmarks(
        [Benchmark(tasks=name, include_path="builtin", apply_chat_template=True) for name in names]
    )
    preparing = time.perf_counter() - began
    policy = load_policy(CausalModel(model_name_or_path="builtin:tiny", device="cpu", dtype="float32"), seed=0)
    evaluation = Evaluation(batch_size=BATCH)
    ours, theirs = [], []
    for _repeat in range(REPEATS):
        began = time.perf_counter()
        scores = {one.name: one.score(policy, evaluation)[0].value for one in prepared.benchmarks}
        ours.append(time.perf_counter() - began)
        seconds, their_scores = _command(names, BUILTIN)
        theirs.append(seconds)
        if scores != their_scores:
            raise UnmeasuredError(f"the scores differ: perdure {scores}, lm-eval {their_scores}")
    target = Target("at least", 5, "×")
    figure = against(
        f"{len(names)} benchmarks", Series(tuple(ours), "s"), Series(tuple(theirs), "s"), target, inverse=True
    )
    return Report((figure,), (_note(scores, preparing),))


def _note(scores: dict[str, Any], preparing: float) -> str:
    listed = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
    return (
        "perdure's side is what one scorecard costs within a run: the model is in memory and the tasks are prepared, "
        f"which takes {preparing:.1f} s once a run, the import of lm-eval included. The other side is one call of "
        f"`python -m lm_eval`, with the same batch size ({BATCH}), offline. The scores were equal: {listed}."
    )


def _command(names: list[str], tasks: Path) -> tuple[float, dict[str, float]]:
    """Wall time and scores of lm-eval's own command."""
    from perdure.agent.worlds.language.hub import resolve_path

    model = f"pretrained={resolve_path('builtin:tiny')},dtype=float32"
    with TemporaryDirectory() as scratch:
        seconds, _ = run(
            [
                *(sys.executable, "-m", "lm_eval", "--model", "hf", "--model_args", model, "--tasks", ",".join(names)),
                *("--include_path", tasks, "--apply_chat_template", "--device", "cpu", "--batch_size", str(BATCH)),
                *("--output_path", scratch),
            ]
        )
        (file,) = Path(scratch).rglob("results_*.json")
        results = json.loads(file.read_text())["results"]
    return seconds, {name: _first_metric(results[name]) for name in names}


def _first_metric(result: dict[str, Any]) -> float:
    return next(float(value) for key, value in result.items() if key.endswith(",none") and "stderr" not in key)
