"""The section `sandbox` of a reward: where code that a model wrote is run."""

from typing import Annotated, Literal

from pydantic import Field

from perdure.budget.config import Frozen


class SandboxConfig(Frozen):
    """Where code that a model wrote is run. Without this section none is."""

    type: Annotated[
        Literal["bubblewrap"],
        Field(description="`bubblewrap`: namespaces of Linux without network or files, by the program `bwrap`"),
    ]
    memory: Annotated[int, Field(ge=64, le=2**20, description="MiB of memory that each process may take")] = 512
    processes: Annotated[int, Field(ge=1, le=1024, description="processes and threads of one answer at once")] = 8
    disk: Annotated[int, Field(ge=1, le=2**16, description="MiB of files of one answer, held in memory")] = 16
    workers: Annotated[
        int | None, Field(ge=1, le=64, description="answers that are run at once; default: as many as processors")
    ] = None
