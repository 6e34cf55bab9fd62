"""The commands that one process of several carries out, one after another: each a line of arguments in a file.

`torchrun --nproc_per_node 2 -m tests.agent.several FILE` saves the tests a start of two processes a command. Each
process notes its exit codes in `FILE.RANK`.
"""

import os
import sys
from functools import partial
from pathlib import Path

from perdure.budget import ranks
from perdure.cli.errors import DONE, INTERRUPTED, guarded
from perdure.cli.main import app
from tests.agent.several.curricula import TRAINER


def main(file: Path) -> None:
    """Carry them out, up to the first that fails: it parts the processes."""
    if not ranks.is_main():
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115
    os.environ[TRAINER] = str(os.getpid())
    codes = []
    for line in file.read_text().splitlines():
        codes.append(guarded(partial(app, line.split("\t"), prog_name="perdure")))
        Path(f"{file}.{os.environ['RANK']}").write_text(" ".join(map(str, codes)))
        if codes[-1] not in (DONE, INTERRUPTED):
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]))
