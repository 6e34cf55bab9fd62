"""Code that lm-eval's task files name: of a user's folder none is executed unless the curriculum trusts it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perdure.budget.errors import ConfigError
from perdure.curriculum.evaluation import Benchmark


def refuse_code(benchmark: Benchmark, entry: Any) -> None:
    """Refuse a task of a user's folder that has Python executed: by `!function`, or by a metric's script."""
    configs = [entry.cfg or {}] if entry.yaml_path is None else list(_unresolved(entry.yaml_path, set()))
    for config in configs:
        for found in _code_in(config):
            where = "" if entry.yaml_path is None else f" of {entry.yaml_path}"
            raise ConfigError(
                f"benchmark {benchmark.tasks!r}: the task file{where} has Python code executed ({found}), also by "
                "`plan`; read that code and set `trust_task_code: true` for this benchmark if you trust it, or write "
                "the task without it"
            )


def _is_own(metric: dict[str, Any]) -> bool:
    """True for a metric of lm-eval's own; `evaluate` downloads or runs a script for any other."""
    import lm_eval.api.metrics  # noqa: F401  (it registers them)
    from lm_eval.api.registry import metric_registry

    return not metric.get("hf_evaluate") and metric["metric"] in metric_registry


@dataclass(frozen=True)
class Function:
    """A `!function` of a task file, not imported."""

    name: str


def _unresolved(path: Path, seen: set[Path]) -> Iterator[dict[str, Any]]:
    """A task file and those that it includes, each `!function` a `Function`."""
    import yaml  # type: ignore[import-untyped]

    loader: Any = type("Loader", (yaml.SafeLoader,), {})
    loader.add_constructor("!function", lambda _, node: Function(str(node.value)))
    path = path.expanduser().resolve()
    if path in seen:
        return
    seen.add(path)
    config = yaml.load(path.read_bytes(), Loader=loader)
    yield config
    includes = config.get("include") or []
    for one in includes if isinstance(includes, list) else [includes]:
        yield from _unresolved(path.parent / one, seen)


def _code_in(value: Any) -> Iterator[str]:
    """The code that a value of a task file has executed, in words."""
    if isinstance(value, Function):
        yield f"!function {value.name}"
    elif callable(value):
        yield f"!function {getattr(value, '__qualname__', value)}"
    elif isinstance(value, dict):
        metrics = value.get("metric_list")
        for one in metrics if isinstance(metrics, list) else []:
            if isinstance(one, dict) and isinstance(one.get("metric"), str) and not _is_own(one):
                yield f"metric {one['metric']!r} of `evaluate`"
        for child in value.values():
            yield from _code_in(child)
    elif isinstance(value, list):
        for child in value:
            yield from _code_in(child)
