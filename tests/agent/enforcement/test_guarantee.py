"""The guarantee: whatever an update does, no committed stage is above its cap where the cap is held.

Random streams, most of them in the world of one number, some in each of the real worlds; killed on the way, resumed,
and measured once more at the end, from the weights that are on the disk.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perdure.agent.life import Life
from perdure.agent.loop import run_curriculum
from perdure.agent.run.state import RunState
from perdure.agent.setup import resume, start
from perdure.budget.estimate import Estimate
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.worlds.registry import spec_of
from tests.agent.killing import save_base, tiny_stream
from tests.agent.scalar_run import Always, Killed, Onlooker, curriculum, in_memory, record_of, scalar_run
from tests.agent.worlds.language.toy import toy_task
from tests.plugin.perdure_scalar.world import ScalarWorld

HOLDING: list[Any] = [
    "rollback",
    "project",
    ["penalty", "rollback"],
    ["penalty", "project"],
    ["recover", "project"],
]


PROMPTS = ("seen", "task", "generic", "both")


def powers(low: float, high: float) -> st.SearchStrategy[float]:
    """Ten to a power between these."""
    return st.floats(low, high).map(lambda power: 10.0**power)


@st.composite
def combinations(draw: st.DrawFn, world: str, heads: Sequence[str] | None = None) -> str:
    """Any method of a world, one time in two with modifiers."""
    spec = spec_of(world)
    whole = [one.name for one in spec.recipes if one.is_abbreviation]
    head = draw(st.sampled_from(heads or spec.names))
    if head in whole or draw(st.booleans()):
        return head
    more = draw(st.lists(st.sampled_from(list(spec.modifiers)), min_size=1, unique=True))
    return spec.method("+".join((head, *more))).name


SCALAR = ("sft", "rl", "chord")
"""The objectives that the world of one number tells apart."""

LIKELY = powers(-3, 1)
ABSURD = powers(-3, 200)


def lower_end(kl: Estimate, confidence: float | None) -> float:
    """Less than the upper end of any interval at this level can be, since Student's t is above the normal quantile."""
    return kl.value + (0.0 if confidence is None else NormalDist().inv_cdf(confidence) * (kl.stderr or 0.0))


def held_again(life: Life, record: RunState) -> None:
    """Every committed stage is within the cap that it had, by its last reading and by one of the weights it left."""
    assert record.status == "finished"
    assert all(row.committed for row in record.rows)
    for number, stage, _ in life.stages:
        row = record.row(number)
        assert row is not None
        last = row.readings[-1]
        assert last.final
        assert last.within
        assert last.cap == row.cap
        assert last.cap <= life.curriculum.budget.kl
        assert lower_end(last.kl, life.curriculum.budget.confidence) <= last.cap
        life.world.policy.restore(life.folder.stage(number, stage.name) / "policy")
        names = [task.name for task in life.tasks[:number]]
        again = life.monitor.read(0, names, last.cap)
        assert again.within
        assert life.world.policy.fingerprint() == row.weights_sha256


@dataclass(frozen=True)
class Stream:
    """A random run in the world of one number; it is killed after these many events, once or more."""

    methods: tuple[str | None, ...]
    rate: float
    seed: int
    budget: dict[str, Any]
    share: float | None
    noise: float
    wobble: float
    breaks_at: int | None
    cuts: tuple[int, ...]

    @property
    def config(self) -> Curriculum:
        config = curriculum(len(self.methods), self.rate, **self.budget)
        pairs = zip(config.stages, self.methods, strict=True)
        stages = [stage.model_copy(update={"method": method}) for stage, method in pairs]
        return config.model_copy(update={"stages": stages, "seed": self.seed})

    @property
    def world(self) -> ScalarWorld:
        broken = {self.breaks_at: math.nan}
        return ScalarWorld(broken.get, noise=self.noise, wobble=self.wobble)


@st.composite
def streams(draw: st.DrawFn, enforce: Any) -> Stream:
    """Any of them."""
    allocation = draw(st.sampled_from(["greedy", "even", "remaining", "floor"]))
    budget: dict[str, Any] = {
        "kl": draw(powers(-6, 3)),
        "enforce": enforce,
        "every": draw(st.integers(1, 8)),
        "prompts": draw(st.sampled_from(PROMPTS)),
        "confidence": draw(st.none() | st.floats(0.51, 0.99)),
        "allocation": allocation,
        "fraction": draw(st.floats(0.05, 1)),
        "penalty": {
            "controller": draw(st.sampled_from(["dual_ascent", "proportional"])),
            "weight": draw(powers(-3, 3)),
            "rate": draw(powers(-3, 1)),
        },
        "recover": {
            "learning_rate": draw(st.none() | LIKELY | ABSURD),
            "max_steps": draw(st.integers(1, 8)),
            "every": draw(st.integers(1, 4)),
        },
    }
    return Stream(
        methods=tuple(draw(st.lists(st.none() | combinations("language", SCALAR), min_size=1, max_size=3))),
        rate=draw(LIKELY | ABSURD),
        seed=draw(st.integers(0, 1000)),
        budget=budget | ({"target_accuracy": 0.5} if allocation == "floor" else {}),
        share=draw(st.none() | st.floats(0.001, 1)),
        noise=draw(st.floats(0, 0.99)),
        wobble=draw(st.floats(0, 0.9)),
        breaks_at=draw(st.sampled_from([None, None, None, 1, 3, 6])),
        cuts=tuple(draw(st.lists(st.integers(2, 60), max_size=2))),
    )


def run_through_kills(begin: Callable[[Onlooker], Life], cuts: Sequence[int]) -> Life:
    """Killed after so many events, as often as there are cuts that it comes to, and taken up again each time."""
    for cut in (*cuts, None):
        life = begin(Onlooker(cut))
        try:
            run_curriculum(life)
        except Killed:
            continue
        return life
    raise AssertionError("the last one is not killed")


@pytest.mark.parametrize("enforce", HOLDING, ids=str)
def test_no_stage_of_a_random_stream_ends_above_its_cap(enforce: Any) -> None:
    @settings(deadline=None, max_examples=44, suppress_health_check=list(HealthCheck))
    @given(streams(enforce))
    def holds(stream: Stream) -> None:
        with in_memory() as folder:
            path, always = folder / "run", Always(share=stream.share)
            life = run_through_kills(
                lambda view: scalar_run(path, stream.config, stream.world, view, always), stream.cuts
            )
            held_again(life, record_of(path))

    holds()


def images(rule: str) -> dict[str, Any]:
    return {"type": "images", "images": "digits", "rule": rule, "writer": "two", "train": 64, "heldout": 10}


@st.composite
def vision_curricula(draw: st.DrawFn) -> Curriculum:
    """A tiny classifier, two or three rules, any method of the world at each."""
    method = combinations("vision")
    return Curriculum.model_validate(
        {
            "model": {"type": "mlp", "hidden_sizes": [8], "pretrain": {"images": 20, "num_train_epochs": 1}},
            "seed": draw(st.integers(0, 3)),
            "budget": {
                "kl": draw(powers(-4, 0)),
                "enforce": draw(st.sampled_from(HOLDING)),
                "every": draw(st.integers(1, 4)),
                "num_prompts": 16,
                "confidence": draw(st.sampled_from([None, 0.95])),
                "allocation": draw(st.sampled_from(["greedy", "even"])),
                "prompts": draw(st.sampled_from(PROMPTS)),
                "penalty": {"controller": draw(st.sampled_from(["dual_ascent", "proportional"]))},
                "recover": {"max_steps": 4, "every": 2, "learning_rate": draw(st.none() | LIKELY | ABSURD)},
            },
            "strategy": {"type": "fixed", "method": draw(method)},
            "train": {"learning_rate": draw(LIKELY | ABSURD), "max_steps": 6, "per_device_train_batch_size": 16},
            "stages": [
                {"name": rule, "task": images(rule), "method": draw(method)}
                for rule in ("parity", "at_least_five", "prime")[: draw(st.integers(2, 3))]
            ],
        }
    )


@settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))
@given(vision_curricula(), st.lists(st.integers(2, 40), max_size=2))
def test_no_stage_of_the_vision_world_ends_above_its_cap(config: Curriculum, cuts: list[int]) -> None:
    with in_memory() as folder:
        life = run_through_kills(lambda view: begun(config, folder / "run", view), cuts)
        held_again(life, record_of(folder / "run"))


@st.composite
def control_curricula(draw: st.DrawFn) -> Curriculum:
    """A tiny policy of the point world, two goals, any method of the world at each."""
    method = combinations("control")
    shown = {"type": "expert", "expert": "tests.point_world:expert"}
    small = {"type": "gymnasium", "id": "tests.point_world:Point-v0", "horizon": 3, "train": 4, "heldout": 2}
    tasks = {goal: small | {"kwargs": {"goal": goal}, "demonstrations": shown} for goal in ("left", "right", "up")}
    return Curriculum.model_validate(
        {
            "model": {
                "type": "control",
                "policy": {"type": "mlp", "hidden_sizes": [8]},
                "bins": 3,
                "pretrain": {"max_steps": 10, "tasks": [{"task": tasks["left"] | {"horizon": 8}, "episodes": 2}]},
            },
            "seed": draw(st.integers(0, 3)),
            "budget": {
                "kl": draw(powers(-4, 0)),
                "enforce": draw(st.sampled_from(HOLDING)),
                "every": draw(st.integers(1, 4)),
                "num_prompts": 2,
                "unit": draw(st.sampled_from(["token", "sequence"])),
                "confidence": draw(st.sampled_from([None, 0.95])),
                "allocation": draw(st.sampled_from(["greedy", "even"])),
                "prompts": draw(st.sampled_from(PROMPTS)),
                "recover": {"max_steps": 3, "every": 2, "learning_rate": draw(st.none() | LIKELY | ABSURD)},
            },
            "strategy": {"type": "fixed", "method": draw(method)},
            "train": {
                "learning_rate": draw(LIKELY | ABSURD),
                "max_steps": 4,
                "per_device_train_batch_size": 2,
                "save_steps": 2,
            },
            "stages": [{"name": goal, "task": tasks[goal], "method": draw(method)} for goal in ("right", "up")],
        }
    )


@settings(deadline=None, max_examples=6, suppress_health_check=list(HealthCheck))
@given(control_curricula(), st.lists(st.integers(2, 30), max_size=2))
def test_no_stage_of_the_control_world_ends_above_its_cap(config: Curriculum, cuts: list[int]) -> None:
    with in_memory() as folder:
        life = run_through_kills(lambda view: begun(config, folder / "run", view), cuts)
        held_again(life, record_of(folder / "run"))


def begun(config: Curriculum, path: Path, view: Onlooker) -> Life:
    """What `perdure run` and `perdure resume` do."""
    return resume(path, view) if path.exists() else start(config, path, view)


@pytest.fixture(scope="module")
def base() -> Iterator[Path]:
    """The tiny random model and some general prompts."""
    with in_memory() as folder:
        save_base(folder)
        prompts = [item.prompt for item in toy_task(16).heldout + toy_task(16).train]
        (folder / "prompts.jsonl").write_text("".join(json.dumps({"prompt": one}) + "\n" for one in prompts))
        yield folder


@pytest.mark.xdist_group("trl")
@pytest.mark.parametrize(
    ("enforce", "lora", "rates", "methods", "cuts"),
    [
        ("project", None, (0.03, 1e30), ("sft", "rl"), (7,)),
        (["penalty", "project"], {"r": 4}, (0.1, 1e3), ("rl_kl", "sft"), (9, 12)),
        (["recover", "project"], None, (0.01, 1e3), ("chord", "eaft"), (8,)),
        (["penalty", "rollback"], None, (0.01, 1e8), ("sft_kl", "rl+replay+l2"), ()),
        ("project", None, (0.03, 1e8), ("lora", "gate"), (10,)),
        (["recover", "rollback"], None, (1e3, 0.03), ("tilt", "ewc"), (6, 14)),
    ],
    ids=str,
)
def test_no_stage_of_the_language_world_ends_above_its_cap(
    base: Path, enforce: Any, lora: Any, rates: tuple[float, ...], methods: tuple[str, ...], cuts: tuple[int, ...]
) -> None:
    toy = {"type": "python", "path": "tests.agent.worlds.language.toy:toy", "args": {"size": 8}}
    pairs = enumerate(zip(methods, rates, strict=True))
    config = tiny_stream(
        base,
        model={"model_name_or_path": str(base), "device": "cpu", "lora": lora},
        budget={
            "kl": 0.01,
            "every": 2,
            "num_prompts": 4,
            "max_completion_length": 6,
            "enforce": enforce,
            "allocation": "even",
            "prompts": "both" if "penalty" in enforce else "seen",
            "generic": str(base / "prompts.jsonl") if "recover" in enforce else None,
            "recover": {"max_steps": 2, "every": 1, "num_prompts": 4},
        },
        stages=[
            {"name": f"s{n}", "method": method, "task": toy, "train": {"learning_rate": rate, "max_steps": 4}}
            for n, (method, rate) in pairs
        ],
        benchmarks=[],
    )
    with in_memory() as folder:
        life = run_through_kills(lambda view: begun(config, folder / "run", view), cuts)
        record = record_of(folder / "run")
        held_again(life, record)
        # or the test would show nothing
        assert any(row.interventions for row in record.rows)
