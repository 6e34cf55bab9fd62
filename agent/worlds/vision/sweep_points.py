"""Trains the single-stage runs of a sweep together, as one stack.

A cell ends with the weights that `perdure run` would give it, bit for bit, unless it breaks: then a run goes back to
its last good state and a cell ends in NaN. Base, task, seeds and update are the same functions, and a run is a stack of
one. A cell has no run folder and no interventions, so only curricula whose monitor observes are
stacked, and none with `average`, which is done to a run.
"""

import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

from perdure.agent.seeds import derive
from perdure.agent.tasks import build_tasks, keep_apart
from perdure.agent.worlds.schedule import plan_for
from perdure.agent.worlds.vision.generic_probe import generic_images
from perdure.agent.worlds.vision.measures import Measures
from perdure.agent.worlds.vision.mlp import Params
from perdure.agent.worlds.vision.pretrain import base_id, base_seed, known_inputs, pretrain
from perdure.agent.worlds.vision.task_tensors import TaskTensors
from perdure.agent.worlds.vision.tensor_cache import eval_set_of, tensors_of
from perdure.agent.worlds.vision.training import StackStep, train
from perdure.agent.worlds.vision.world import choose_device
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.strategies import FixedStrategy
from perdure.curriculum.task import Task
from perdure.curriculum.train import MethodSettings, settings_for
from perdure.curriculum.worlds.build import check_learnable
from perdure.curriculum.worlds.methods import Method
from perdure.curriculum.worlds.vision.images.observation import inputs_of_observations
from perdure.curriculum.worlds.vision.model import MlpModel
from perdure.eval.benchmarks import HeldoutItems, prepare_benchmarks

CellRow = dict[str, float | int | str | bool]

PER_MODEL_SETTINGS = {"learning_rate", "lr_scheduler_type", "warmup_steps"}
"""The train settings in which the models of one stack may differ."""

GENERIC_IMAGES = 200
"""Images of the generic probe on which cells are measured."""


def stack_key(curriculum: Curriculum) -> Hashable | None:
    """Cells with equal keys can be trained together; `None`: the cell needs a run of its own."""
    method = _method(curriculum)
    if not isinstance(curriculum.model, MlpModel) or method is None or len(curriculum.stages) > 1:
        return None
    if curriculum.budget.enforced != ("observe",) or method.has("average"):
        return None
    settings = _settings(curriculum, method)
    objective = settings.objective.model_dump(mode="json", exclude=PER_MODEL_SETTINGS)
    modifiers = {name: one.model_dump(mode="json") for name, one in settings.modifiers.items()}
    return json.dumps([method.name, objective, modifiers, _shared_key(curriculum)], sort_keys=True)


def train_cells(curricula: Sequence[Curriculum], checkpoints: int, *, changes: bool = True) -> list[list[CellRow]]:
    """Train the cells, which share a `stack_key`, and measure each at `checkpoints` evenly spaced steps.

    Without `changes` those of weights and activations are left out. Rows are in the order of the steps, the last at the
    end of the update. A model that became NaN has rows with NaN.

    Raises:
        PerdureError: the data or the settings; it is true of all cells.
    """
    first = curricula[0]
    method = _method(first)
    assert method is not None and isinstance(first.model, MlpModel)
    torch.set_num_threads(first.model.threads if isinstance(first.model.threads, int) else 1)
    material = _shared_data(_shared_key(first))
    check_learnable(material.task, method, first.spec)
    plans = [plan_for(method, _settings(one, method).objective, len(material.tensors.inputs_NF)) for one in curricula]
    stacked = {name: tensor.repeat(len(plans), *[1] * (tensor.dim() - 1)) for name, tensor in material.base.items()}
    due = {max(1, round(plans[0].steps * number / checkpoints)) for number in range(1, checkpoints + 1)}
    rows: list[list[CellRow]] = [[] for _ in curricula]

    def after_step(step: StackStep) -> bool:
        if step.number in due:
            about: CellRow = {"stage": 1, "task": first.stages[0].name, "step": step.number, "steps": step.steps}
            for mine, figures in zip(rows, material.measures.take(stacked, changes=changes), strict=True):
                mine.append({**about, "final": step.number == step.steps, **figures})
        return False

    seeds = [derive(one.seed, "update", one.stages[0].name) for one in curricula]
    train(stacked, material.tensors, method, _settings(first, method), plans, seeds, after_step, looked_at=due)
    return rows


def world_metadata(curriculum: Curriculum) -> dict[str, Any]:
    """The metadata of the results of a sweep of such cells."""
    assert isinstance(curriculum.model, MlpModel)
    return {
        "world": "vision",
        "base_id": base_id(curriculum.model),
        "unit": "token",
        "prompts": "task",
        "benchmarks": [one.title for one in curriculum.benchmarks],
        "benchmark_fingerprints": _shared_data(_shared_key(curriculum)).fingerprints,
        "model": curriculum.model.title,
    }


@dataclass(frozen=True)
class _SharedData:
    """The parts that cells share: the base (a stack of one), the tensors, and what they are measured against."""

    base: Params
    task: Task
    fingerprints: dict[str, str]
    tensors: TaskTensors
    measures: Measures


def _shared_key(curriculum: Curriculum) -> str:
    """Everything that base, task and benchmarks depend on, as JSON: the curriculum without its train settings."""
    stages = [one.model_copy(update={"train": type(one.train)(), "method": None}) for one in curriculum.stages]
    bare = curriculum.model_copy(update={"train": type(curriculum.train)(), "stages": stages})
    return bare.model_dump_json(exclude={"strategy", "budget"})


@lru_cache(maxsize=4)  # as many bases as a sweep has in hand at a time (agent/sweep/stacks.py)
def _shared_data(key: str) -> _SharedData:
    given = json.loads(key) | {"strategy": {"type": "fixed", "method": "rl"}, "budget": {"kl": 1.0}}
    curriculum = Curriculum.model_validate(given)
    model = curriculum.model
    assert isinstance(model, MlpModel)
    device = choose_device(model.device)
    base = {name: tensor.to(device) for name, tensor in pretrain(model, base_seed(model, curriculum.seed)).items()}
    prepared = prepare_benchmarks(curriculum.benchmarks, seed=curriculum.seed, model=model)
    (task,) = keep_apart(curriculum, build_tasks(curriculum), prepared)
    benchmarks = [eval_set_of(one.task, device) for one in prepared.benchmarks if isinstance(one, HeldoutItems)]
    new, known_NF = eval_set_of(task, device), known_inputs(model).to(device)
    generic = generic_images(GENERIC_IMAGES, curriculum.seed)
    generic_NF = torch.from_numpy(inputs_of_observations(generic)).to(device)
    measures = Measures(base, new, benchmarks, known_NF, generic_NF, curriculum.evaluation.temperature)
    return _SharedData(base, task, prepared.fingerprints, tensors_of(task, base, known_NF), measures)


def _method(curriculum: Curriculum) -> Method | None:
    name = curriculum.stages[0].method
    if name is None and isinstance(curriculum.strategy, FixedStrategy):
        name = curriculum.strategy.method
    return None if name is None else curriculum.method(name)


def _settings(curriculum: Curriculum, method: Method) -> MethodSettings:
    return settings_for(method, curriculum.train, curriculum.stages[0].train)
