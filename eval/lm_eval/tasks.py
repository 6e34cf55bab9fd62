"""Finds and loads lm-eval tasks, with errors that a user can act on.

lm-eval's index of its own tasks takes 12 s to build. So the user's folder is searched first, then lm-eval's files for
the one that defines the name; only groups and tags of lm-eval need its index.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from perdure.budget.errors import ConfigError, DataError, PerdureError
from perdure.curriculum.evaluation import Benchmark
from perdure.eval.lm_eval.asked_task import LmTask
from perdure.eval.lm_eval.fetched import find_nltk_data, local_dataset, redirected
from perdure.eval.lm_eval.names import BUILTIN, shipped_names, unknown_message
from perdure.eval.lm_eval.requirements import missing_packages, runs_code, task_needs
from perdure.eval.lm_eval.silence import silence
from perdure.eval.lm_eval.task_code import refuse_code
from perdure.eval.lm_eval.templates import sandbox_templates

FILE_FORMATS = ("json", "csv", "parquet", "text", "arrow")


class TaskLibrary:
    """All available lm-eval tasks; each folder is indexed once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._managers: dict[Path, Any] = {}
        self._groups: dict[str, Any] = {}

    def load(self, benchmark: Benchmark) -> list[LmTask]:
        """The task of that name, or the leaf tasks of the group or tag.

        Raises:
            ConfigError: no such task or folder, a task that executes code or is not text only, a broken task file.
            DataError: the task's data is missing or on a hub that cannot be reached.
        """
        with silence(), _explained(benchmark):
            manager, spec = self._find(benchmark)
            for config in _raw_configs(manager, spec):
                _refuse_unsafe(benchmark, config)
            if manager in self._foreign() and not benchmark.trust_task_code:
                for entry in _entries(manager, spec):
                    refuse_code(benchmark, entry)
            sandbox_templates()
            self._meet_needs(benchmark, manager, spec)
            loaded = self._loaded(benchmark, manager, spec)
            self._groups |= loaded["groups"]
            tasks = list(loaded["tasks"].values())
        if not tasks:
            raise ConfigError(f"benchmark {benchmark.tasks!r} is a group without tasks")
        for task in tasks:
            _refuse_unsafe(benchmark, {"unsafe_code": getattr(task, "UNSAFE_CODE", False)})
            if getattr(task, "MULTIMODAL", False):
                raise ConfigError(f"benchmark {benchmark.tasks!r} uses images or sounds; only text is supported")
        return tasks

    def _meet_needs(self, benchmark: Benchmark, manager: Any, spec: str) -> None:
        paths = [entry.yaml_path for entry in _entries(manager, spec)] or [Path(spec)]
        for path in paths:
            if path is not None:
                needs = task_needs(path)
                message = missing_packages(benchmark.tasks, needs)
                if message is not None:
                    raise ConfigError(message)
                find_nltk_data(benchmark, needs)

    def _loaded(self, benchmark: Benchmark, manager: Any, spec: str) -> Any:
        from lm_eval.tasks._yaml_loader import load_yaml

        entries = list(_entries(manager, spec))
        for entry in entries:
            _find_data_beside_the_file(entry)
        if benchmark.data_path is None:
            return manager.load([spec])
        if not entries:  # the file of a task of lm-eval's
            full = load_yaml(spec, resolve_func=True)
            return manager.load([full | {"dataset_path": local_dataset(benchmark, full["dataset_path"])}])
        with redirected(benchmark, entries):
            return manager.load([spec])

    def counts_tasks_alike(self, benchmark: Benchmark, metric: str) -> bool:
        """True if a loaded group says `weight_by_size: false` of the metric."""
        group = self._groups.get(benchmark.tasks)
        said = getattr(group, "aggregate_metric_list", None) or []
        return any(one.metric == metric and not one.weight_by_size for one in said)

    def _find(self, benchmark: Benchmark) -> tuple[Any, str]:
        name, known = benchmark.tasks, []
        if benchmark.include_path is not None:
            manager = self._manager(self._include_path(benchmark.include_path))
            if name in manager.task_index:
                return manager, name
            known = list(manager.all_tasks)
            _refuse_broken_file(name, self._include_path(benchmark.include_path))
        known_by_default = shipped_names()
        path = known_by_default.paths.get(name)
        if path is not None and _defines_task(path, name):
            return self._manager(None), str(path)
        if name in known_by_default and name in self._all_defaults.task_index:
            return self._all_defaults, name
        raise ConfigError(unknown_message(benchmark, [*known, *known_by_default.paths]))

    def _foreign(self) -> list[Any]:
        """The managers of users' folders."""
        return [one for path, one in self._managers.items() if path not in (Path(), BUILTIN)]

    def _include_path(self, include_path: str) -> Path:
        if include_path == "builtin":
            return BUILTIN
        path = (self._folder / Path(include_path).expanduser()).resolve()
        if not path.is_dir():
            raise ConfigError(f"include_path {include_path!r}: {path} is not a folder (it must hold task YAML files)")
        return path

    def _manager(self, path: Path | None) -> Any:
        from lm_eval.tasks import TaskManager

        key = path or Path()
        if key not in self._managers:
            self._managers[key] = TaskManager(include_path=path, include_defaults=False)
        return self._managers[key]

    @cached_property
    def _all_defaults(self) -> Any:
        from lm_eval.tasks import TaskManager

        return TaskManager()


def _raw_configs(manager: Any, spec: str) -> list[dict[str, Any]]:
    """The YAML of a task, or of a group and its members, with functions unresolved, so that nothing is imported."""
    from lm_eval.tasks._yaml_loader import load_yaml

    if spec in manager.task_index:
        return [entry.cfg or {} for entry in _entries(manager, spec)]
    return [load_yaml(spec, resolve_func=False)]


def _entries(manager: Any, name: str) -> Iterator[Any]:
    """The index entry of that name and, for a group or tag, those of its members."""
    entry = manager.task_index.get(name)
    if entry is None:
        return
    yield entry
    members = sorted(entry.tags) if entry.cfg is None else entry.cfg.get("task")
    for member in members if isinstance(members, list) else []:
        child = member.get("task") or member.get("group") if isinstance(member, dict) else member
        if isinstance(child, str):
            yield from _entries(manager, child)


def _defines_task(path: Path, name: str) -> bool:
    """True if lm-eval would list `path` as the task `name`, not as a group."""
    from lm_eval.tasks._yaml_loader import load_yaml

    config = load_yaml(path, resolve_func=False)
    return config.get("task") == name and "group" not in config


def _find_data_beside_the_file(entry: Any) -> None:
    """Resolve relative `data_files` in the YAML's own folder if they exist there.

    Departure: lm-eval looks only in the working directory, so that a folder of tasks works from one place only.
    """
    from lm_eval.tasks._yaml_loader import load_yaml

    config = entry.cfg or {}
    kwargs = config.get("dataset_kwargs") or {}
    files = kwargs.get("data_files")
    if entry.yaml_path is None or files is None or config.get("dataset_path") not in FILE_FORMATS:
        return
    found = _beside(files, entry.yaml_path.parent)
    if found != files:
        full = load_yaml(entry.yaml_path, resolve_func=True)
        entry.cfg = full | {"dataset_kwargs": kwargs | {"data_files": found}}
        entry.yaml_path = None


def _beside(files: Any, folder: Path) -> Any:
    if isinstance(files, dict):
        return {split: _beside(value, folder) for split, value in files.items()}
    if isinstance(files, list):
        return [_beside(value, folder) for value in files]
    path = folder / str(files)
    return str(path) if path.is_file() else files


def _refuse_unsafe(benchmark: Benchmark, config: dict[str, Any]) -> None:
    if config.get("unsafe_code"):
        raise ConfigError(runs_code(benchmark.tasks))


def _refuse_broken_file(name: str, folder: Path) -> None:
    """Report a file that lm-eval cannot read, and would skip, if it may define the task."""
    from lm_eval.tasks._yaml_loader import load_yaml

    for path in sorted(folder.rglob("*.yaml")):
        if path.stem != name and name.encode() not in path.read_bytes():
            continue
        try:
            load_yaml(path, resolve_func=False)
        except Exception as error:
            raise ConfigError(f"{path} cannot be read as an lm-eval task: {error}") from error


@contextmanager
def _explained(benchmark: Benchmark) -> Iterator[None]:
    """Turn any error in loading a task into one message about the task or its data."""
    try:
        yield
    except PerdureError:
        raise
    except ImportError as error:
        raise ConfigError(f"benchmark {benchmark.tasks!r} needs a Python package: {error}") from error
    except ConnectionError as error:
        raise DataError(_unreachable(benchmark, error)) from error
    except (FileNotFoundError, OSError) as error:
        if _is_hub_error(error):
            raise DataError(_unreachable(benchmark, error)) from error
        raise DataError(f"benchmark {benchmark.tasks!r}: its data cannot be read: {_first_line(error)}") from error
    except Exception as error:
        kind = type(error).__name__
        raise ConfigError(
            f"benchmark {benchmark.tasks!r} cannot be loaded by lm-eval: {kind}: {_first_line(error)}"
        ) from error


def _is_hub_error(error: BaseException) -> bool:
    return type(error).__module__.split(".")[0] in ("huggingface_hub", "httpx", "requests") or (
        type(error).__name__ == "DatasetNotFoundError"
    )


def _unreachable(benchmark: Benchmark, error: BaseException) -> str:
    return (
        f"benchmark {benchmark.tasks!r}: its data is not available from the hub: {_first_line(error)}. Local "
        "alternative: a folder with a task YAML of this name, with `dataset_path: json` and `dataset_kwargs: "
        "{data_files: {test: FILE.jsonl}}`, given by `include_path` (`--set benchmarks.N.include_path=FOLDER`), or the "
        "dataset in a folder, given by `data_path` (docs/local-benchmarks.md)."
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
