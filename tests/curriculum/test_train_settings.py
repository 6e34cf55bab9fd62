"""Which setting wins, and that a curriculum that was written out says the same again."""

from typing import Any

import pytest
from pydantic import ValidationError

from perdure.curriculum.schema import Curriculum
from perdure.curriculum.train import MethodSettings, Train, section_settings, settings_for
from perdure.curriculum.worlds.language.settings import LanguageChord
from perdure.curriculum.worlds.language.spec import LANGUAGE
from perdure.curriculum.worlds.registry import section_names, worlds
from perdure.curriculum.worlds.vision.spec import VISION, Simpo
from tests.curriculum.methods import method_of

NOTHING = Train()
NAMES = [(world, name) for world, spec in worlds().items() for name in spec.names]
VARIANTS = [
    ("gate", "rl"),
    *((one.name, one.objective) for one in LANGUAGE.recipes),
]


def train(**settings: object) -> Train:
    return Train.model_validate(settings)


def found(name: str, everywhere: Train, stage: Train = NOTHING, world: str = "language") -> MethodSettings:
    return settings_for(method_of(name, world), everywhere, stage)


def values(name: str, everywhere: Train, stage: Train = NOTHING, world: str = "language") -> dict[str, Any]:
    """The objective's settings by name."""
    return found(name, everywhere, stage, world).objective.model_dump()


def test_the_order_is_that_of_the_reference() -> None:
    everywhere = train(
        learning_rate=1,
        max_steps=1,
        num_train_epochs=1,
        weight_decay=1,
        rl={"max_steps": 2, "num_train_epochs": 2, "weight_decay": 2},
    )
    stage = train(num_train_epochs=3, weight_decay=3, rl={"weight_decay": 4})
    rl = found("rl", everywhere, stage).objective
    assert (rl.learning_rate, rl.max_steps, rl.num_train_epochs, rl.weight_decay) == (1, 2, 3, 4)


def test_a_recipe_begins_with_what_its_objective_has() -> None:
    """Six layers: all, all's sft, all's ewc, the stage, the stage's sft, the stage's ewc; a later one wins."""
    names = ("learning_rate", "max_steps", "num_train_epochs", "weight_decay", "max_grad_norm", "warmup_steps")
    layers = [dict.fromkeys(names[rank:], 10 * rank + 1) for rank in range(6)]
    everywhere = train(**layers[0], sft=layers[1], ewc=layers[2])
    stage = train(**layers[3], sft=layers[4], ewc=layers[5])
    assert [values("ewc", everywhere, stage)[name] for name in names] == [1, 11, 21, 31, 41, 51]
    # The objective itself has four of them, and nothing of the recipe; nor has another combination.
    for name in ("sft", "sft+ewc+replay"):
        assert [values(name, everywhere, stage)[key] for key in names] == [1, 11, 11, 31, 41, 41]


@pytest.mark.parametrize(("name", "objective"), VARIANTS)
def test_every_variant_takes_its_parents_settings_and_not_the_other_way_round(name: str, objective: str) -> None:
    own = values(name, train(**{objective: {"weight_decay": 0.5, "trl": {"a": 1}}}))
    assert (own["weight_decay"], own["trl"]) == (0.5, {"a": 1})
    spec = LANGUAGE.objectives[objective]
    assert found(objective, train(**{name: {"weight_decay": 0.5}})).objective == spec.settings()


def test_a_variant_keeps_its_own_defaults_beside_its_parents_settings() -> None:
    everywhere = train(sft={"redraw": False}, rl={"beta": 0.2, "scale_rewards": "group"}, lora={"r": 2})
    lora, gate = found("lora", everywhere, world="vision"), values("gate", everywhere)
    assert lora.objective.model_dump()["redraw"] is False
    assert lora.modifiers["low_rank"].model_dump() == {"r": 2, "lora_alpha": 16}
    assert (gate["success_reward"], gate["beta"], gate["scale_rewards"]) == (0.5, 0.2, "group")
    # sdft and tilt vary nobody: what sft and rl have alone does not reach them.
    sdft = values("sdft", train(sft={"learning_rate": 1}, rl={"temperature": 2}))
    assert (sdft["learning_rate"], sdft["temperature"]) == (None, None)


def test_trl_maps_are_merged_key_by_key() -> None:
    everywhere = train(trl={"a": 1, "b": 1}, rl={"trl": {"b": 2, "c": 2}})
    assert values("rl", everywhere, train(trl={"c": 3}))["trl"] == {"a": 1, "b": 2, "c": 3}


@pytest.mark.parametrize(("world", "name"), NAMES)
def test_every_method_takes_the_shared_settings(world: str, name: str) -> None:
    objective = found(name, train(learning_rate=0.5, num_generations=4), world=world).objective
    assert type(objective) is method_of(name, world).objective.settings
    assert objective.learning_rate == (0.05 if name == "low_lr_sft" else 0.5)
    assert getattr(objective, "num_generations", 4) == 4


def test_the_shared_beta_weighs_a_kl_term_and_is_not_simpo_s_scale() -> None:
    everywhere = train(beta=0.1, simpo={"simpo_gamma": 2})
    simpo = found("simpo", everywhere, train(beta=0.2), world="vision").objective
    assert isinstance(simpo, Simpo)
    assert (simpo.beta, simpo.simpo_gamma) == (None, 2)
    assert values("simpo", everywhere, train(simpo={"beta": 3}), world="vision")["beta"] == 3
    assert values("rl", everywhere)["beta"] == 0.1


def beta(name: str, everywhere: Train, stage: Train = NOTHING) -> Any:
    """The weight of the method's KL term: of its modifier `kl`, or of its objective."""
    settings = found(name, everywhere, stage)
    return settings.modifiers.get("kl", settings.objective).model_dump()["beta"]


@pytest.mark.parametrize(("name", "objective"), [("rl_kl", "rl"), ("sft_kl", "sft")])
def test_a_beta_of_0_that_is_meant_for_others_takes_no_term_away(name: str, objective: str) -> None:
    assert beta(name, train(beta=0)) == 0.1  # the default in either world
    assert beta(name, train(**{name: {"beta": 0.5}}), train(beta=0)) == 0.5
    assert beta(name, train(beta=0.25), train(beta=0)) == 0.25
    assert beta(name, train(beta=0), train(beta=0.5)) == 0.5
    assert beta(name, train(rl={"beta": 0})) == 0.1
    with pytest.raises(ValidationError, match=f"must be greater than 0: without its term this method is `{objective}`"):
        train(**{name: {"beta": 0}})
    with pytest.raises(ValidationError, match="greater than 0"):
        train(**{name: {"beta": -1}})
    # for others it is what it says
    assert values("rl", train(beta=0.5), train(beta=0))["beta"] == 0


def test_the_shared_beta_reaches_sft_kl_and_no_other_modifier() -> None:
    everywhere = train(beta=0.3)
    assert [beta(name, everywhere) for name in ("sft_kl", "sft+kl", "rl+kl", "sft+replay+kl")] == [0.3, 0.3, 0.1, 0.1]
    assert values("rl+kl", everywhere)["beta"] == 0.3  # the objective's own term
    assert beta("rl+kl", train(kl={"beta": 0.7}), train(beta=0.3)) == 0.7
    # the recipe's section is stronger than the modifier's, and the stage than both
    both = train(kl={"beta": 0.7}, sft_kl={"beta": 0.8})
    assert [beta(name, both) for name in ("sft_kl", "rl+kl")] == [0.8, 0.7]
    assert beta("sft_kl", both, train(kl={"beta": 0.9})) == 0.9
    with pytest.raises(ValidationError, match="greater than 0: without its term the method is the one without `kl`"):
        train(kl={"beta": 0})


@pytest.mark.parametrize("objective", LANGUAGE.objectives)
def test_a_modifier_has_its_section_beside_every_objective(objective: str) -> None:
    everywhere = train(replay={"replay_ratio": 0.3, "max_steps": 9}, ewc={"ewc_lambda": 2}, l2={"l2_lambda": 3})
    settings = found(f"{objective}+replay+l2+ewc+low_rank", everywhere, train(ewc={"fisher_items": 5}))
    assert {name: one.model_dump() for name, one in settings.modifiers.items()} == {
        "replay": {"replay_ratio": 0.3},
        "ewc": {"ewc_lambda": 2, "fisher_items": 5},
        "l2": {"l2_lambda": 3},
        "low_rank": {"r": 8, "lora_alpha": 16},
    }
    assert settings.objective.max_steps is None  # that is of the recipe alone


def test_a_modifiers_defaults_are_those_of_its_world() -> None:
    weights = [found("sft+l2", NOTHING, world=world).modifiers["l2"].l2_lambda for world in ("language", "vision")]
    assert weights == [0.01, 0.1]


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
    for name in ("low_lr_sft", "low_lr_sft+replay"):
        assert values(name, train(**everywhere), train(**stage))["learning_rate"] == rate
    assert values("sft", train(**everywhere), train(**stage))["learning_rate"] in (None, 1.0)


def test_a_share_without_a_rate_is_left_to_the_world_and_one_beside_a_rate_is_refused() -> None:
    settings = values("low_lr_sft", train(low_lr_sft={"learning_rate_share": 0.5}))
    assert settings["learning_rate_share"] == 0.5
    assert values("low_lr_sft", NOTHING)["learning_rate_share"] == 0.1
    with pytest.raises(ValidationError, match="so that the share has no effect"):
        train(low_lr_sft={"learning_rate": 1e-6, "learning_rate_share": 0.5})


def test_only_its_own_section_overrides_what_makes_a_recipe() -> None:
    others = train(sft={"token_weight": "none"}, rl={"loss_type": "dapo", "scale_rewards": "batch"})
    assert [values(name, others)["token_weight"] for name in ("sft", "eaft")] == ["none", "entropy"]
    made_of_rl = ("rl", "rl_kl", "grpo", "dr_grpo")
    made = {name: (values(name, others)["loss_type"], values(name, others)["scale_rewards"]) for name in made_of_rl}
    assert (made["rl"], made["grpo"], made["dr_grpo"]) == (("dapo", "batch"), ("grpo", "group"), ("dr_grpo", "none"))
    assert made["rl_kl"] == ("dapo", "batch")
    assert values("grpo", train(grpo={"scale_rewards": "batch"}), others)["scale_rewards"] == "batch"
    assert values("eaft", train(eaft={"token_weight": "none"}))["token_weight"] == "none"


def test_every_part_of_a_method_has_a_section_with_its_settings() -> None:
    assert set(section_names()) == {name for spec in (LANGUAGE, VISION) for name in spec.parts}
    assert set(section_names()) <= set(Train.model_fields)
    for spec in (LANGUAGE, VISION):
        for recipe in spec.recipes:
            parts = [spec.objectives[recipe.objective], *(spec.modifiers[name] for name in recipe.modifiers)]
            assert set(section_settings(spec, recipe.name)) >= {one.settings for one in parts}


@pytest.mark.parametrize("section", section_names())
def test_settings_that_were_written_out_are_the_same_again(section: str) -> None:
    """Once for what the file sets, once for a set value that equals the default: it is set and wins, as before."""
    fields = type(getattr(NOTHING, section)).model_fields
    same_as_default = {name: one.default for name, one in fields.items() if one.default}
    first = (
        "max_steps"
        if "max_steps" in fields
        else next(name for name in fields if name not in ("prompts", "average_with"))
    )
    some = {first: 1}
    for given in (some, same_as_default, {}):
        before = train(**{section: given, "learning_rate": 0.25})
        again = Train.model_validate(before.model_dump(mode="json"))
        assert again == before
        assert getattr(again, section).model_fields_set == set(given)
        for spec in (LANGUAGE, VISION):
            names = [section] if section in spec.names else []
            for name in [*names, *(f"rl+{one}" for one in spec.modifiers if one == section)]:
                assert found(name, again, world=spec.name) == found(name, before, world=spec.name)
                assert found(name, NOTHING, again, spec.name) == found(name, NOTHING, before, spec.name)


def test_a_curriculum_that_was_written_out_trains_alike() -> None:
    """A resume reads the curriculum from the run folder: a stage's unset default must not win over what was set."""
    curriculum = Curriculum.model_validate(
        {
            "model": {"model_name_or_path": "x"},
            "budget": {"kl": 1},
            "strategy": {"type": "fixed", "method": "chord + kl"},
            "train": {"chord": {"mu_start": 0.5, "trl": {"top_p": 0.9}}, "kl": {"beta": 0.5}},
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
        a, b = (settings_for(read.method("chord+kl"), read.train, stage.train) for stage in read.stages)
        assert isinstance(a.objective, LanguageChord) and isinstance(b.objective, LanguageChord)
        assert (a.objective.mu_start, b.objective.mu_start, a.objective.phi) == (0.5, 0.9, True)
        assert (a.objective.trl, a.modifiers["kl"].beta) == ({"top_p": 0.9}, 0.5)
    assert again.model_dump(mode="json") == curriculum.model_dump(mode="json")
