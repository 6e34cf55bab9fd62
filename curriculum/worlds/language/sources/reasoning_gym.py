"""Tasks of reasoning-gym: endless items from a generator, each with a verifier."""

import dataclasses
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path as FilePath
from time import process_time
from typing import Any, ClassVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from perdure.budget.errors import ConfigError, DataError
from perdure.curriculum.limits import memory_limit, time_limit
from perdure.curriculum.messages import Path, did_you_mean, shorten
from perdure.curriculum.task import Item, Task, derived_seed
from perdure.curriculum.worlds.contract import LookUpFault
from perdure.curriculum.worlds.language.rewards.answers import tagged_answer
from perdure.curriculum.worlds.language.rewards.guarded import RewardRecipe, verifier
from perdure.curriculum.worlds.language.rewards.named import build_reward
from perdure.curriculum.worlds.language.sources.chat import check_length
from perdure.curriculum.worlds.language.sources.common import check_answers, distinct, trainable
from perdure.curriculum.worlds.language.sources.verifier_guard import is_harmless
from perdure.curriculum.worlds.language.tasks import ReasoningGym

HASH_SEED_DATASETS = frozenset(
    {"isomorphic_strings", "knight_swap", "polynomial_multiplication", "ransom_note", "word_ladder"}
)
"""Datasets that iterate over sets of strings: their items change with Python's hash seed."""

SECONDS_AN_ITEM, SECONDS_TO_BEGIN, SECONDS_ON_AVERAGE = 30.0, 30.0, 2.0
"""Processor time to make one item, and all that are asked for: five times what the slowest dataset takes by default."""

MEMORY = 4 * 1024**3
"""Bytes that making items may take in addition."""


def load(
    config: ReasoningGym,
    *,
    name: str,
    seed: int,
    origin: FilePath | None = None,
    examined: frozenset[str] = frozenset(),
) -> Task:
    """Training items, and held-out items from another seed; no prompt is in both or twice in either.

    Held-out items are drawn first, so they stay the same whatever `train` is.

    Raises:
        ConfigError: an unknown dataset, setting or level, or a value that reasoning-gym refuses.
        DataError: the settings do not allow as many different items as are asked for.
    """
    where = f"task {name!r}: reasoning_gym {config.dataset!r}"
    _check_dataset(config.dataset, where)
    seen: set[str] = set()
    left_out: Counter[str] = Counter()
    parts: dict[str, tuple[Item, ...]] = {"heldout": ()}
    for part, count in (("heldout", config.heldout), ("train", config.train)):
        draws = 1000 + 20 * count
        generator = _generator(config, where, seed=derived_seed(seed, part), size=draws)
        items = (_item(entry, config) for entry in _entries(generator, draws, count, where))
        with _seeded_globals(generator.seed), memory_limit(MEMORY):
            apart = examined if part == "train" else frozenset()
            fresh = distinct(items, seen, left_out)
            parts[part] = trainable(fresh, count, parts["heldout"], apart, left_out, where)
        if len(parts[part]) < count:
            raise DataError(
                f"{where} gave only {len(seen)} different items with these settings; {config.heldout} held-out and "
                f"{config.train} training items were asked for: lower `train` or `heldout`, or widen `config`"
            )
    return _with_reward(Task(name, parts["train"], parts["heldout"], left_out=left_out), config, generator, where)


def _with_reward(task: Task, config: ReasoningGym, generator: Any, where: str) -> Task:
    if config.reward is not None and config.reward.type != "source":
        task = dataclasses.replace(task, reward=build_reward(config.reward))
        check_answers(task, config.reward.type, where)
        return task
    timeout = None if config.reward is None else config.reward.timeout
    own = Verifier(generator, config.dataset, config.success)
    if timeout == 0:
        return dataclasses.replace(task, reward=own)
    arguments = {"config": config.model_dump(), "seed": generator.seed, "size": generator.size}
    recipe = RewardRecipe(f"{__name__}:verifier_of", arguments, config.dataset, own.scorer_name, own.scorer_settings)
    return dataclasses.replace(task, reward=verifier(recipe, timeout))


def verifier_of(config: dict[str, Any], seed: int, size: int) -> "Verifier":
    """The verifier of a dataset, in the process that calls this."""
    read = ReasoningGym(**config)
    generator = _generator(read, f"reasoning_gym {read.dataset!r}", seed=seed, size=size)
    return Verifier(generator, read.dataset, read.success)


@dataclass(frozen=True)
class Verifier:
    """reasoning-gym's own verifier as a `Reward`: its graded score, or 1 from `success` on and else 0.

    It sees the content of `<answer>` tags, else the whole response, stripped. An answer on which it fails scores 0, as
    does one that it would evaluate as Python, unless that is a literal or plain arithmetic.
    """

    scorer_name: ClassVar[str] = "perdure.curriculum.sources.reasoning_gym.Verifier"

    generator: Any
    name: str
    success: float | None

    @property
    def scorer_settings(self) -> str:
        """The setting that scores depend on and items do not tell."""
        return "" if self.success is None else f"success {self.success}"

    def __call__(
        self, items: Sequence[Item], completions: Sequence[str], completion_ids: Sequence[Sequence[int]] | None = None
    ) -> list[float | None]:
        scores = [self._score(item, text) for item, text in zip(items, completions, strict=True)]
        return [score if self.success is None else float(score >= self.success) for score in scores]

    def _score(self, item: Item, text: str) -> float:
        answer = tagged_answer(text)
        entry = item.columns["entry"]
        if not is_harmless(entry.get("metadata", {}).get("source_dataset", self.name), answer, entry):
            return 0.0
        try:
            return float(self.generator.score_answer(answer=answer, entry=entry))
        except MemoryError:
            raise
        except Exception:  # verifiers fail in many ways on what models write
            return 0.0


def _check_dataset(dataset: str, where: str) -> None:
    from reasoning_gym.factory import DATASETS

    if dataset not in DATASETS:
        raise ConfigError(
            f"{where}: reasoning-gym has no such dataset{did_you_mean(dataset, DATASETS)} "
            f"(it has {len(DATASETS)}: `python -c 'from reasoning_gym.factory import DATASETS; print(*DATASETS)'`)"
        )


def _generator(config: ReasoningGym, where: str, *, seed: int, size: int) -> Any:
    """reasoning-gym's dataset object. `config` wins over `level`, `level` over its defaults."""
    from reasoning_gym.factory import DATASETS

    dataset_class, config_class = DATASETS[config.dataset]
    given = _settings(config.config, config_class, where)
    _check_hash_seed([config.dataset, *(part.name for part in given.get("datasets", ()))], where)
    settings = _level(config, where) | given | {"seed": seed, "size": size}
    try:
        with time_limit(SECONDS_AN_ITEM), memory_limit(MEMORY):
            made = config_class(**settings)
            if hasattr(made, "validate"):
                made.validate()
            return dataset_class(made)
    except TimeoutError:
        raise ConfigError(f"{where}: reasoning-gym takes too long to begin; lower the sizes in `config`") from None
    except (AssertionError, TypeError, ValueError, KeyError, MemoryError) as error:
        raise ConfigError(f"{where}: reasoning-gym refuses `config`: {error or type(error).__name__}") from error


def _settings(given: dict[str, Any], config_class: Any, where: str) -> dict[str, Any]:
    """The given settings, checked against the names and types of reasoning-gym's dataclass."""
    known = [field.name for field in dataclasses.fields(config_class) if field.name not in ("seed", "size")]
    types = get_type_hints(config_class)
    checked = {}
    for name, value in given.items():
        if name not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise ConfigError(f"{where} has no setting {name!r}{did_you_mean(name, known)} ({has})")
        try:
            checked[name] = TypeAdapter(types[name]).validate_python(value)
        except ValidationError as error:
            raise ConfigError(f"{where}: `config.{name}`: {error.errors()[0]['msg']}, not {value!r}") from error
    return checked


def _setting(name: str, value: Any, dataset: str, where: str) -> None:
    from reasoning_gym.factory import DATASETS

    _settings({name: value}, DATASETS[dataset][1], where)


def look_up(config: ReasoningGym) -> Iterator[LookUpFault]:
    """The first of its faults that reasoning-gym finds without making an item: its name, a setting, its level."""
    where = f"reasoning_gym {config.dataset!r}"
    checks: list[tuple[Path, Callable[[], object]]] = [(("dataset",), lambda: _check_dataset(config.dataset, where))]
    checks += [
        (("config", name), partial(_setting, name, value, config.dataset, where))
        for name, value in config.config.items()
    ]
    checks += [
        (("level",), lambda: _level(config, where)),
        (("config",), lambda: _generator(config, where, seed=0, size=1)),
    ]
    for path, check in checks:
        try:
            check()
        except ConfigError as error:
            yield LookUpFault(path, str(error))
            return


def _level(config: ReasoningGym, where: str) -> dict[str, Any]:
    """The settings of a difficulty level, every attribute at that level or at its hardest below it."""
    from reasoning_gym.factory import create_curriculum, has_curriculum

    if config.level is None:
        return {}
    if not has_curriculum(config.dataset):
        raise ConfigError(f"{where} has no difficulty levels in reasoning-gym; leave `level` out and use `config`")
    curriculum = create_curriculum(config.dataset)
    hardest = max((len(attribute.levels) - 1 for attribute in curriculum.attributes.values()), default=0)
    if config.level > hardest:
        raise ConfigError(f"{where} has levels 0 to {hardest}, not {config.level}")
    curriculum.set_global_level(config.level)
    made = curriculum.generate_configuration()
    return {field.name: getattr(made, field.name) for field in dataclasses.fields(made)}


def _check_hash_seed(datasets: list[str], where: str) -> None:
    hashed = sorted(HASH_SEED_DATASETS.intersection(datasets))
    if hashed and os.environ.get("PYTHONHASHSEED", "random") == "random":
        raise ConfigError(
            f"{where}: the items of {hashed[0]!r} change with Python's hash seed, so a run could not be repeated or "
            "resumed; start perdure with PYTHONHASHSEED=0 in the environment"
        )


def _entries(generator: Any, draws: int, wanted: int, where: str) -> Iterator[dict[str, Any]]:
    """Up to `draws` entries; one that the generator fails to make, as some do, is skipped."""
    made, left = 0, SECONDS_TO_BEGIN + SECONDS_ON_AVERAGE * wanted
    for index in range(draws):
        began = process_time()
        try:
            with time_limit(min(SECONDS_AN_ITEM, max(left, 1e-3))):
                entry = generator[index]
        except TimeoutError:
            raise ConfigError(
                f"{where}: making {wanted} items takes too long ({made} were made, and then one took "
                f"{process_time() - began:.0f} s); lower the sizes in `config`, `level`, or the number of items"
            ) from None
        except IndexError:  # a fixed collection came to its end
            return
        except Exception as error:
            if made == 0 and index >= 9:
                why = shorten(str(error), 200) or type(error).__name__
                raise ConfigError(f"{where} cannot make items with these settings: {why}") from error
            continue
        finally:
            left -= process_time() - began
        check_length(str(entry["question"]), f"{where}, item {index}")
        made += 1
        yield entry


@contextmanager
def _seeded_globals(seed: int) -> Iterator[None]:
    """Seeds Python's and numpy's global generators, which some datasets draw from, and restores them."""
    import numpy as np

    python_state, numpy_state = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)


def _item(entry: dict[str, Any], config: ReasoningGym) -> Item:
    question, answer = str(entry["question"]), entry["answer"]
    text = None if answer is None else str(answer)
    prompt = [{"role": "user", "content": question}] if config.chat else question
    return Item(prompt, answer=text, demonstration=text, columns={"entry": entry})
