"""What an update leaves in memory: no reference, no teacher, no optimiser, nothing of what a term holds."""

import gc
from pathlib import Path
from typing import Any
from weakref import ref

import pytest
from torch import Tensor

from perdure.agent.worlds.contract import SaveAndStop
from perdure.agent.worlds.language.methods.sdft import SdftTrainer
from perdure.curriculum.train import MethodSettings
from tests.agent.worlds.language.jobs import settings_of
from tests.agent.worlds.language.runs import QUICK, SAMPLING, Run, based, small
from tests.agent.worlds.language.tiny_world import TinyPolicy

RL = settings_of("rl", **QUICK, **SAMPLING, beta=0.1, max_steps=1)
L2 = settings_of("l2", **QUICK, max_steps=2)
SDFT = small("sdft", max_steps=1)


def every(kind: type[Any]) -> list[Any]:
    """What there is of a kind; inside an update only what was made since it began, the rest being frozen.

    Nothing but an object's type is asked, since there are proxies that load a module when they are asked for more.
    """
    return [one for one in gc.get_objects() if kind in type(one).__mro__]


def tensor_bytes() -> int:
    """The memory of all tensors that Python knows of, once where several share it."""
    storages = [one.untyped_storage() for one in every(Tensor)]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def loads_noted(policy: TinyPolicy) -> list[ref[Any]]:
    """Weak references to the models that the policy will have loaded as its base."""
    load, loaded = policy.load_base, []

    def noted() -> Any:
        model = load()
        loaded.append(ref(model))
        return model

    policy.load_base = noted
    return loaded


@pytest.mark.parametrize(("method", "settings"), [("rl", RL), ("sdft", SDFT), ("l2", L2)])
def test_an_update_leaves_no_more_tensors_than_it_found(method: str, settings: MethodSettings, tmp_path: Path) -> None:
    policy = based(tmp_path / "base")
    weights = sum(tensor.nbytes for tensor in policy.model.parameters())
    gc.collect()
    before = tensor_bytes()
    for number in range(2):
        made: list[int] = []
        Run(policy, tmp_path / str(number)).update(
            method, settings, at=lambda step, made=made: bool(made.append(tensor_bytes()))
        )
        assert made[0] > 2 * weights  # at least Adam's two averages
        assert tensor_bytes() == before


def test_the_reference_of_every_update_is_gone_after_it(tmp_path: Path) -> None:
    policy = based(tmp_path / "base")
    loaded = loads_noted(policy)
    for number in range(4):
        alive: list[bool] = []
        Run(policy, tmp_path / str(number)).update(
            "rl", RL, at=lambda step, alive=alive: bool(alive.append(loaded[-1]() is not None))
        )
        assert alive
        assert all(alive)
        assert len(loaded) == number + 1
        assert [model() for model in loaded] == [None] * len(loaded)


def test_the_teacher_of_every_update_is_gone_after_it(tmp_path: Path) -> None:
    policy = based(tmp_path / "base")
    teachers: list[ref[Tensor]] = []

    def note(step: int) -> bool:
        (trainer,) = every(SdftTrainer)
        teachers.extend(map(ref, trainer.teacher.values()))
        return False

    for number in range(3):
        seen = len(teachers)
        Run(policy, tmp_path / str(number)).update("sdft", SDFT, at=note)
        assert len(teachers) > seen
        assert [teacher() for teacher in teachers] == [None] * len(teachers)


def test_an_interrupted_update_keeps_no_reference_either(tmp_path: Path) -> None:
    """Its traceback, which is at hand here, leads to the trainer."""
    policy = based(tmp_path / "base")
    loaded = loads_noted(policy)
    with pytest.raises(SaveAndStop) as caught:
        Run(policy, tmp_path / "stopped").update("rl", RL, at=lambda step: True, error=SaveAndStop())
    assert caught.tb is not None
    assert [model() for model in loaded] == [None]
