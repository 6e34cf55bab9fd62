"""`perdure env`: versions, devices, memory and extras, for a report of a fault or before an installation."""

from pathlib import Path
from typing import Any

from perdure.agent.machine import hardware, installation
from perdure.agent.run.find import RUNS
from perdure.cli.console import json_text, phase_status, say


def env_command(as_json: bool) -> None:
    """Print the installation at once, and the machine when torch is loaded; with `as_json` as one object."""
    here = installation()
    folder = RUNS if RUNS.is_dir() else Path()
    if not as_json:
        for line in installed_lines(here):
            say(line)
    with phase_status(lines=False) as show:
        show("loading torch")
        machine = hardware(folder)
    if as_json:
        print(json_text(here | machine))
        return
    for line in machine_lines(machine):
        say(line)


def installed_lines(here: dict[str, Any]) -> list[str]:
    """The versions and the extras."""
    packages = [f"  {name} {version or 'not installed'}" for name, version in here["packages"].items()]
    extras = [
        f"  {name}: " + (f"not installed ({', '.join(lacks)}); pip install 'perdure[{name}]'" if lacks else "installed")
        for name, lacks in here["extras"].items()
    ]
    head = [
        f"perdure {here['perdure'] or '(a checkout, not installed)'}",
        f"python {here['python']}, {here['platform']}",
    ]
    return [*head, "packages", *packages, "extras", *extras]


def machine_lines(machine: dict[str, Any]) -> list[str]:
    """The devices, memory and disk."""
    gpus = [f"  cuda:{number} {one['name']}, {one['memory']:.0f} GiB" for number, one in enumerate(machine["gpus"])]
    memory = "" if machine["memory"] is None else f", {machine['memory']:.1f} GiB of memory"
    return [
        f"device: auto is {machine['auto']} for language models, in {machine['dtype']}",
        *(gpus or ["  no GPU that torch can use"]),
        f"  {machine['cores']} CPU cores{memory}",
        f"disk: {machine['disk_free']:.1f} GiB free for runs",
    ]
