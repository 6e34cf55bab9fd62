"""Measures the plan of the code: `python -m tests.bench.house` prints what the table in docs/design.md holds."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles

ROOT = Path(__file__).parents[2]
ROOMS = ("agent", "budget", "cli", "curriculum", "eval")
CONTRACTS = frozenset({"Changes", "Modifier"})
"""Classes that each world has, and that mean the same."""


def modules() -> Iterator[tuple[str, str, ast.Module]]:
    """The path, the text and the tree of every module, tests left out."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            yield path.relative_to(ROOT).as_posix(), text, ast.parse(text)


def functions(tree: ast.Module) -> Iterator[int]:
    """The lines of every function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.end_lineno or node.lineno) - node.lineno + 1


def types(tree: ast.Module) -> set[str]:
    """The public classes of a module, and the names that it gives to types."""
    found = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    aliases = (node.targets[0] for node in tree.body if isinstance(node, ast.Assign))
    found |= {one.id for one in aliases if isinstance(one, ast.Name) and one.id[:1].isupper() and not one.id.isupper()}
    return {name for name in found if not name.startswith("_")} - CONTRACTS


def main() -> None:
    """Print every figure."""
    found = list(modules())
    lengths = {path: text.count("\n") for path, text, _ in found}
    longest = max(lengths, key=lengths.__getitem__)
    sizes = sorted(size for _, _, tree in found for size in functions(tree))
    owners: dict[str, list[str]] = {}
    for path, _, tree in found:
        for name in types(tree):
            owners.setdefault(name, []).append(path)
    twice = {name: paths for name, paths in sorted(owners.items()) if len(paths) > 1}
    print(f"lines: {sum(lengths.values())} in {len(lengths)} files; longest file: {lengths[longest]} ({longest})")
    print(f"functions: {len(sizes)}; 90 % have at most {quantiles(sizes, n=10)[-1]:.0f} lines; longest {sizes[-1]}")
    print(f"names of two classes or types: {len(twice)}")
    for name, paths in twice.items():
        print(f"  {name}: {', '.join(paths)}")
    rooms = Counter(path.split("/")[0] for path in lengths for _ in range(lengths[path]))
    print(f"by room: {', '.join(f'{room} {count}' for room, count in sorted(rooms.items()))}")


if __name__ == "__main__":
    main()
