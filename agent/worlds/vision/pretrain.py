"""The base of the vision world: a network that knows something of digits and of clothes.

As in RL's Razor (arXiv 2509.04259, ParityMNIST): joint training on a few hundred images of each, where a digit's label
is a uniformly random digit of the same parity and a piece of clothing's is its class. A bit beside the pixels says
which of the two is asked. What the paper leaves open is a field of the curriculum's `model.pretrain`.
"""

import json
from functools import lru_cache
from hashlib import sha256

import numpy as np
import torch
from torch import Tensor

from perdure.agent.seeds import derive
from perdure.agent.worlds.schedule import plan_for
from perdure.agent.worlds.vision.mlp import Params, new_params, stack
from perdure.agent.worlds.vision.task_tensors import TaskTensors
from perdure.agent.worlds.vision.training import train
from perdure.curriculum.train import MethodSettings
from perdure.curriculum.worlds.registry import spec_of
from perdure.curriculum.worlds.vision.images.load import ImageSet, load_images
from perdure.curriculum.worlds.vision.images.observation import CLOTHES_BIT, DIGITS_BIT, inputs_of
from perdure.curriculum.worlds.vision.images.rules import LabelRule, right_labels
from perdure.curriculum.worlds.vision.images.split import pretraining_rows
from perdure.curriculum.worlds.vision.model import MlpModel
from perdure.curriculum.worlds.vision.spec import VisionSft

CLASSES = 10
FEATURES = 785

KEPT_BASES = 16
"""Bases that a process keeps, 2 MB each at the usual size."""


def pretrain(config: MlpModel, seed: int) -> Params:
    """The base of one seed, as a stack of one; the same for the same configuration, data and seed.

    Raises:
        DataError: the images cannot be read, or are fewer than `pretrain.images`.
    """
    made = _pretrained(config.model_dump_json(), seed, torch.get_num_threads())
    return {name: tensor.clone() for name, tensor in made.items()}


@lru_cache(maxsize=KEPT_BASES)
def _pretrained(config_json: str, seed: int, threads: int) -> Params:
    """The base, kept since many runs in one process share it; the threads decide its last bits."""
    config = MlpModel.model_validate_json(config_json)
    sizes = [FEATURES, *config.hidden_sizes, CLASSES]
    stacked = stack([new_params(sizes, torch.Generator().manual_seed(derive(seed, "fresh weights")))])
    inputs_NF, choices_NC = _examples(config)
    tensors = TaskTensors(inputs_NF, (choices_NC > 0).float(), choices_NC, torch.zeros(1, *choices_NC.shape))
    settings = VisionSft(
        learning_rate=config.pretrain.learning_rate,
        num_train_epochs=config.pretrain.num_train_epochs,
        per_device_train_batch_size=config.pretrain.per_device_train_batch_size,
        weight_decay=config.pretrain.weight_decay,
        redraw=config.pretrain.redraw,
        lr_scheduler_type=config.pretrain.lr_scheduler_type,
    )
    sft = spec_of("vision").method("sft")
    plan = plan_for(sft, settings, len(inputs_NF))
    seeds = [derive(seed, "pretraining")]
    train(stacked, tensors, sft, MethodSettings(settings, {}), [plan], seeds, lambda _: False)
    return stacked


def base_seed(config: MlpModel, seed: int) -> int:
    """The seed of the base in a run of this seed."""
    return derive(seed if config.seed is None else config.seed, "base")


def known_inputs(config: MlpModel) -> Tensor:
    """Inputs of the images that a base is trained on: shape (N, F)."""
    return _examples(config)[0]


def _examples(config: MlpModel) -> tuple[Tensor, Tensor]:
    """Inputs (N, F) and the distribution of each one's label (N, C): digits first, then clothes."""
    images = config.pretrain.images
    digits, clothes = load_images(config.data, "digits"), load_images(config.data, "clothes")
    inputs, choices = [], []
    kinds: tuple[tuple[ImageSet, int, LabelRule], ...] = (
        (digits, DIGITS_BIT, "parity"),
        (clothes, CLOTHES_BIT, "label"),
    )
    for found, bit, rule in kinds:
        rows = pretraining_rows(len(found.train_labels), images)
        inputs.append(inputs_of(found.train_images[rows], bit))
        choices.append(_uniform([right_labels(rule, int(label)) for label in found.train_labels[rows]]))
    return torch.from_numpy(np.concatenate(inputs)), torch.from_numpy(np.concatenate(choices))


def _uniform(right: list[list[int]]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    table_NC = np.zeros((len(right), CLASSES), dtype=np.float32)
    for row_C, labels in zip(table_NC, right, strict=True):
        row_C[labels] = 1 / len(labels)
    return table_NC


def base_id(config: MlpModel) -> str:
    """The identity of a base, seed aside: a hash of the configuration and of the images it was trained on."""
    recipe = config.model_dump(mode="json", exclude={"seed", "device", "threads", "data"})
    digest = sha256(json.dumps(recipe, sort_keys=True).encode())
    for found in (load_images(config.data, "digits"), load_images(config.data, "clothes")):
        digest.update(_digest(found))
    return digest.hexdigest()


def _digest(found: ImageSet) -> bytes:
    parts = (found.train_images, found.train_labels, found.test_images, found.test_labels)
    return sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).digest()
