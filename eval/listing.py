"""The benchmarks that a curriculum can name: the kinds, and those that come with perdure."""

from importlib.resources import files
from pathlib import Path

from perdure.curriculum.file.listing import Listed, benchmark_kinds
from perdure.curriculum.file.shipped import summary_and_needs

SHIPPED = "tasks that come with perdure, with include_path: builtin"


def benchmarks() -> list[Listed]:
    """The kinds of benchmarks, and the lm-eval tasks that come with perdure."""
    kinds = benchmark_kinds()
    text = next(one.worlds for one in kinds if one.name == "lm_eval")
    found = [Listed(one.name, one.summary, one.needs, one.worlds, "kinds, by type") for one in kinds]
    for file in sorted(Path(str(files("perdure.eval") / "shipped")).glob("*.yaml")):
        summary, _ = summary_and_needs(file)
        found.append(Listed(file.stem, summary, "", text, SHIPPED))
    return found
