"""Absurd settings against `perdure run`: refused in one message or run to an end, without traceback, crash or hang.

A run that is legitimately long goes on: it has a folder, and a step or a journal line more every `STILL` seconds. After
`SECONDS` it is interrupted, and must then end at once.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults.totals import Totals, count

SECONDS, BEGINNING, STILL, PARTING = 120, 240, 40, 20
"""Until a long run is interrupted; to its folder or a refusal, since an item may take 30 s of a processor that is
shared; without progress; and from the interrupt to the end."""

VISION = """\
model: {type: mlp, hidden_sizes: [8], pretrain: {images: 40, num_train_epochs: 1}}
budget: {kl: 0.5, every: 2, num_prompts: 4}
strategy: {type: fixed, method: METHOD}
train: {learning_rate: 1e-3, max_steps: 4, per_device_train_batch_size: 4}
stages: [{name: a, task: {type: images, images: digits, rule: parity, writer: two, train: 40, heldout: 20}}]
"""
LANGUAGE = """\
model: {model_name_or_path: builtin:tiny}
budget: {kl: 0.5, every: 2, num_prompts: 4, max_completion_length: 4}
strategy: {type: fixed, method: METHOD}
train: {learning_rate: 1e-4, max_steps: 2, per_device_train_batch_size: 4, num_generations: 4}
stages: [{name: a, task: {type: reasoning_gym, dataset: chain_sum, train: 8, heldout: 4}}]
evaluation: {max_completion_length: 4}
"""
HUGE, TINY = ("1000000000", "1e300", ".inf", "99999999999999999999"), ("0", "-1", "1e-300", ".nan")

GYM = "{type: reasoning_gym, train: 8, heldout: 4, dataset: %s}"
LARGE_ITEMS = (
    "chain_sum, config: {min_terms: 9999, max_terms: 9999}",
    "tower_of_hanoi, config: {min_disks: 40, max_disks: 40}",
    "binary_matrix, config: {min_n: 9999, max_n: 10000}",
    "knights_knaves, config: {n_people: 60}",
)
"""Of sizes that are allowed, some of which take for ever."""

Case = tuple[str, str, str, str]
"""The file, its method, a path and a value."""


def _cases() -> list[Case]:
    vision = [("sft", path) for path in ("learning_rate", "num_train_epochs", "per_device_train_batch_size")]
    vision += [("sft", "warmup_steps"), ("sft", "max_grad_norm"), ("rl_kl", "beta"), ("rl", "num_generations")]
    vision += [("ewc", "ewc.ewc_lambda"), ("l2", "l2.l2_lambda"), ("lora", "lora.r"), ("lora", "lora.lora_alpha")]
    found = [
        (VISION, method, f"train.{path}", value) for method, path in vision for value in (HUGE[0], HUGE[2], TINY[2])
    ]
    whole = ("budget.kl", "budget.every", "budget.num_prompts", "seed", "model.threads", "stages.0.task.train")
    found += [(VISION, "sft", path, value) for path in whole for value in (*HUGE[:3], *TINY[1:])]
    found += [
        (VISION, "sft", "model.hidden_sizes", value)
        for value in (
            "[1000000000]",
            "[30000, 30000]",
            f"[{', '.join(['1'] * 64)}]",
            f"[{', '.join(['9'] * 999)}]",
            "[0]",
        )
    ]
    devices = ("meta", "cuda:99", "cuda:-1", "xla", "mps", "xpu", "cpu:7", "''")
    found += [(VISION, "sft", "model.device", device) for device in devices]
    found += [(LANGUAGE, "sft", "model.device", device) for device in devices[:3]]
    found += [
        (LANGUAGE, method, path, value)
        for method, path, value in (
            ("sft", "train.max_length", "1000000000"),
            ("rl", "train.max_completion_length", "1000000000"),
            ("rl", "train.temperature", "1e-300"),
            ("rl", "train.temperature", "0.001"),
            ("rl", "train.temperature", "1000"),
            ("sft", "evaluation.temperature", "1e-300"),
            ("sft", "evaluation.batch_size", "1000000"),
            ("sft", "model.lora", "{r: 1000000000}"),
            ("sft", "train.trl", "{dataloader_num_workers: 1000000}"),
            ("sft", "train.trl", "{dataset_num_proc: 1000000}"),
            ("sft", "train.trl", "{logging_steps: 0}"),
            ("sft", "train.trl", "{adam_beta1: 7}"),
            ("sft", "train.trl", "{adam_epsilon: .inf}"),
            ("rl", "train.trl", "{num_iterations: 1000000000000}"),
            ("sft", "stages.0.task.level", "1000000"),
            ("sft", "stages.0.task.config", "{max_digits: 1000000000}"),
            ("sft", "stages.0.task.config", "{min_terms: 100000000, max_terms: 100000000}"),
        )
    ]
    endless = "{learning_rate: 1e-9, max_steps: 100000000, per_device_train_batch_size: 4}"
    found += [(text, "sft", "train", endless) for text in (VISION, LANGUAGE)]
    found += [(LANGUAGE, "sft", "stages.0.task", GYM % one) for one in LARGE_ITEMS]
    return found


def run(limit: int | None = None) -> Totals:
    """With a limit, cases spread over all."""
    cases = _cases()
    step = 1 if limit is None else max(1, len(cases) // limit)
    with TemporaryDirectory() as folder:
        return count(_tried(number, case, Path(folder)) for number, case in enumerate(cases[::step][:limit]))


def _tried(number: int, case: Case, folder: Path) -> str | None:
    text, method, path, value = case
    (folder / "case.yaml").write_text(text.replace("METHOD", method))
    code = "import sys; from perdure.cli.main import main; sys.argv[0] = 'perdure'; main()"
    output = folder / f"run-{number}"
    given = ["run", "case.yaml", "--plain", "--output-dir", str(output), "--set", f"{path}={value}"]
    return _judged((sys.executable, "-c", code, *given), folder, output, f"{method}, {path}={value[:90]}")


def _judged(command: Sequence[str], folder: Path, output: Path, case: str) -> str | None:
    path = os.pathsep.join(entry for entry in (*sys.path, str(Path.cwd())) if entry)
    with (folder / "said").open("w+") as said:
        run = subprocess.Popen(
            command, cwd=folder, stdout=said, stderr=subprocess.STDOUT, env=os.environ | {"PYTHONPATH": path}
        )
        stuck = _stuck(run, output)
        said.seek(0)
        text = said.read()
    if stuck is not None:
        return f"{case}: {stuck}: {text[-300:]}"
    if run.returncode not in (0, 1, 130) or "Traceback" in text:
        return f"{case}: exit {run.returncode}: {text[-300:]}"
    return f"{case}: refused after the run folder was made" if run.returncode == 1 and output.exists() else None


def _stuck(run: "subprocess.Popen[bytes]", output: Path) -> str | None:
    """Waits for the end of a run, or interrupts one that goes on; the reason why it is stuck, if it is."""
    began = moved = time.monotonic()
    seen: object = None
    while run.poll() is None and moved - began < SECONDS:
        time.sleep(0.2)
        now = _progress(output)
        if now != seen:
            seen, moved = now, time.monotonic()
        if time.monotonic() - moved > (STILL if output.exists() else BEGINNING):
            run.kill()
            run.wait()
            return f"nothing moved for {time.monotonic() - moved:.0f} s"
    run.send_signal(signal.SIGTERM)
    try:
        run.wait(PARTING)
    except subprocess.TimeoutExpired:
        run.kill()
        run.wait()
        return f"did not end within {PARTING} s of an interrupt"
    return None


def _progress(output: Path) -> object:
    """What changes while a run goes on: its journal, and the phase, steps and losses of the update."""
    try:
        now = json.loads((output / "progress.json").read_text())
        return (output / "journal.jsonl").stat().st_size, now | {"time": None}
    except OSError:
        return output.exists()
