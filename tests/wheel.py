"""Builds the wheel, installs it elsewhere and runs it there: what users get, not what lies in the checkout.

Run as a script (`make test` does): it needs pip and the libraries of this environment, and no network beyond them.
"""

import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROOF = """
import importlib, pathlib, sys
for name in (
    *("agent.loop", "agent.worlds.language.loading", "budget.monitor", "cli.main", "curriculum.schema"),
    "eval.metrics",
):
    module = importlib.import_module(f"perdure.{name}")
    assert sys.argv[1] in module.__file__, module.__file__
import perdure
assert sys.argv[1] in perdure.__file__ and perdure.__version__ and perdure.run and perdure.Run, perdure.__file__
from importlib.resources import files
for package, file in (
    ("agent.worlds.language.builtin_model", "tiny/model.safetensors"), ("curriculum", "curricula/demo.yaml"),
    ("curriculum.sweeps", "parity-mnist.yaml"), ("budget.law", "builtin/parity-mnist.json"),
    ("curriculum.worlds.vision.images", "shipped/mnist/train-images-idx3-ubyte.gz"),
    ("curriculum.worlds.vision.images", "README.md"),
    ("eval.shipped", "perdure_spell.yaml"), ("eval.shipped", "perdure_spell.jsonl"), ("budget", "py.typed"),
    ("agent.api", "run.py"),
):
    assert (files(f"perdure.{package}") / file).is_file(), (package, file)
from gymnasium.envs.registration import _find_spec
assert _find_spec("perdure.agent.environment:Stream-v0").entry_point == "perdure.agent.environment.stream:Stream"
"""

USER = """
import perdure

found = perdure.run("demo", overrides={"budget.kl": 2.0})
status: str = found.status
accuracy: float | None = perdure.open_run("demo-1").metrics["average_accuracy"]
task = perdure.Task("t", (perdure.Item("a"),), ())
perdure.nothing  # type: ignore[attr-defined]
"""
"""A user's program for a type checker; the last line would be an unused `ignore` if any name were taken for one."""


def run(*command: str | Path, **environment: str) -> str:
    """Run from `/`, so that nothing of the checkout is found by accident."""
    done = subprocess.run(
        list(map(str, command)), cwd="/", env=os.environ | environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"failed: {' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def main() -> None:
    """Build, install, run."""
    with tempfile.TemporaryDirectory() as scratch:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
        run(*pip, "wheel", "--no-deps", "-w", scratch, ROOT)
        (wheel,) = Path(scratch).glob("perdure-*.whl")
        home = Path(scratch) / "venv"
        venv.create(home, with_pip=False)
        python = home / "bin" / "python"
        site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
        run(*pip, "--python", python, "install", "--no-deps", wheel)
        (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
        run(python, "-c", PROOF, str(site))
        types = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", Path(scratch) / "mypy"]
        run(*types, "--python-executable", python, "-c", USER)
        perdure = home / "bin" / "perdure"
        assert "run" in run(perdure, "--help")
        assert "perdure 0" in run(perdure, "--version")
        run(perdure, "validate", "demo")
        sample = Path(scratch) / "sample.yaml"
        sample.write_text(run(perdure, "sample"))
        run(perdure, "validate", sample)
    print("the wheel, installed elsewhere, runs")


if __name__ == "__main__":
    main()
