"""Launchers of several processes, known by the variables that they set: those refused, and those that need a word."""

import os
from collections.abc import Mapping

from perdure.budget.errors import ConfigError

STARTED_BY = "torchrun --nproc_per_node N -m perdure"

SHARDED = {
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "a parallelism_config",
}
"""By accelerate's variable: what keeps a part of the model in each process."""

BY_MPI = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")


def refuse(environment: Mapping[str, str]) -> None:
    """Refuse launchers' settings under which a run would be another one, or several.

    Raises:
        ConfigError: the variable and the remedy.
    """
    for name, what in SHARDED.items():
        if environment.get(name, "false").lower() in ("true", "1"):
            raise ConfigError(
                f"{name} is set: perdure does not train under {what}, since each process would hold a part of the "
                "weights, and it hashes, measures and restores whole models (docs/several-gpus.md). Use DDP: "
                f"{STARTED_BY}, or an accelerate config with distributed_type: MULTI_GPU"
            )
    if environment.get("ACCELERATE_DYNAMO_BACKEND", "no").lower() != "no":
        raise ConfigError(
            "ACCELERATE_DYNAMO_BACKEND is set: perdure does not train compiled models; set dynamo_backend to no"
        )
    for name in BY_MPI:
        if environment.get(name, "1") != "1" and environment.get("WORLD_SIZE", "1") == "1":
            raise ConfigError(f"{name} is {environment[name]}: each process would be a run; start by {STARTED_BY}")
    size = environment.get("WORLD_SIZE", "1")
    if not (size.isdecimal() and int(size) > 0 and environment.get("RANK", "0").isdecimal()):
        raise ConfigError(f"WORLD_SIZE is {size!r}, RANK {environment.get('RANK')!r}; start by {STARTED_BY}")


def refuse_several(command: str) -> None:
    """Refuse a command that each process would carry out on its own.

    Raises:
        ConfigError: `WORLD_SIZE` is not 1.
    """
    size = os.environ.get("WORLD_SIZE", "1")
    if size != "1":
        raise ConfigError(
            f"WORLD_SIZE is {size}: `perdure {command}` is for one process, and several would write the same files; "
            "start it without `torchrun` or `accelerate launch`"
        )


def advice(environment: Mapping[str, str]) -> str | None:
    """A line for who may have wanted several processes and got one: accelerate starts several on CPUs by MPI alone."""
    if environment.get("ACCELERATE_USE_CPU", "").lower() != "true" or environment.get("WORLD_SIZE", "1") != "1":
        return None
    return f"one process: without MPI `accelerate launch --cpu` starts no more; for several: {STARTED_BY}"
