"""The machine and the installation, as perdure sees them. It reads no environment variable and no secret."""

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

PACKAGE = "perdure"
GIB = 2**30


def installation() -> dict[str, Any]:
    """The versions of Python, of perdure and of the packages that it requires; what each extra lacks."""
    asked = [Requirement(one) for one in requires(PACKAGE) or ()] if _version(PACKAGE) else []
    always = [one for one in asked if one.marker is None]
    extras = metadata(PACKAGE).get_all("Provides-Extra", []) if asked else []
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "perdure": _version(PACKAGE),
        "packages": {one.name: _version(one.name) for one in always},
        "extras": {name: missing([one for one in asked if _is_of(one, name)]) for name in extras},
    }


def missing(asked: list[Requirement]) -> list[str]:
    """The requirements that are not installed, or in another version; those of their own extras included."""
    found = []
    for one in asked:
        here = _version(one.name)
        if here is None or not one.specifier.contains(here, prereleases=True):
            found.append(str(one).partition(";")[0].strip())
            continue
        inner = [Requirement(text) for text in requires(one.name) or ()] if one.extras else []
        found += missing([each for each in inner if any(_is_of(each, extra) for extra in one.extras)])
    return found


def hardware(folder: Path) -> dict[str, Any]:
    """The devices, memory and disk; sizes in GiB, `disk_free` on the disk of `folder`. It imports torch."""
    import torch

    from perdure.agent.worlds.devices import has_bfloat16

    gpus = [
        {"name": torch.cuda.get_device_name(one), "memory": torch.cuda.get_device_properties(one).total_memory / GIB}
        for one in range(torch.cuda.device_count())
    ]
    return {
        "gpus": gpus,
        "auto": "cuda" if torch.cuda.is_available() else "cpu",
        "dtype": "float32" + " under bfloat16 autocast" * (bool(gpus) and has_bfloat16(torch.device("cuda"))),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB if hasattr(os, "sysconf") else None,
        "disk_free": shutil.disk_usage(folder).free / GIB,
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _is_of(one: Requirement, extra: str) -> bool:
    """True if a requirement is of an extra, and not of every installation."""
    return one.marker is not None and one.marker.evaluate({"extra": extra}) and not one.marker.evaluate({"extra": ""})
