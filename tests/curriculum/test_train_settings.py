"""Which setting wins, and that a curriculum that was written out says the same again."""

from typing import Any, get_args

import pytest
from pydantic import ValidationError

from perdure.curriculum.schema import Curriculum
from perdure.curriculum.settings import ChordTrain, SimpoTrain
from perdure.curriculum.train import SECTIONS, Train, settings_for
from perdure.curriculum.worlds.contract import (
    IMITATES,
    METHODS,
    ON_BASE_TEXTS,
    ON_SFT,
    OTHER,
    PARENT,
    REWARDED,
    Method,
    left,
)


def train(**settings: object) -> Train:
    return Train.model_validate(settings)


def test_the_order_is_that_of_the_reference() -> None:
    everywhere = train(
        learning_rate=1,
        max_steps=1,
        num_train_epochs=1,
        weight_decay=1,
        rl={"max_steps": 2, "num_train_epochs": 2, "weight_decay": 2},
    )
    stage = train(num_train_epochs=3, weight_decay=3, rl={"weight_decay": 4})
    found = settings_for("rl", everywhere, stage)
    assert (found.learning_rate, found.max_steps, found.num_train_epochs, found.weight_decay) == (1, 2, 3, 4)


def test_a_variant_begins_with_what_its_parent_has() -> None:
    """Six layers: all, all's sft, all's ewc, the stage, the stage's sft, the stage's ewc; a later one wins."""
    names = ("learning_rate", "max_steps", "num_train_epochs", "weight_decay", "max_grad_norm", "warmup_steps")
    layers = [dict.fromkeys(names[rank:], 10 * rank + 1) for rank in range(6)]
    everywhere = train(**layers[0], sft=layers[1], ewc=layers[2])
    stage = train(**layers[3], sft=layers[4], ewc=layers[5])
    found = settings_for("ewc", everywhere, stage)
    assert [getattr(found, name) for name in names] == [1, 11, 21, 31, 41, 51]
    # The parent itself has four of them, and nothing of the variant.
    found = settings_for("sft", everywhere, stage)
    assert [getattr(found, name) for name in names] == [1, 11, 11, 31, 41, 41]


@pytest.mark.parametrize("method", PARENT)
def test_every_variant_takes_its_parents_settings_and_not_the_other_way_round(method: Method) -> None:
    own = Train.model_validate({PARENT[method]: {"weight_decay": 0.5, "trl": {"a": 1}}})
    found = settings_for(method, own, Train()).model_dump()
    assert (found["weight_decay"], found["trl"]) == (0.5, {"a": 1})
    assert settings_for(PARENT[method], Train.model_validate({method: {"weight_decay": 0.5}}), Train()) == (
        SECTIONS[PARENT[method]]()
    )


def test_a_variant_keeps_its_own_defaults_beside_its_parents_settings() -> None:
    everywhere = train(sft={"redraw": False}, rl={"beta": 0.2, "scale_rewards": "group"}, lora={"r": 2})
    lora, gate = (settings_for(one, everywhere, Train()).model_dump() for one in ("lora", "gate"))
    assert (lora["r"], lora["lora_alpha"], lora["redraw"]) == (2, 16, False)
    assert (gate["success_reward"], gate["beta"], gate["scale_rewards"]) == (0.5, 0.2, "group")
    # sdft and tilt vary nobody: what sft and rl have alone does not reach them.
    sdft = settings_for("sdft", train(sft={"learning_rate": 1}, rl={"temperature": 2}), Train())
    assert (sdft.learning_rate, sdft.model_dump()["temperature"]) == (None, None)


def test_trl_maps_are_merged_key_by_key() -> None:
    everywhere = train(trl={"a": 1, "b": 1}, rl={"trl": {"b": 2, "c": 2}})
    assert settings_for("rl", everywhere, train(trl={"c": 3})).model_dump()["trl"] == {"a": 1, "b": 2, "c": 3}


@pytest.mark.parametrize("method", SECTIONS)
def test_every_method_takes_the_shared_settings(method: Method) -> None:
    found = settings_for(method, train(learning_rate=0.5, num_generations=4), Train())
    assert type(found) is SECTIONS[method]
    assert found.learning_rate == (0.05 if method == "low_lr_sft" else 0.5)
    assert getattr(found, "num_generations", 4) == 4


def test_the_shared_beta_weighs_a_kl_term_and_is_not_simpo_s_scale() -> None:
    everywhere = train(beta=0.1, simpo={"simpo_gamma": 2})
    found = settings_for("simpo", everywhere, train(beta=0.2))
    assert isinstance(found, SimpoTrain)
    assert (found.beta, found.simpo_gamma) == (None, 2)
    assert settings_for("simpo", everywhere, train(simpo={"beta": 3})).model_dump()["beta"] == 3
    assert settings_for("rl", everywhere, Train()).model_dump()["beta"] == 0.1


@pytest.mark.parametrize(("method", "parent"), [("rl_kl", "rl"), ("sft_kl", "sft")])
def test_a_beta_of_0_that_is_meant_for_others_takes_no_term_away(method: Method, parent: Method) -> None:
    def beta(everywhere: Train, stage: Train) -> Any:
        return settings_for(method, everywhere, stage).model_dump()["beta"]

    assert beta(train(beta=0), Train()) is None  # the method's own default, 0.1 in either world
    assert beta(train(**{method: {"beta": 0.5}}), train(beta=0)) == 0.5
    assert beta(train(beta=0.25), train(beta=0)) == 0.25
    assert beta(train(beta=0), train(beta=0.5)) == 0.5
    assert beta(train(rl={"beta": 0}), Train()) is None
    with pytest.raises(ValidationError, match=f"must be greater than 0: without its term this method is `{parent}`"):
        train(**{method: {"beta": 0}})
    with pytest.raises(ValidationError, match="greater than 0"):
        train(**{method: {"beta": -1}})
    # for others it is what it says
    assert settings_for("rl", train(beta=0.5), train(beta=0)).model_dump()["beta"] == 0


@pytest.mark.parametrize(
    ("everywhere", "stage", "rate"),
    [
        # the default share is a tenth
        ({"learning_rate": 1.0}, {}, 0.1),
        ({"sft": {"learning_rate": 1.0}, "low_lr_sft": {"learning_rate_share": 0.5}}, {}, 0.5),
        ({"learning_rate": 1.0, "low_lr_sft": {"learning_rate": 1e-6}}, {}, 1e-6),
        ({"low_lr_sft": {"learning_rate": 1e-6}}, {"max_steps": 3}, 1e-6),
        # the stage's rate wins over the section of the curriculum, and is a rate for all
        ({"low_lr_sft": {"learning_rate": 1e-6}}, {"learning_rate": 1.0}, 0.1),
        ({"learning_rate": 1.0}, {"low_lr_sft": {"learning_rate": 2.0}}, 2.0),
        ({}, {}, None),
    ],
)
def test_a_share_is_of_a_rate_from_elsewhere(everywhere: Any, stage: Any, rate: float | None) -> None:
    assert settings_for("low_lr_sft", train(**everywhere), train(**stage)).learning_rate == rate
    assert settings_for("sft", train(**everywhere), train(**stage)).learning_rate in (None, 1.0)


def test_a_share_without_a_rate_is_left_to_the_world_and_one_beside_a_rate_is_refused() -> None:
    found = settings_for("low_lr_sft", train(low_lr_sft={"learning_rate_share": 0.5}), Train())
    assert found.model_dump()["learning_rate_share"] == 0.5
    with pytest.raises(ValidationError, match="so that the share has no effect"):
        train(low_lr_sft={"learning_rate": 1e-6, "learning_rate_share": 0.5})


def test_worlds_needs_and_parents_are_of_one_mind() -> None:
    everything = set(get_args(Method))
    assert set(PARENT) | set(PARENT.values()) | IMITATES | REWARDED | ON_BASE_TEXTS <= everything
    assert everything == IMITATES | REWARDED  # a method learns from something
    assert not set(PARENT) & set(PARENT.values())  # nobody varies a variant
    for method, parent in PARENT.items():
        assert issubclass(SECTIONS[method], SECTIONS[parent])
        assert all(parent in methods for methods in METHODS.values() if method in methods)
    assert {m for m in ON_SFT if m in REWARDED} == set()
    assert [set(METHODS[a]) - set(METHODS[b]) for a, b in OTHER.items()] == [{"sdft"}, {"reinforce", "simpo"}]


def test_what_is_left_of_a_world_in_words() -> None:
    assert left("vision", without=IMITATES) == "'rl', 'tilt', 'rl_kl', 'reinforce' or 'simpo'"
    assert left("language", without=frozenset(METHODS["language"]) - {"sft"}) == "'sft'"
    assert left("language", without=frozenset(METHODS["language"])) == "nothing"


def test_every_method_has_a_section_and_a_world() -> None:
    assert set(SECTIONS) == set(get_args(Method))
    assert set(SECTIONS) == {method for methods in METHODS.values() for method in methods}
    assert set(SECTIONS) <= set(Train.model_fields)


@pytest.mark.parametrize("method", SECTIONS)
def test_settings_that_were_written_out_are_the_same_again(method: Method) -> None:
    """Once for what the file sets, once for a set value that equals the default: it is set and wins, as before."""
    same_as_default = {name: one.default for name, one in SECTIONS[method].model_fields.items() if one.default}
    for section in ({"max_steps": 7}, same_as_default, {}):
        before = Train.model_validate({method: section, "learning_rate": 0.25})
        again = Train.model_validate(before.model_dump(mode="json"))
        assert again == before
        assert getattr(again, method).model_fields_set == set(section)
        assert settings_for(method, again, Train()) == settings_for(method, before, Train())
        assert settings_for(method, Train(), again) == settings_for(method, Train(), before)


def test_a_curriculum_that_was_written_out_trains_alike() -> None:
    """A resume reads the curriculum from the run folder: a stage's unset default must not win over what was set."""
    curriculum = Curriculum.model_validate(
        {
            "model": {"model_name_or_path": "x"},
            "budget": {"kl": 1},
            "strategy": {"type": "fixed", "method": "chord"},
            "train": {"chord": {"mu_start": 0.5, "trl": {"top_p": 0.9}}},
            "stages": [
                {"name": "a", "task": {"type": "reasoning_gym", "dataset": "chain_sum"}},
                {
                    "name": "b",
                    "task": {"type": "reasoning_gym", "dataset": "chain_sum"},
                    "train": {"chord": {"mu_start": 0.9}},
                },
            ],
        }
    )
    again = Curriculum.model_validate(curriculum.model_dump(mode="json"))
    assert again == curriculum
    for read in (curriculum, again):
        a, b = (settings_for("chord", read.train, stage.train) for stage in read.stages)
        assert isinstance(a, ChordTrain)
        assert isinstance(b, ChordTrain)
        assert (a.mu_start, b.mu_start, a.phi, a.trl) == (0.5, 0.9, True, {"top_p": 0.9})
    assert again.model_dump(mode="json") == curriculum.model_dump(mode="json")
