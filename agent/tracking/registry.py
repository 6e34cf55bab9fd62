"""The trackers, by the `type` of their section. A tracker's module imports its library."""

from importlib import import_module

from perdure.agent.tracking.contract import Open

MODULES: dict[str, str] = {
    "trackio": "perdure.agent.tracking.to_trackio",
    "wandb": "perdure.agent.tracking.to_wandb",
    "tensorboard": "perdure.agent.tracking.to_tensorboard",
    "mlflow": "perdure.agent.tracking.to_mlflow",
}


def opener(name: str) -> Open:
    """The function that opens a run at a tracker. Imports the library, which may take seconds."""
    found: Open = import_module(MODULES[name]).open_run
    return found
