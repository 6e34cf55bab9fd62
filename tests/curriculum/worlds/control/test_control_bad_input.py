"""Each fault of an environment, an expert or a list of starts gives one message before a run begins."""

import time
from pathlib import Path
from typing import Any

import pytest
from gymnasium.spaces import Discrete

from perdure.budget.errors import ConfigError, PerdureError
from perdure.curriculum.worlds.build import build_task
from perdure.curriculum.worlds.control.actions import actions_of
from perdure.curriculum.worlds.control.environments.contract import Observation
from perdure.curriculum.worlds.control.interface import from_json, interface_of, refuse_other
from perdure.curriculum.worlds.control.model import ControlModel
from perdure.curriculum.worlds.control.tasks import Gymnasium

POINT = {"type": "gymnasium", "id": "tests.point_world:Point-v0", "horizon": 5, "train": 4, "heldout": 3}
EXPERT = {"type": "expert", "expert": "tests.point_world:expert"}


def model(*known: dict[str, Any], **settings: Any) -> ControlModel:
    tasks = [{"task": POINT | {"demonstrations": EXPERT} | one, "episodes": 2} for one in known or ({},)]
    return ControlModel.model_validate({"type": "control", "bins": 5, "pretrain": {"tasks": tasks}} | settings)


def build(base: ControlModel | None = None, **settings: Any) -> Any:
    section = Gymnasium.model_validate(POINT | settings)
    return build_task(section, name="pick", seed=0, model=base or model())


def message(base: ControlModel | None = None, **settings: Any) -> str:
    with pytest.raises(PerdureError) as caught:
        build(base, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"id": "Cartpole-v1"}, "task 'pick' (Cartpole-v1): gymnasium has no environment 'Cartpole-v1'; did you mean "),
        ({"id": "tests.point_world:Pont-v0"}, "did you mean 'tests.point_world:Point-v0'?"),
        ({"id": "tests.no_world:Point-v0"}, "there is no module 'tests.no_world'"),
        ({"id": "os:Point-v0"}, "'os' is a module of Python's standard library"),
        ({"id": "torch:Point-v0"}, "'torch' is of the installed package 'torch'"),
        ({"kwargs": {"speed": 3}}, "cannot be made: TypeError"),
        ({"wrappers": ["gymnasium.wrappers:RescaleAction"]}, "cannot be made: TypeError"),
        ({"wrappers": ["subprocess:run"]}, "the wrapper 'subprocess:run': 'subprocess' is a module of Python's"),
        ({"wrappers": ["tests.point_world:Nothing"]}, "module 'tests.point_world' has no 'Nothing'"),
        ({"success_key": "solved"}, "`info` has no 'solved' (it has 'success'); name another key (`success_key`)"),
        ({"starts": [{"seed": 1}, {"seed": 2}, {"seed": 3}]}, "3 are listed, and `heldout` takes 3 of them; list more"),
        (
            {"starts": [{"seed": 1}, {"seed": 2}, {"seed": 3}, {"seed": 1}]},
            "numbers 0 and 3 of 4, from 0, are the same start",
        ),
        ({"starts": {"grid": {"x": (0, 0, 2), "y": (0, 0, 1)}}}, "numbers 0 and 1 of 2, from 0, are the same start"),
        (
            {"demonstrations": {"type": "expert", "expert": "tests.faulty_world:lazy_expert"}},
            "0 of 4 episodes; look at the expert",
        ),
        (
            {"demonstrations": {"type": "expert", "expert": "tests.faulty_world:mad_expert"}},
            "0 of 4 episodes (decision 1: ValueError: an action of Box(-1.0, 1.0, (2,), float32) has a number that is",
        ),
        ({"demonstrations": {"type": "expert"}}, "has no expert of its own"),
    ],
)
def test_one_message_names_the_place_and_the_remedy(settings: dict[str, Any], said: str) -> None:
    assert said in message(**settings)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("raise", "failed in 3 of 3 episodes of random actions: decision 1: RuntimeError: gripper lost"),
        ("sleep", "decision 1: no answer after 0.05 s"),
        ("loop", "decision 1: no answer after 0.05 s"),
        ("nan", "decision 1: the observation has a number that is not finite"),
        ("reward", "decision 1: the reward is nan"),
        ("silent", "`info` has no 'success' (it has 'is_success', 'x')"),
        ("reset", "cannot be reset (seed "),
        ("seedless", "one start gives two observations"),
        ("actions", "actions are Discrete, MultiDiscrete, MultiBinary or a Box of floating-point numbers"),
        ("unbounded", "bounds of each dimension, which must be finite and apart"),
    ],
)
def test_an_environment_that_never_works_is_refused(fault: str, said: str) -> None:
    began = time.monotonic()
    found = message(id="tests.faulty_world:Faulty-v0", kwargs={"fault": fault}, seconds=0.05)
    assert said in found and "Faulty-v0" in found
    assert time.monotonic() - began < 5


def test_a_module_that_fails_to_import_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_robots.py").write_text("raise OSError('no driver')\n")
    monkeypatch.chdir(tmp_path)
    found = message(id="broken_robots:Robot-v0")
    assert "importing 'broken_robots' failed: OSError: no driver" in found


def test_an_environment_with_one_start_needs_distinct_seeds() -> None:
    lake = POINT | {"id": "FrozenLake-v1", "success": "return > 0"}
    base = model(lake | {"demonstrations": EXPERT})
    assert "there are 0: the last 500" in (said := message(base, **lake)) and "set `distinct: seed`" in said
    assert len(build(base, **lake, distinct="seed").heldout) == 3


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"id": "tests.faulty_world:Wide-v0"},
            "task 'pick' (tests.faulty_world:Wide-v0) shows 3 numbers and no image, and model.pretrain.tasks[0] "
            "(tests.point_world:Point-v0) 2 numbers and no image",
        ),
        ({"id": "tests.faulty_world:Fast-v0"}, "takes actions in 5 values each from -2 to 2, -2 to 2, and model.pre"),
        (
            {"action_repeat": 2},
            "holds an action for 2 steps, and model.pretrain.tasks[0] (tests.point_world:Point-v0) 1",
        ),
    ],
)
def test_environments_of_a_curriculum_are_alike(settings: dict[str, Any], said: str) -> None:
    assert said in message(**settings)
    if "id" in settings:  # among the base's own
        with pytest.raises(ConfigError, match=r"model\.pretrain\.tasks\[1\]"):
            build(model({}, settings))


def test_an_environment_without_an_end_is_cut_at_the_horizon() -> None:
    (first, *_) = build(demonstrations=EXPERT, kwargs={"goal": "left"}, horizon=40).train
    assert first.columns["episodes"][0].success  # the point never ends by itself: success does it


def test_a_list_that_leaves_the_base_no_start() -> None:
    listed = [{"seed": seed} for seed in range(3)]
    assert "of the listed `starts`, `heldout` takes 3, which leaves none" in message(model({"starts": listed}))


def test_held_out_starts_are_not_those_kept_for_the_base_in_a_list() -> None:
    listed = [{"seed": seed} for seed in range(8)]
    base = model({"starts": listed, "heldout": 4})
    found = build(base, starts=listed, heldout=6)  # 0 to 3 are kept for the base
    assert [item.prompt.seed for item in found.heldout] == [4, 5, 6, 7]
    assert [item.prompt.seed for item in found.train] == [0, 1]
    assert "at least 2 must be left" in message(base, starts=listed[:4], heldout=3)


def test_a_base_that_is_loaded_has_no_seed_of_its_own() -> None:
    with pytest.raises(ValueError, match="only a base that is made"):
        model(pretrain=None, path="somewhere", seed=3)
    assert model(seed=3).drawn_from(5) == 3


def test_whole_numbers_that_begin_elsewhere_are_other_actions() -> None:
    """The policy's third value would be 2 in the one and, as the expert labels it, 3 in the other."""
    spaces = {"base": Discrete(3), "same": Discrete(3, start=0), "other": Discrete(3, start=1)}
    base, same, other = (
        interface_of(owner, Observation(), actions_of(space, 5, owner), 1) for owner, space in spaces.items()
    )
    refuse_other(same, base)
    with pytest.raises(ConfigError, match=r"^other takes actions of 3 values from 1, and base actions of 3 values;"):
        refuse_other(other, base)
    assert [from_json(one.owner, one.to_json()) for one in (base, other)] == [base, other]
