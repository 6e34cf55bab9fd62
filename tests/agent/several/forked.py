"""Two processes of one run, forked from one that has imported every library, as a launcher would start them."""

import os
import resource
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.agent.several.curricula import FLAG, TRAINER
from tests.forked import forkserver

WAIT = 120


@dataclass(frozen=True)
class Ended:
    """What became of a command in a folder: the exit codes of both processes, and all that they said."""

    folder: Path
    codes: list[int]
    said: str


def two(folder: Path, *arguments: str, limits: Mapping[int, int] | None = None, flag: Path | None = None) -> Ended:
    """Carry out `perdure ARGUMENTS` by two processes.

    `limits`: bytes to which a file may grow, by the number of a process; `flag`: see `curricula.FLAG`.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as said:
        processes = [
            forkserver().Process(
                target=_main, args=(str(folder), arguments, said, rank, port, (limits or {}).get(rank), str(flag or ""))
            )
            for rank in range(2)
        ]
        for one in processes:
            one.start()
        for one in processes:
            one.join(WAIT)
            if one.is_alive():
                one.kill()
                raise TimeoutError(f"perdure {' '.join(arguments)} took longer than {WAIT} s")
        texts = "".join((Path(said) / str(rank)).read_text() for rank in range(2))
    return Ended(folder, [one.exitcode or 0 for one in processes], texts)


def _main(
    folder: str, arguments: tuple[str, ...], said: str, rank: int, port: int, limit: int | None, flag: str
) -> None:
    os.setsid()
    os.chdir(folder)
    output = os.open(Path(said) / str(rank), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(output, number)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), TRAINER: str(os.getpid())}
    os.environ |= {FLAG: flag} if flag else {}
    if limit is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    sys.path.insert(0, "")
    sys.argv = ["perdure", *arguments]
    from perdure.cli.main import main

    main()
