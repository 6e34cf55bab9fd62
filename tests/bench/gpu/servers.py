"""A vLLM server for the bench: vLLM itself beside a GPU, the tests' stand-in on a CPU."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.bench.figures import UnmeasuredError
from tests.bench.gpu.setting import Setting

PORT = 8191
PATIENCE = 150
"""Seconds in which vLLM must be up."""


@contextmanager
def served(setting: Setting, config: Any) -> Iterator[str]:
    """The address of a server of the model, up inside."""
    if setting.device == "cpu":
        from perdure.agent.worlds.language.loading import load_base
        from tests.agent.worlds.language.vllm_stand_in import standing_in

        with standing_in(load_base(config)) as server:
            yield server.url
        return
    arguments = ["--port", str(PORT), "--max-model-len", "1024", "--gpu-memory-utilization", "0.3", "--enforce-eager"]
    command = [sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", str(setting.model()), *arguments]
    log = (setting.folder / "vllm.log").open("w")
    environment = os.environ | {"VLLM_SERVER_DEV_MODE": "1"}
    process = subprocess.Popen(
        [*command, "--logprobs-mode", "processed_logprobs"], env=environment, stdout=log, stderr=subprocess.STDOUT
    )
    try:
        _wait(process, f"http://127.0.0.1:{PORT}")
        yield f"http://127.0.0.1:{PORT}"
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                return
        except (OSError, urllib.error.URLError):
            time.sleep(1)
    raise UnmeasuredError(f"`vllm serve` is not up after {PATIENCE} s, or has ended")
