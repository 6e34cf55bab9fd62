"""Data that tasks of lm-eval would fetch, from a folder: `data_path`.

The folder holds datasets under their hub ids (`google/IFEval/`, as `hf download --repo-type dataset` lays them out) and
nltk's data under `nltk_data/`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from perdure.budget.errors import DataError
from perdure.curriculum.evaluation import Benchmark
from perdure.eval.lm_eval.requirements import TaskNeeds

NLTK = "nltk_data"
PUNKT = "tokenizers/punkt_tab"
HOW_PUNKT = f"python -m nltk.downloader -d FOLDER/{NLTK} punkt_tab, and name FOLDER by the benchmark's `data_path`"


def local_dataset(benchmark: Benchmark, dataset: str) -> str:
    """The folder of a dataset below the benchmark's `data_path`.

    Raises:
        DataError: it is not there.
    """
    folder = Path(str(benchmark.data_path))
    if not (folder / dataset).is_dir():
        raise DataError(
            f"benchmark {benchmark.tasks!r}: data_path {str(folder)!r} has no folder {dataset!r}, the dataset that "
            f"the task reads: hf download --repo-type dataset {dataset} --local-dir {folder / dataset}"
        )
    return str((folder / dataset).resolve())


@contextmanager
def redirected(benchmark: Benchmark, entries: Sequence[Any]) -> Iterator[None]:
    """Let entries of lm-eval's index read their datasets below `data_path`, inside.

    Raises:
        DataError: a dataset is not there.
    """
    from lm_eval.tasks._yaml_loader import load_yaml

    before = [(entry, entry.cfg, entry.yaml_path) for entry in entries]
    try:
        for entry in entries:
            dataset = (entry.cfg or {}).get("dataset_path")
            if dataset is not None and entry.yaml_path is not None:
                full = load_yaml(entry.yaml_path, resolve_func=True)
                entry.cfg = full | {"dataset_path": local_dataset(benchmark, dataset)}
                entry.yaml_path = None
        yield
    finally:
        for entry, cfg, yaml_path in before:
            entry.cfg, entry.yaml_path = cfg, yaml_path


def find_nltk_data(benchmark: Benchmark, needs: TaskNeeds) -> None:
    """Let nltk find its data below `data_path`, from now on, and refuse to begin without what a task needs.

    lm-eval would fetch it when the task is loaded and, where it cannot, fail when the first answer is scored.

    Raises:
        DataError: it is nowhere.
    """
    if not needs.punkt:
        return
    import nltk

    if benchmark.data_path is not None:
        own = str(Path(benchmark.data_path) / NLTK)
        nltk.data.path[:] = [own, *(path for path in nltk.data.path if path != own)]
    try:
        nltk.data.find(PUNKT)
    except LookupError:
        raise DataError(missing_punkt(benchmark)) from None


def refuse_absent(benchmark: Benchmark, needs: TaskNeeds) -> None:
    """Refuse a `data_path` that lacks what the task needs, by the names of its folders alone.

    Raises:
        DataError: names what is not there.
    """
    if benchmark.data_path is None:
        return
    for dataset in needs.datasets:
        local_dataset(benchmark, dataset)
    found = Path(benchmark.data_path) / NLTK / PUNKT
    if needs.punkt and not (found.is_dir() or found.with_suffix(".zip").is_file()):
        raise DataError(missing_punkt(benchmark))


def missing_punkt(benchmark: Benchmark) -> str:
    """The message about nltk's data that is nowhere."""
    where = "none of nltk's folders" if benchmark.data_path is None else f"neither {benchmark.data_path!r} nor nltk's"
    return f"benchmark {benchmark.tasks!r} splits sentences with nltk's {PUNKT}, which is in {where}: {HOW_PUNKT}"
