"""Tasks of the vision world: images, a rule that says which labels are right, and a writer who demonstrates one."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from perdure.budget.errors import ConfigError, DataError
from perdure.curriculum.task import EXAMINED, Item, Task
from perdure.curriculum.worlds.vision.images.load import ImageKind, load_images
from perdure.curriculum.worlds.vision.images.observation import CLOTHES_BIT, DIGITS_BIT, ImageObservation, digest
from perdure.curriculum.worlds.vision.images.rules import right_labels, writer_labels
from perdure.curriculum.worlds.vision.images.split import fixed_order, pretraining_rows
from perdure.curriculum.worlds.vision.images.variants import varied
from perdure.curriculum.worlds.vision.model import MlpModel
from perdure.curriculum.worlds.vision.tasks import Images

BITS: dict[ImageKind, int] = {"digits": DIGITS_BIT, "clothes": CLOTHES_BIT}


def build(
    config: Images,
    *,
    name: str,
    seed: int,
    origin: Path | None,
    model: Any,
    train: bool,
    examined: frozenset[str],
) -> Task:
    """See `perdure.curriculum.worlds.build.build_task`. Raises as `load`, and ConfigError for another model."""
    if not isinstance(model, MlpModel):
        raise ConfigError(f"task {name!r}: `type: images` goes with `model.type: mlp`")
    return load(config, name=name, seed=seed, model=model, train=train, examined=examined)


def load(
    config: Images,
    *,
    name: str,
    seed: int,
    model: MlpModel,
    train: bool = True,
    examined: frozenset[str] = frozenset(),
) -> Task:
    """Training images in an order that follows from the seed, and test images that are the same for every seed.

    No training image is one that the base was pretrained on, that is held out or `examined`, and no held-out image is
    one that the base was pretrained on, whichever copy of the data it comes from: the pixels are compared. Without
    `train` there are no training images.

    Raises:
        DataError: data that is missing or damaged, or fewer images than are asked for.
    """
    where = f"task {name!r}: {config.images}"
    found = load_images(config.data or model.data, config.images)
    known = _pretrained(model.data, config.images, model.pretrain.images)
    trained_on, examined_on = _digests(config.data or model.data, config.images)
    tested = [row for row in fixed_order(len(found.test_labels)) if examined_on[row] not in known]
    heldout = _first(np.array(tested, np.int64), config.heldout, f"{where}, `heldout`")
    chosen, left_out = heldout[:0], 0
    if train:
        excluded = known | {examined_on[row] for row in heldout}
        all_free = [row for row, one in enumerate(trained_on) if one not in excluded]
        free = [row for row in all_free if trained_on[row] not in examined]
        left_out = len(all_free) - len(free)
        order = np.random.RandomState(seed % 2**32).permutation(np.array(free, np.int64))
        apart = (
            f" (another stage or a benchmark examines {left_out} more, which are not trained on)" if left_out else ""
        )
        chosen = _first(order, config.train, f"{where}, `train`{apart}")
    return Task(
        name,
        _items(config, found.train_images[chosen], found.train_labels[chosen], Random(f"writer/{seed}")),
        _items(config, found.test_images[heldout], found.test_labels[heldout], Random(f"heldout writer/{seed}")),
        RightLabel(),
        {EXAMINED: left_out},
    )


class RightLabel:
    """The reward of an image task: 1 where the response is the number of a right label, else 0."""

    scorer_name: ClassVar[str] = "perdure.curriculum.sources.images.RightLabel"

    def __call__(
        self, items: Sequence[Item], completions: Sequence[str], completion_ids: Sequence[Sequence[int]] | None = None
    ) -> list[float | None]:
        return [
            float(text.strip() in map(str, item.columns["correct"]))
            for item, text in zip(items, completions, strict=True)
        ]


def _first(rows: NDArray[np.int64], count: int | None, where: str) -> NDArray[np.int64]:
    if len(rows) == 0:
        raise DataError(f"{where}: no image remains; lower `model.pretrain.images`")
    if count is not None and count > len(rows):
        raise DataError(f"{where}: {count} images were asked for and there are {len(rows)}; ask for fewer")
    return rows[:count]


@lru_cache(maxsize=4)
def _pretrained(data: str, kind: ImageKind, images: int) -> frozenset[str]:
    """The images of this kind that the base was pretrained on."""
    digests = _digests(data, kind)[0]
    return frozenset(digests[row] for row in pretraining_rows(len(digests), images))


@lru_cache(maxsize=4)
def _digests(data: str, kind: ImageKind) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The digests of all training images and of all test images."""
    found = load_images(data, kind)
    train, test = (
        tuple(digest(image.tobytes()) for image in images) for images in (found.train_images, found.test_images)
    )
    return train, test


def _items(config: Images, images: NDArray[np.uint8], labels: NDArray[np.int64], rng: Random) -> tuple[Item, ...]:
    bit = BITS[config.images]
    shown = varied(images, config.variant)
    return tuple(
        _item(config, ImageObservation(image.tobytes(), bit, digest(original.tobytes())), label, rng)
        for image, original, label in zip(shown, images, labels.tolist(), strict=True)
    )


def _item(config: Images, prompt: ImageObservation, label: int, rng: Random) -> Item:
    right = right_labels(config.rule, label)
    writer = writer_labels(config.writer, right, label)
    written = str(rng.choice(writer)) if isinstance(writer, list) else None
    columns = {"correct": right, "label": label} | ({} if writer is None else {"writer": writer})
    return Item(prompt, answer=str(right[0]), demonstration=written, columns=columns)
