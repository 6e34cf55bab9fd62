"""Tasks of the vision world: images, a rule that says which labels are right, and a writer who demonstrates one."""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from perdure.budget.errors import ConfigError, DataError
from perdure.curriculum.task import Item, Task
from perdure.curriculum.worlds.vision.images.load import ImageKind, load_images
from perdure.curriculum.worlds.vision.images.observation import CLOTHES_BIT, DIGITS_BIT, ImageObservation
from perdure.curriculum.worlds.vision.images.rules import right_labels, writer_labels
from perdure.curriculum.worlds.vision.images.split import fixed_order, pretraining_rows
from perdure.curriculum.worlds.vision.images.variants import varied
from perdure.curriculum.worlds.vision.model import MlpModel
from perdure.curriculum.worlds.vision.tasks import Images

BITS: dict[ImageKind, int] = {"digits": DIGITS_BIT, "clothes": CLOTHES_BIT}


def build(config: Images, *, name: str, seed: int, origin: Path | None, model: Any, train: bool) -> Task:
    """See `perdure.curriculum.worlds.build.build_task`. Raises as `load`, and ConfigError for another model."""
    if not isinstance(model, MlpModel):
        raise ConfigError(f"task {name!r}: `type: images` goes with `model.type: mlp`")
    return load(config, name=name, seed=seed, model=model, train=train)


def load(config: Images, *, name: str, seed: int, model: MlpModel, train: bool = True) -> Task:
    """Training images in an order that follows from the seed, and test images that are the same for every seed.

    No training image is one that the base was pretrained on or that is held out, whichever copy of the data it comes
    from: the pixels are compared. Without `train` there are no training images.

    Raises:
        DataError: data that is missing or damaged, or fewer images than are asked for.
    """
    where = f"task {name!r}: {config.images}"
    found = load_images(config.data or model.data, config.images)
    heldout = _first(fixed_order(len(found.test_labels)), config.heldout, f"{where}, `heldout`")
    chosen = heldout[:0]
    if train:
        excluded = _pixels(found.test_images[heldout]) | _pretrained(model, config.images)
        free = [row for row, image in enumerate(found.train_images) if image.tobytes() not in excluded]
        order = np.random.RandomState(seed % 2**32).permutation(np.array(free, np.int64))
        chosen = _first(order, config.train, f"{where}, `train`")
    return Task(
        name,
        _items(config, found.train_images[chosen], found.train_labels[chosen], Random(f"writer/{seed}")),
        _items(config, found.test_images[heldout], found.test_labels[heldout], Random(f"heldout writer/{seed}")),
        RightLabel(),
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


def _pretrained(model: MlpModel, kind: ImageKind) -> set[bytes]:
    """The images of this kind that the base was pretrained on."""
    found = load_images(model.data, kind)
    return _pixels(found.train_images[pretraining_rows(len(found.train_labels), model.pretrain.images)])


def _pixels(images: NDArray[np.uint8]) -> set[bytes]:
    return {image.tobytes() for image in images}


def _items(config: Images, images: NDArray[np.uint8], labels: NDArray[np.int64], rng: Random) -> tuple[Item, ...]:
    bit = BITS[config.images]
    shown = varied(images, config.variant)
    return tuple(
        _item(config, ImageObservation(image.tobytes(), bit), label, rng)
        for image, label in zip(shown, labels.tolist(), strict=True)
    )


def _item(config: Images, prompt: ImageObservation, label: int, rng: Random) -> Item:
    right = right_labels(config.rule, label)
    writer = writer_labels(config.writer, right, label)
    written = str(rng.choice(writer)) if isinstance(writer, list) else None
    columns = {"correct": right, "label": label} | ({} if writer is None else {"writer": writer})
    return Item(prompt, answer=str(right[0]), demonstration=written, columns=columns)
