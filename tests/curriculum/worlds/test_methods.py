"""Methods by name: an objective, modifiers and recipes; and which of them can learn a task."""

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.curriculum.task import Item, Task
from perdure.curriculum.worlds.contract import Facts, WorldSpec
from perdure.curriculum.worlds.language.model import CausalModel
from perdure.curriculum.worlds.language.spec import LANGUAGE
from perdure.curriculum.worlds.learnable import facts_of, lacking, learnable_by, task_refusal
from perdure.curriculum.worlds.lora import LoraConfig
from perdure.curriculum.worlds.methods import MethodError
from perdure.curriculum.worlds.registry import method_name
from perdure.curriculum.worlds.vision.spec import VISION
from tests.curriculum.methods import ON_SFT, SYNONYMS

SPECS = st.sampled_from([LANGUAGE, VISION])


@pytest.mark.parametrize(
    ("name", "canonical", "objective", "modifiers", "recipe"),
    [
        ("sft", "sft", "sft", (), None),
        ("rl + replay", "rl+replay", "rl", ("replay",), None),
        ("chord+kl+replay", "chord+replay+kl", "chord", ("replay", "kl"), None),
        ("sft+replay", "replay", "sft", ("replay",), "replay"),
        ("sft+kl", "sft_kl", "sft", ("kl",), "sft_kl"),
        ("sft+low_rank", "lora", "sft", ("low_rank",), "lora"),
        ("sft+kl+replay", "sft+replay+kl", "sft", ("replay", "kl"), None),
        ("replay", "replay", "sft", ("replay",), "replay"),
        ("eaft+ewc", "eaft+ewc", "sft", ("ewc",), "eaft"),
        ("rl_kl+replay", "rl_kl+replay", "rl", ("replay",), "rl_kl"),
        ("grpo", "grpo", "rl", (), "grpo"),
    ],
)
def test_names_and_what_they_stand_for(
    name: str, canonical: str, objective: str, modifiers: tuple[str, ...], recipe: str | None
) -> None:
    for spec in (LANGUAGE, VISION):
        method = spec.method(name)
        assert (method.name, method.objective.name) == (canonical, objective)
        assert tuple(one.name for one in method.modifiers) == modifiers
        assert (method.recipe and method.recipe.name) == recipe


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rl+replay+replay", "the modifier `replay` is given twice"),
        ("rl+sft", "`sft` is an objective, and a method has one; `rl` is another"),
        ("kl", "`kl` is a modifier and stands behind an objective, as in `sft+kl`"),
        ("rl+lora", "`lora` is short for `sft+low_rank`; write `rl+low_rank`"),
        ("rl+grpo", "`grpo` is `rl` with other settings, and stands in front of modifiers"),
        ("sft+eaft", "`eaft` is `sft` with other settings, and stands in front of modifiers"),
        ("replay+kl", "`replay` is short for `sft+replay`; write `sft+replay+kl`"),
        ("rl+replya", "there is no modifier 'replya'; did you mean 'replay'?"),
        ("slf", "there is no method 'slf'; did you mean 'sft'?"),
        ("", "there is no method ''; choose one of"),
        ("rl+", "there is no modifier ''; there are 'replay', "),
    ],
)
def test_what_is_no_method_is_refused_with_the_reason(name: str, message: str) -> None:
    for spec in (LANGUAGE, VISION):
        with pytest.raises(MethodError) as raised:
            spec.method(name)
        assert str(raised.value).startswith(message)


def test_a_file_may_name_what_some_world_can_do() -> None:
    assert method_name("simpo + replay") == "simpo+replay"  # a language model refuses it later
    assert method_name("sdft+simpo") == "sdft+simpo"  # so do both
    with pytest.raises(ValueError, match="`sft` is an objective, and a method has one; `simpo` is another"):
        method_name("simpo+sft")
    with pytest.raises(ValueError, match="there is no modifier 'replya'; did you mean 'replay'"):
        method_name("rl+replya")


def test_a_combination_that_means_nothing_is_refused_with_the_reason() -> None:
    methods = (replace(one, refuses={"rl": "it samples"}) if one.name == "l2" else one for one in VISION.methods)
    spec = replace(VISION, methods=tuple(methods))
    assert spec.method("sft+l2").name == "l2"
    with pytest.raises(MethodError, match=r"`rl\+l2` means nothing: it samples"):
        spec.method("rl_kl+replay+l2")


def heads(spec: WorldSpec) -> st.SearchStrategy[str]:
    """What may stand in front of modifiers."""
    return st.sampled_from([*spec.objectives, *(one.name for one in spec.recipes if not one.is_abbreviation)])


@given(data=st.data(), spec=SPECS)
def test_every_combination_has_one_name_which_stands_for_itself(data: st.DataObject, spec: WorldSpec) -> None:
    head = data.draw(heads(spec))
    modifiers = data.draw(st.lists(st.sampled_from(list(spec.modifiers)), unique=True))
    method = spec.method("+".join([head, *modifiers]))
    assert spec.method(method.name) == method
    assert {spec.method("+".join([head, *order])).name for order in permutations(modifiers)} == {method.name}
    assert {one.name for one in method.modifiers} == set(modifiers)
    assert method.needs == method.objective.needs.union(*(one.needs for one in method.modifiers))


@given(spec=SPECS, demonstrations=st.sampled_from([True, False, None]), reward=st.sampled_from([True, False, None]))
def test_learnable_is_what_is_not_refused(spec: WorldSpec, demonstrations: bool | None, reward: bool | None) -> None:
    facts = Facts(demonstrations, reward)
    able = learnable_by(spec, facts)
    assert able == tuple(name for name in spec.names if task_refusal(spec, spec.method(name), facts) is None)
    combined = [f"{objective}+replay+l2" for objective in spec.objectives]
    assert learnable_by(spec, facts, combined) == tuple(
        name for name in combined if not lacking(spec.method(name.partition("+")[0]), facts)
    )


def test_the_answer_is_the_same_whether_the_file_or_the_data_is_asked() -> None:
    items = {True: (Item("a", demonstration="b"),), False: (Item("a"),)}
    for written, rewarded in ((True, True), (True, False), (False, True), (False, False)):
        task = Task("t", items[written], (), (lambda *_: [1.0]) if rewarded else None)
        assert facts_of(task) == Facts(written, rewarded)
    imitated, sampled = ("sft", "sdft", *ON_SFT), ("rl", "tilt", "rl_kl", *SYNONYMS)
    assert learnable_by(LANGUAGE, Facts(True, False)) == imitated
    assert learnable_by(LANGUAGE, Facts(None, False)) == imitated  # what is not known yet is not refused
    assert learnable_by(LANGUAGE, Facts(False, True)) == sampled
    assert learnable_by(LANGUAGE, Facts(False, False)) == ()
    assert set(imitated) | set(sampled) | {"chord", "gate"} == set(LANGUAGE.names)


def test_a_refusal_says_what_is_missing_and_what_can_be_done() -> None:
    demonstrations = "demonstrations (from the data, or `demonstrations: module:function`)"
    remedy = "it can be learned by 'rl', 'tilt', 'rl_kl', 'grpo' or 'dr_grpo'"
    facts = Facts(False, True)
    assert task_refusal(LANGUAGE, LANGUAGE.method("sft"), facts) == (
        f"method 'sft' needs demonstrations, and the task has no {demonstrations}; {remedy}"
    )
    assert task_refusal(LANGUAGE, LANGUAGE.method("chord+kl"), Facts(False, False)) == (
        f"method 'chord+kl' needs demonstrations and a reward, and the task has no {demonstrations} and no reward "
        "(give it a `reward`); it cannot be learned at all"
    )
    assert task_refusal(LANGUAGE, LANGUAGE.method("rl+replay"), facts) is None
    some = facts_of(Task("t", (Item("a", demonstration="b"), Item("c"), Item("d")), (), lambda *_: [1.0]))
    assert task_refusal(LANGUAGE, LANGUAGE.method("sft"), some) == (
        "method 'sft' needs a demonstration of every training item of the task, and 2 have none: leave those out "
        f"(`unreadable: leave_out` of tasks of type `tool_alpaca`), or take another method; {remedy}"
    )


def test_a_model_with_an_adapter_has_every_method_but_the_low_rank() -> None:
    model = CausalModel(model_name_or_path="x", lora=LoraConfig())
    assert model.refusal(LANGUAGE.method("rl+replay")) is None
    assert str(model.refusal(LANGUAGE.method("rl+low_rank+replay"))).endswith("use 'rl+replay'")


def test_rows_of_the_worlds_agree() -> None:
    for spec in (LANGUAGE, VISION):
        assert len(spec.names) == len(set(spec.names))
        assert all(one.needs & {"demonstrations", "reward"} for one in spec.objectives.values())
        for one in spec.methods:
            code = "enforcement.averaging" if one.name == "average" else f"methods.{one.name}"  # of all worlds alike
            assert one.world == spec.name and one.code.endswith(f".{code}")
            assert one.parent is None or issubclass(one.settings, spec.objectives[one.parent].settings)
        for recipe in spec.recipes:
            spec.objectives[recipe.objective].settings(**{**recipe.settings, **recipe.defaults})
    assert set(LANGUAGE.names) - set(VISION.names) == {"sdft"}
    assert set(VISION.names) - set(LANGUAGE.names) == {"reinforce", "simpo"}
