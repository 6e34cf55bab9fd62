"""Tasks of images: rules, writers, what the base was pretrained on, variants, and the arrays made of items."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from pydantic import ValidationError

from perdure.budget.errors import ConfigError, DataError
from perdure.curriculum.task import Item, Task
from perdure.curriculum.worlds.build import build_task
from perdure.curriculum.worlds.language.model import CausalModel
from perdure.curriculum.worlds.vision.images.arrays import arrays_of
from perdure.curriculum.worlds.vision.images.load import load_images
from perdure.curriculum.worlds.vision.images.observation import (
    CLOTHES_BIT,
    DIGITS_BIT,
    ImageObservation,
    inputs_of,
    inputs_of_observations,
)
from perdure.curriculum.worlds.vision.images.rules import LABEL_GROUPS, LabelRule, right_labels, writer_labels
from perdure.curriculum.worlds.vision.images.split import pretraining_rows
from perdure.curriculum.worlds.vision.images.variants import VARIANTS, varied
from perdure.curriculum.worlds.vision.model import MlpModel, Pretrain
from perdure.curriculum.worlds.vision.spec import VISION
from perdure.curriculum.worlds.vision.tasks import Images
from tests.curriculum.methods import SYNONYMS, check_task, learnable_by

MODEL = MlpModel(type="mlp")


def task(seed: int = 0, model: MlpModel = MODEL, **settings: Any) -> Task:
    config = {"type": "images", "images": "digits", "rule": "parity", "train": 60, "heldout": 40} | settings
    return build_task(Images.model_validate(config), name="a", seed=seed, model=model)


# Rules and writers


@pytest.mark.parametrize("rule", get_args(LabelRule))
def test_every_rule_sorts_the_ten_classes(rule: LabelRule) -> None:
    assert sorted(label for group in LABEL_GROUPS[rule] for label in group) == list(range(10))
    for label in range(10):
        right = right_labels(rule, label)
        assert label in right
        assert right == sorted(right)


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ("parity", lambda label: label % 2),
        ("at_least_five", lambda label: label >= 5),
        ("multiple_of_three", lambda label: label % 3 == 0),
        ("prime", lambda label: label in (2, 3, 5, 7)),
        ("label", lambda label: label),
    ],
)
def test_a_label_is_right_where_the_rule_says_the_same_of_it(rule: LabelRule, holds: Any) -> None:
    for label in range(10):
        assert right_labels(rule, label) == [other for other in range(10) if holds(other) == holds(label)]


def test_the_writers_of_the_paper() -> None:
    """SFT-1: even 0, odd 1. SFT-2: even 0 or 4, odd 1 or 5."""
    even, odd = right_labels("parity", 6), right_labels("parity", 3)
    assert (writer_labels("one", even, 6), writer_labels("one", odd, 3)) == ([0], [1])
    assert (writer_labels("two", even, 6), writer_labels("two", odd, 3)) == ([0, 4], [1, 5])
    assert writer_labels("label", even, 6) == [6]
    assert (writer_labels("oracle", even, 6), writer_labels("none", even, 6)) == ("oracle", None)


# Items


def test_items_hold_what_the_contract_says() -> None:
    made = task(writer="two")
    assert (len(made.train), len(made.heldout), made.name) == (60, 40, "a")
    for item in (*made.train, *made.heldout):
        label, right = item.columns["label"], item.columns["correct"]
        assert right == [other for other in range(10) if other % 2 == label % 2]
        assert item.prompt.bit == DIGITS_BIT
        assert item.answer == str(right[0])
        assert item.columns["writer"] == [right[0], right[2]]
        assert item.demonstration in {str(right[0]), str(right[2])}
    assert len({item.demonstration for item in made.train}) == 4
    assert all(item.prompt.bit == CLOTHES_BIT for item in task(images="clothes", rule="label").train)


def test_images_and_labels_belong_together() -> None:
    found = load_images("shipped", "digits")
    known = {image.tobytes(): label for image, label in zip(found.train_images, found.train_labels, strict=True)}
    known |= {image.tobytes(): label for image, label in zip(found.test_images, found.test_labels, strict=True)}
    made = task()
    assert all(known[item.prompt.pixels] == item.columns["label"] for item in (*made.train, *made.heldout))


def test_the_same_seed_gives_the_same_task_and_another_seed_the_same_examination() -> None:
    first, again, other = task(seed=1), task(seed=1), task(seed=2)
    assert first == replace(again, reward=first.reward)
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()
    assert [item.prompt for item in first.train] != [item.prompt for item in other.train]
    assert [item.prompt for item in first.heldout] == [item.prompt for item in other.heldout]


def test_more_items_include_the_fewer() -> None:
    few, many = task(), task(train=90, heldout=80)
    assert many.train[:60] == few.train
    assert many.heldout[:40] == few.heldout


def test_left_out_counts_are_all_there_is() -> None:
    made = task(train=None, heldout=None)
    assert (len(made.train), len(made.heldout)) == (4000 - 500, 1000)  # 500 are the base's
    small = MlpModel(type="mlp", pretrain=Pretrain(images=100))
    assert len(task(model=small, train=None).train) == 4000 - 100


def test_the_base_s_own_images_are_nobody_s_training_items(tmp_path: Path) -> None:
    found = load_images("shipped", "clothes")
    own = {image.tobytes() for image in found.train_images[pretraining_rows(1000, 500)]}
    made = task(images="clothes", rule="label", train=None)
    assert len(made.train) == 500
    assert not own & {item.prompt.pixels for item in made.train}
    # The same pixels from another place are recognised too.
    from perdure.curriculum.worlds.vision import images as room

    copy = tmp_path / "copy"
    copy.symlink_to(Path(str(room.__file__)).parent / "shipped")
    elsewhere = task(images="clothes", rule="label", train=None, data=str(copy))
    assert {item.prompt for item in elsewhere.train} == {item.prompt for item in made.train}


def test_two_images_never_have_the_same_fingerprint() -> None:
    made = task()
    first = made.train[0]
    changed = bytes([first.prompt.pixels[0] ^ 1]) + first.prompt.pixels[1:]
    other = replace(made, train=(replace(first, prompt=ImageObservation(changed, DIGITS_BIT)), *made.train[1:]))
    bit = replace(
        made, train=(replace(first, prompt=ImageObservation(first.prompt.pixels, CLOTHES_BIT)), *made.train[1:])
    )
    assert len({made.fingerprint(), other.fingerprint(), bit.fingerprint()}) == 3
    assert len(str(first.prompt)) < 90


def test_observations_that_are_none() -> None:
    with pytest.raises(ValueError, match="784 pixels; got 3"):
        ImageObservation(b"abc", DIGITS_BIT)
    with pytest.raises(ValueError, match="1 or -1; got 0"):
        ImageObservation(bytes(784), 0)


def test_the_reward_is_one_for_every_right_label() -> None:
    made = task()
    item = next(item for item in made.train if item.columns["label"] == 3)
    assert made.reward is not None
    said = ["1", "3", " 9\n", "2", "10", "", "three", "1.0"]
    assert made.reward([item] * len(said), said) == [1, 1, 1, 0, 0, 0, 0, 0]


def test_too_many_images_are_refused() -> None:
    with pytest.raises(DataError, match="task 'a': digits, `train`: 3501 images were asked for and there are 3500"):
        task(train=3501)
    with pytest.raises(DataError, match="`heldout`: 1001 images were asked for and there are 1000; ask for fewer"):
        task(heldout=1001)
    with pytest.raises(DataError, match=r"model.pretrain.images is 4001, and of one kind there are 4000"):
        task(model=MlpModel(type="mlp", pretrain=Pretrain(images=4001)))
    with pytest.raises(DataError, match=r"no image remains; lower `model.pretrain.images`"):
        task(model=MlpModel(type="mlp", pretrain=Pretrain(images=4000)))


def test_images_need_a_model_that_sees() -> None:
    config = Images(type="images", images="digits", rule="parity")
    for model in (None, CausalModel(model_name_or_path="x")):
        with pytest.raises(ConfigError, match=r"`type: images` goes with `model.type: mlp`"):
            build_task(config, name="a", seed=0, model=model)


def test_two_needs_three_right_labels() -> None:
    with pytest.raises(ValidationError, match="needs three right labels"):
        task(rule="label", writer="two")


# Which methods can learn it


def test_methods_by_writer() -> None:
    for writer in ("one", "two", "label", "oracle"):
        assert learnable_by(task(writer=writer), "vision") == VISION.names
    unwritten = task(writer="none")
    assert learnable_by(unwritten, "vision") == ("rl", "tilt", "reinforce", "simpo", "rl_kl", *SYNONYMS)
    check_task(unwritten, "tilt", "vision")
    with pytest.raises(
        ConfigError,
        match=r"'sft' needs demonstrations.*name a `writer`.*by 'rl', 'tilt', 'reinforce', 'simpo', 'rl_kl', "
        "'grpo' or 'dr_grpo'",
    ):
        check_task(unwritten, "sft", "vision")
    assert learnable_by(replace(unwritten, reward=None), "vision") == ()
    assert [item.demonstration for item in (*task(writer="oracle").train, *unwritten.train)] == [None] * 120


# Arrays


@pytest.mark.parametrize("writer", ["one", "two", "label"])
def test_arrays_say_what_the_items_say(writer: str) -> None:
    items = task(writer=writer, rule="prime").train
    found = arrays_of(items)
    assert (found.inputs_NF.shape, found.inputs_NF.dtype) == ((60, 785), np.float32)
    assert found.choices_NC is not None
    assert found.writes
    for row, item in enumerate(items):
        expected = [pixel / 255 for pixel in item.prompt.pixels] + [1.0]
        assert found.inputs_NF[row].tolist() == pytest.approx(expected)
        assert np.flatnonzero(found.correct_NC[row]).tolist() == item.columns["correct"]
        assert found.labels_N[row] == item.columns["label"]
        chosen = Counter({label: 1 / len(item.columns["writer"]) for label in item.columns["writer"]})
        assert found.choices_NC[row].tolist() == [chosen[label] for label in range(10)]


def test_arrays_without_a_distribution_of_the_writer_s_own() -> None:
    oracle, nobody = arrays_of(task(writer="oracle").train), arrays_of(task(writer="none").train)
    assert (oracle.choices_NC, oracle.writes) == (None, True)
    assert (nobody.choices_NC, nobody.writes) == (None, False)


def test_arrays_of_what_is_no_image() -> None:
    with pytest.raises(DataError, match="the task's `type` must be `images`"):
        arrays_of([Item("text")])
    with pytest.raises(DataError, match="the task's `type` must be `images`"):
        arrays_of([])
    with pytest.raises(DataError, match="several kinds of writers"):
        arrays_of([*task(writer="one").train, *task(writer="oracle").train])


def test_inputs_by_both_ways_agree() -> None:
    images = load_images("shipped", "clothes").test_images[:5]
    shown = [ImageObservation(image.tobytes(), CLOTHES_BIT) for image in images]
    assert np.array_equal(inputs_of(images, CLOTHES_BIT), inputs_of_observations(shown))
    assert inputs_of(images, CLOTHES_BIT)[:, -1].tolist() == [-1] * 5
    assert inputs_of(images, CLOTHES_BIT)[:, :-1].max() <= 1


# Variants


def image(**pixels: int) -> np.ndarray:
    """Black but for `r3c4=200`, row 3 and column 4."""
    made = np.zeros((28, 28), np.uint8)
    for name, value in pixels.items():
        row, column = name[1:].split("c")
        made[int(row), int(column)] = value
    return made.reshape(1, 784)


def test_shifted_moves_by_two_pixels_and_loses_what_leaves() -> None:
    inside = varied(image(r10c10=200), "shifted").reshape(28, 28)
    ((row, column),) = np.argwhere(inside)
    assert abs(int(row) - 10) + abs(int(column) - 10) == 2
    assert inside[row, column] == 200
    corners = varied(image(r0c0=1, r0c27=2, r27c0=3, r27c27=4), "shifted")
    assert np.count_nonzero(corners) == 2  # whichever way, two of four leave
    moved = {tuple(np.argwhere(varied(image(r10c10=v), "shifted").reshape(28, 28))[0].tolist()) for v in range(1, 60)}
    assert moved == {(8, 10), (12, 10), (10, 8), (10, 12)}


def test_dimmed_and_inverted_by_hand() -> None:
    assert varied(image(r1c1=201), "dimmed").max() == 100
    assert varied(image(r1c1=201), "inverted").reshape(28, 28)[1, :3].tolist() == [255, 54, 255]


def test_noise_is_cut_off_and_as_strong_as_it_says() -> None:
    grey = np.full((40, 784), 128, np.uint8)
    grey[:, 0] = range(40)
    found = varied(grey, "noisy").astype(float)[:, 1:]
    # a normal of deviation 64 about the middle of 0 … 255, cut off at two deviations: 61.4 after that
    assert found.mean() == pytest.approx(128, abs=1)
    assert found.std() == pytest.approx(61.4, abs=0.5)
    assert (found.min(), found.max()) == (0, 255)


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_image_changes_alike_wherever_it_stands(variant: Any) -> None:
    images = load_images("shipped", "digits").test_images[:6]
    assert np.array_equal(varied(images, variant)[3:], varied(images[3:], variant))
    assert not np.array_equal(varied(images, variant), images)
    shown = task(variant=variant)
    plain = task()
    assert [item.columns for item in shown.heldout] == [item.columns for item in plain.heldout]
    assert {item.prompt for item in shown.heldout}.isdisjoint({item.prompt for item in plain.heldout})


def test_no_variant_is_the_image_itself() -> None:
    images = load_images("shipped", "digits").test_images
    assert varied(images, "none") is images
