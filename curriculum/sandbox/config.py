"""The section `sandbox` of a reward: where code that a model wrote is run."""

from typing import Annotated, Literal

from pydantic import Field

from perdure.budget.config import Frozen


class SandboxSettings(Frozen):
    """What every kind of sandbox has."""

    memory: Annotated[int, Field(ge=64, le=2**20, description="MiB of memory that each process may take")] = 512
    processes: Annotated[int, Field(ge=1, le=1024, description="processes and threads of one answer at once")] = 8
    disk: Annotated[int, Field(ge=1, le=2**16, description="MiB of files of one answer, held in memory")] = 16
    workers: Annotated[
        int | None, Field(ge=1, le=64, description="answers that are run at once; default: as many as processors")
    ] = None


class BubblewrapConfig(SandboxSettings):
    """Code that a model wrote is run in namespaces of Linux without network or files, by the program `bwrap`."""

    type: Annotated[Literal["bubblewrap"], Field(description="the program `bwrap`, 0.7 or later")]


class PodmanConfig(SandboxSettings):
    """Code that a model wrote is run in a container without network, one for each answer."""

    type: Annotated[Literal["podman"], Field(description="the program `podman`, rootless or not")]
    image: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9][\w./:@-]*$", description="an image on this machine, with `python3`")
    ]


SandboxConfig = Annotated[BubblewrapConfig | PodmanConfig, Field(discriminator="type")]
