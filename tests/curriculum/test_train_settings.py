"""Which setting wins, and that a curriculum that was written out says the same again."""

import pytest

from perdure.curriculum.schema import Curriculum
from perdure.curriculum.train import METHODS, SECTIONS, ChordTrain, Method, SimpoTrain, Train, settings_for


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


def test_trl_maps_are_merged_key_by_key() -> None:
    everywhere = train(trl={"a": 1, "b": 1}, rl={"trl": {"b": 2, "c": 2}})
    assert settings_for("rl", everywhere, train(trl={"c": 3})).model_dump()["trl"] == {"a": 1, "b": 2, "c": 3}


@pytest.mark.parametrize("method", SECTIONS)
def test_every_method_takes_the_shared_settings(method: Method) -> None:
    found = settings_for(method, train(learning_rate=0.5, num_generations=4), Train())
    assert type(found) is SECTIONS[method]
    assert found.learning_rate == 0.5
    assert getattr(found, "num_generations", 4) == 4


def test_the_shared_beta_weighs_a_kl_term_and_is_not_simpo_s_scale() -> None:
    everywhere = train(beta=0.1, simpo={"simpo_gamma": 2})
    found = settings_for("simpo", everywhere, train(beta=0.2))
    assert isinstance(found, SimpoTrain)
    assert (found.beta, found.simpo_gamma) == (None, 2)
    assert settings_for("simpo", everywhere, train(simpo={"beta": 3})).model_dump()["beta"] == 3
    assert settings_for("rl", everywhere, Train()).model_dump()["beta"] == 0.1


def test_every_method_has_a_section_and_a_world() -> None:
    assert set(SECTIONS) == {method for methods in METHODS.values() for method in methods}
    assert set(SECTIONS) <= set(Train.model_fields)


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
