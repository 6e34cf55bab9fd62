"""The checkpoints of a transformers trainer (`agent/worlds/stage_checkpoints.py`).

A folder holds the weights that the update changes (`weights.safetensors`), everything else that the next step depends
on (optimiser, scheduler and generator states, the weight of the budget's KL term, what a method keeps of its own:
tensors in `state.safetensors`, the rest in `state.json`) and transformers' own `trainer_state.json`. The last step's
checkpoint says `finished` and holds no optimiser state.
"""

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from perdure.agent.weights import restore_weights, trained
from perdure.agent.worlds.contract import WeightsFile
from perdure.agent.worlds.stage_checkpoints import STATE, TENSORS, WEIGHTS, fill_weights, from_plain, to_plain, write
from perdure.budget import ranks
from perdure.budget.plain_json import from_words, with_words


def save(trainer: Any, folder: Path, already: WeightsFile | None = None) -> Path:
    """Write a checkpoint of a transformers trainer, between two optimiser steps; `already` holds its weights."""
    step, last_step = trainer.state.global_step, trainer.state.max_steps
    generators, counts = ranks.gathered(generator_states()), all_counts(trainer.counts)

    def fill(partial: Path) -> dict[str, str]:
        tensors: dict[str, Tensor] = {}
        state = {"step": step, "finished": step >= last_step, "penalty_weight": trainer.terms.weight}
        state["counts"] = counts
        if step < last_step:
            state["resume"] = to_plain(_resume_state(trainer) | {"generators": generators[0]}, tensors)
            if len(generators) > 1:
                state["others"] = to_plain(generators[1:], tensors)
        save_file(tensors, partial / TENSORS)
        (partial / STATE).write_text(json.dumps(with_words(state), allow_nan=False))
        trainer.state.save_to_json(str(partial / "trainer_state.json"))
        return fill_weights(partial, trained(trainer.model), already)

    return ranks.told(lambda: write(folder, step, fill))


def all_counts(counts: Mapping[str, int]) -> dict[str, int]:
    """The counts of an update over all processes of the run."""
    return ranks.totals(counts)


def _resume_state(trainer: Any) -> dict[str, Any]:
    scaler = trainer.accelerator.scaler
    if torch.cuda.is_available():
        torch.cuda.synchronize()  # a paged optimiser's state is memory that the device may still be writing
    return {
        "optimizer": trainer.optimizer.state_dict(),
        "scheduler": trainer.lr_scheduler.state_dict(),
        "scaler": None if scaler is None else scaler.state_dict(),
        "own": trainer.own_state() if hasattr(trainer, "own_state") else None,
        "entropy": {name: getattr(trainer, name) for name in ENTROPY_CONTROL if hasattr(trainer, name)},
    }


ENTROPY_CONTROL = ("entropy_coef", "_last_world_entropy")
"""The state of TRL's adaptive entropy bonus."""


def is_finished(checkpoint: Path) -> bool:
    """True for the checkpoint of the last step, of which only the weights are loaded."""
    return bool(_read_state(checkpoint)["finished"])


def _read_state(checkpoint: Path) -> dict[str, Any]:
    return from_words(json.loads((checkpoint / STATE).read_text()))


def penalty_weight(checkpoint: Path) -> float | None:
    """The weight of the KL term after a checkpoint's step; `None` where there was no such term."""
    weight: float | None = _read_state(checkpoint)["penalty_weight"]
    return weight


def counts(checkpoint: Path) -> dict[str, int]:
    """The counts of the steps before; none in a checkpoint of the version before.

    They are of all processes, and the main one goes on with them.
    """
    if not ranks.is_main():
        return {}
    found: dict[str, int] = json.loads((checkpoint / STATE).read_text()).get("counts", {})
    return found


def load_weights(model: nn.Module, checkpoint: Path) -> None:
    """Copy the weights of a checkpoint into the model, in place."""
    restore_weights(trained(model), checkpoint / WEIGHTS)


def load_optimizer(trainer: Any, checkpoint: Path) -> None:
    """Restore the optimiser, the scheduler, the penalty's weight and the method's own state."""
    state = _read_resume_state(checkpoint)
    trainer.optimizer.load_state_dict(state["optimizer"])
    trainer.lr_scheduler.load_state_dict(state["scheduler"])
    if state["scaler"] is not None:
        trainer.accelerator.scaler.load_state_dict(state["scaler"])
    for name, value in state["entropy"].items():
        setattr(trainer, name, value)
    if state["own"] is not None:
        trainer.take_own_state(state["own"])
    trainer.terms.put_back(penalty_weight(checkpoint))


def load_generators(checkpoint: Path) -> None:
    """Restore the global generators' states after the checkpoint's step: this process's own."""
    if ranks.rank() == 0:
        set_generator_states(_read_resume_state(checkpoint)["generators"])
        return
    others = from_plain(_read_state(checkpoint)["others"], load_file(checkpoint / TENSORS))
    set_generator_states(others[ranks.rank() - 1])


def _read_resume_state(checkpoint: Path) -> dict[str, Any]:
    tensors = load_file(checkpoint / TENSORS)
    state: dict[str, Any] = from_plain(_read_state(checkpoint)["resume"], tensors)
    return state


def generator_states() -> dict[str, Any]:
    """The states of Python's, numpy's and torch's global generators, of every CUDA device too."""
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, np.asarray(keys).tolist(), *rest),
        "torch": torch.get_rng_state(),
        "cuda": list(torch.cuda.get_rng_state_all()) if torch.cuda.is_available() else [],
    }


def set_generator_states(states: dict[str, Any]) -> None:
    """The inverse of `generator_states`."""
    random.setstate(states["python"])
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(states["torch"])
    if states["cuda"]:
        torch.cuda.set_rng_state_all(states["cuda"])
