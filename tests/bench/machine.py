"""The machine in one line: nothing that tells one's own machine from another of its kind."""

import os
import platform
from importlib.metadata import version
from pathlib import Path


def machine() -> str:
    """Processor, cores and the libraries that matter for speed."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "trl", "lm_eval"))
    load = os.getloadavg()[0]
    busy = f", busy (load {load:.1f})" if load > (os.cpu_count() or 1) / 2 else ""
    return f"{_processor()}, {os.cpu_count()} cores{busy}; Python {platform.python_version()}, {libraries}"


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
