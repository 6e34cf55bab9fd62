"""YAML as plain values, with the line and column of every key and value. Read safely: no tag makes an object."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from perdure.curriculum.file.faults import CurriculumError, Fault, Place
from perdure.curriculum.messages import Path, shorten, show_path, show_value

MAX_NODES = 50_000
"""Keys and values of a file: reading so many takes some seconds, and a curriculum has a hundred."""

MAX_DIGITS = 300
TAG = "tag:yaml.org,2002:"


TOO_MANY = f"more than {MAX_NODES:,} keys and values, those of aliases counted each time"


class _Counting(Composer):
    """Stops at too many nodes; composing them is most of the time of reading."""

    nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise ConstructorError(None, None, TOO_MANY, self.parser.peek_event().start_mark)
        return super().compose_node(parent, index)


@dataclass
class Document:
    """Plain values (`dict`, `list` and scalars), and where each key and each value is written, by path."""

    data: Any
    keys: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)

    def place(self, path: Path, *, at_key: bool = False) -> Place:
        """The place of a path; if it is not written, the place of the nearest map or list around it."""
        if at_key and path in self.keys:
            return self.keys[path]
        while path not in self.values:
            path = path[:-1]
        return self.values[path]

    def get(self, path: Path) -> Any:
        """The value at a path, or `None` where there is none."""
        here = self.data
        for part in path:
            try:
                here = here[part]
            except (KeyError, IndexError, TypeError):
                return None
        return here

    def put(self, path: Path, value: Any, place: Place) -> None:
        """Set a value, making maps on the way that are missing or null; its place is then `place`."""
        here = self.data
        for depth, part in enumerate(path[:-1]):
            if isinstance(here, dict) and here.get(part) is None:
                here[part] = {}
                self._record(path[: depth + 1], {}, place)
            here = here[part]
        here[path[-1]] = value
        self._record(path, value, place)

    def _record(self, path: Path, value: Any, place: Place) -> None:
        for places in (self.keys, self.values):
            for old in [known for known in places if known[: len(path)] == path]:
                del places[old]
        for each in paths_of(value, path):
            self.keys[each] = self.values[each] = place


def paths_of(value: Any, path: Path = ()) -> Iterator[Path]:
    """The path of a value and of everything inside it."""
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths_of(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from paths_of(inner, (*path, index))


def parse(text: str, source: str, *, positions: bool = True) -> Document:
    """Read one YAML 1.2 document.

    Anchors, aliases and merge keys are followed. Refused: syntax errors, keys given twice, keys that are not text,
    tags beyond YAML's own, aliases that contain themselves, more than 50 000 keys and values, and whole numbers of more
    than 300 digits. Dates stay text.
    `positions=False` leaves line and column out, for text that is in no file.

    Raises:
        CurriculumError: with the place of the fault.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _Counting
    yaml.allow_duplicate_keys = True  # perdure's message is better
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            root = yaml.compose(text)
            builder = _Builder(yaml.constructor, source, positions)
            data = None if root is None else builder.build(root, (), ())
    except (YAMLError, RecursionError) as error:
        place, message = _explain(error, text, source)
        raise CurriculumError([Fault(place if positions else Place(source), (), message)]) from None
    if builder.faults:
        raise CurriculumError(builder.faults)
    builder.values.setdefault((), Place(source, *((1, 1) if positions else ())))
    return Document(data, builder.keys, builder.values)


class _Builder:
    """Walks YAML's node graph once, noting places and collecting faults."""

    def __init__(self, constructor: SafeConstructor, source: str, positions: bool) -> None:
        self.constructor = constructor
        self.source = source
        self.positions = positions
        self.keys: dict[Path, Place] = {}
        self.values: dict[Path, Place] = {}
        self.faults: list[Fault] = []
        self.nodes = 0

    def place(self, node: Node) -> Place:
        if not self.positions:
            return Place(self.source)
        return Place(self.source, node.start_mark.line + 1, node.start_mark.column + 1)

    def build(self, node: Node, path: Path, around: tuple[int, ...]) -> Any:
        self.nodes += 1
        if id(node) in around:
            raise ConstructorError(None, None, "an alias contains itself", node.start_mark)
        if self.nodes > MAX_NODES:
            raise ConstructorError(None, None, TOO_MANY, node.start_mark)
        self.values[path] = self.place(node)
        around = (*around, id(node))
        if isinstance(node, MappingNode) and node.tag == TAG + "map":
            return self._map(node, path, around)
        if isinstance(node, SequenceNode) and node.tag == TAG + "seq":
            return [self.build(inner, (*path, index), around) for index, inner in enumerate(node.value)]
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        raise ConstructorError(None, None, f"the tag {shorten(str(node.tag))!r} is not allowed", node.start_mark)

    def _map(self, node: MappingNode, path: Path, around: tuple[int, ...]) -> dict[str, Any]:
        built: dict[str, Any] = {}
        first: dict[str, Place] = {}
        for key, value in node.value:
            if key.tag == TAG + "merge":
                continue
            if not isinstance(key, ScalarNode) or key.tag != TAG + "str":
                shown = show_value(key.value) if isinstance(key, ScalarNode) else "a map or list"
                self.faults.append(Fault(self.place(key), path, f"keys must be text; got {shown}; write it in quotes"))
                continue
            if key.value in first:
                message = f"the key {show_path((key.value,))} is given twice; first at {first[key.value]}"
                self.faults.append(Fault(self.place(key), path, message))
                continue
            here = (*path, key.value)
            first[key.value] = self.keys[here] = self.place(key)
            built[key.value] = self.build(value, here, around)
            if value.start_mark.index == value.end_mark.index:  # nothing is written: YAML's place is the next token
                self.values[here] = self.keys[here]
        for key, value in node.value:
            if key.tag == TAG + "merge":
                self._merge(value, path, around, built)
        return built

    def _merge(self, node: Node, path: Path, around: tuple[int, ...], built: dict[str, Any]) -> None:
        """Add the keys of `<<: *alias` that the map does not give itself."""
        sources = node.value if isinstance(node, SequenceNode) else [node]
        for source in sources:
            if not isinstance(source, MappingNode):
                raise ConstructorError(None, None, "`<<` takes a map or a list of maps", node.start_mark)
            side = _Builder(self.constructor, self.source, self.positions)
            side.nodes = self.nodes
            merged = side.build(source, path, around)
            self.nodes = side.nodes
            self.faults += side.faults
            new = {key: value for key, value in merged.items() if key not in built}
            built.update(new)
            for mine, theirs in ((self.keys, side.keys), (self.values, side.values)):
                mine.update({at: place for at, place in theirs.items() if at != path and at[len(path)] in new})

    def _scalar(self, node: ScalarNode) -> Any:
        if node.tag == TAG + "timestamp":
            return node.value
        if node.tag not in {TAG + name for name in ("null", "bool", "int", "float", "str")}:
            raise ConstructorError(None, None, f"the tag {shorten(str(node.tag))!r} is not allowed", node.start_mark)
        try:
            value = self.constructor.construct_object(node)
        except (ValueError, ConstructorError):
            shown = f"cannot read {show_value(node.value)} as {node.tag.removeprefix(TAG)}"
            raise ConstructorError(None, None, shown, node.start_mark) from None
        if isinstance(value, int) and abs(value) >= 10**MAX_DIGITS:
            raise ConstructorError(None, None, f"a whole number of more than {MAX_DIGITS} digits", node.start_mark)
        return value


def _explain(error: Exception, text: str, source: str) -> tuple[Place, str]:
    if isinstance(error, RecursionError):
        return Place(source, 1, 1), "not a curriculum: nested too deeply"
    if isinstance(error, ReaderError):
        before = text[: error.position]
        place = Place(source, before.count("\n") + 1, len(before) - before.rfind("\n"))
        return place, f"not a text file: unprintable character {text[error.position]!r}"
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        return Place(source, 1, 1), f"not valid YAML: {' '.join(str(error).split())}"
    mark = error.problem_mark
    place = Place(source, mark.line + 1, mark.column + 1)
    if isinstance(error, ConstructorError):
        return place, str(error.problem)
    if "'\\t'" in (error.problem or ""):
        return place, "not valid YAML: a tab cannot indent; use spaces"
    context = f" ({error.context})" if error.context else ""
    return place, f"not valid YAML: {error.problem}{context}"
