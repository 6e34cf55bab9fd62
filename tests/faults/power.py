"""Power cuts: a run is logged, and goes on from what strict POSIX leaves of it after each of its file operations.

Two states a cut. `synced`: a file has the content of its last sync and a folder the names of its last one. `named`:
every name is there, and the content is still that of the last sync, as file systems do that journal names alone.
"""

import pickle
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.operations import Disk, Operation
from tests.faults.rehearsal import Rehearsal, began_or_resumed, forked, rehearsal, spread
from tests.faults.totals import Totals, count

State = dict[str, bytes | None]
"""The content of every file, and `None` for a folder, by their paths from the root."""


@dataclass
class Node:
    """A file or a folder, as programs see it and as it is on the disk."""

    is_folder: bool
    names: dict[str, "Node"] = field(default_factory=dict)
    synced_names: dict[str, "Node"] = field(default_factory=dict)
    synced: bytes = b""


class Tree:
    """What a log of operations leaves on a disk."""

    def __init__(self) -> None:
        self.root = Node(True)

    def apply(self, operation: Operation, root: Path) -> None:
        """Make one operation more; what is below a path that is not known was made by someone who is not logged."""
        folder, name = self._place(operation.path, root)
        match operation.what:
            case "create":
                folder.names.setdefault(name, Node(False))
            case "mkdir":
                folder.names.setdefault(name, Node(True))
            case "unlink" | "rmdir":
                folder.names.pop(name, None)
            case "rename":
                other, new = self._place(operation.to, root)
                other.names[new] = folder.names.pop(name)
            case "link":
                other, new = self._place(operation.to, root)
                other.names[new] = folder.names[name]
            case "fsync":
                node = folder.names.setdefault(name, Node(Path(operation.path).suffix == "")) if name else self.root
                node.synced = operation.content
                node.synced_names = dict(node.names)

    def _place(self, path: str, root: Path) -> tuple[Node, str]:
        *above, name = Path(path).relative_to(root).parts or ("",)
        node = self.root
        for part in above:
            node = node.names.setdefault(part, Node(True))
        return node, name

    def states(self) -> tuple[State, State]:
        """What a cut leaves: `synced` and `named`."""
        return _walk(self.root, "synced_names"), _walk(self.root, "names")


def _walk(node: Node, names: str, path: str = "") -> State:
    found: State = {}
    for name, child in getattr(node, names).items():
        place = f"{path}{name}"
        found[place] = None if child.is_folder else child.synced
        found |= _walk(child, names, f"{place}/")
    return found


_JOURNAL = "run/journal.jsonl"


def run(limit: int | None) -> Totals:
    """All cuts of a run of the vision world."""
    with rehearsal() as rehearsed:
        return count(case(rehearsed, *one) for one in spread(cuts(rehearsed), limit))


def cuts(rehearsed: Rehearsal) -> list[tuple[int, str, State]]:
    """The different states after each operation of a whole run; each once."""
    log, root = logged(rehearsed), rehearsed.place / "logged"
    tree, found, known, begun = Tree(), [], set(), False
    for number, operation in enumerate(log, 1):
        tree.apply(operation, root)
        begun = begun or (operation == Operation("fsync", str(root / "run")) and _JOURNAL in tree.states()[0])
        for kind, state in zip(("synced", "named"), tree.states(), strict=True):
            key = hash(tuple(sorted(state.items(), key=lambda item: item[0])))
            if key not in known:
                known.add(key)
                lacks = " (the journal is gone)" if begun and not state.get(_JOURNAL) else ""
                found.append((number, f"{kind}{lacks} after {operation.what} {Path(operation.path).name}", state))
    return found


def logged(rehearsed: Rehearsal) -> list[Operation]:
    """The file operations of a whole run in the folder `logged/run`."""
    root, kept = rehearsed.place / "logged", rehearsed.place / "log"
    root.mkdir()
    disk = Disk(root, is_logging=True)
    begin = began_or_resumed(rehearsed.curriculum, root / "run", disk)

    def command() -> None:
        begin()
        kept.write_bytes(pickle.dumps(disk.log))

    ended = forked(command, rehearsed.place)
    assert ended.code == 0, ended.words
    log: list[Operation] = pickle.loads(kept.read_bytes())
    return log


def case(rehearsed: Rehearsal, number: int, kind: str, state: State) -> str | None:
    if "gone" in kind:
        return f"operation {number}, {kind}"
    place = rehearsed.place / "case"
    place.mkdir()
    for path, content in state.items():
        if content is None:
            (place / path).mkdir(parents=True, exist_ok=True)
        else:
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_bytes(content)
    try:
        lost = rehearsed.lost(place / "run")
        return None if lost is None else f"operation {number}, {kind}: {lost}"
    finally:
        shutil.rmtree(place)
