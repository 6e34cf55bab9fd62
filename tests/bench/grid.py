"""The paper's grid in the vision world: how long it takes, and what the stacked training makes of the machine."""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from torch.utils.flop_counter import FlopCounterMode

from perdure.agent.worlds.schedule import Plan, plan_for
from perdure.agent.worlds.vision.mlp import Params, member
from perdure.agent.worlds.vision.pretrain import base_seed, pretrain
from perdure.agent.worlds.vision.task_tensors import TaskTensors
from perdure.agent.worlds.vision.tensor_cache import tensors_of
from perdure.agent.worlds.vision.training import train
from perdure.curriculum.file.reader import read_curriculum
from perdure.curriculum.train import MethodSettings
from perdure.curriculum.worlds.build import build_task
from perdure.curriculum.worlds.registry import spec_of
from perdure.curriculum.worlds.vision.model import MlpModel
from perdure.curriculum.worlds.vision.spec import VisionSft
from tests.bench.figures import Figure, Options, Report, Series, Target, against, alone
from tests.bench.plain import train_one_by_one
from tests.bench.processes import perdure, run

RATES = tuple(10 ** (-5.5 + index / 4) for index in range(10))
STEPS, PAIRS = 100, 3
SQUARE = 1024
SFT, SETTINGS = spec_of("vision").method("sft"), VisionSft(max_steps=STEPS)


def measure(_: Options) -> Report:
    """The whole grid as a command; and ten cells of it by one thread, together and one by one."""
    figure, share = _stack()
    with TemporaryDirectory() as scratch:
        command = [perdure(), "sweep", "parity-mnist", "--plain", "--output-dir", Path(scratch) / "sweep"]
        seconds, _printed = run(command)
    whole = alone("`perdure sweep parity-mnist`, 300 cells", Series((seconds,), "s"), Target("at most", 600, "s"))
    note = (
        f"The second figure is {len(RATES)} cells of the arm sft-1, {STEPS} steps each, by one thread and without "
        "measuring, against a loop that trains the same networks one after another with `nn.Linear` and `AdamW`. The "
        f"stack reaches {share:.0%} of the rate at which this thread multiplies two matrices of {SQUARE} x {SQUARE}."
    )
    return Report((whole, figure), (note,))


def _stack() -> tuple[Figure, float]:
    """The figure, and the share of the matrix product's rate."""
    torch.set_num_threads(1)
    base, tensors, plans = _shared_data()
    assert tensors.choices_NC is not None
    labels_N = tensors.choices_NC.argmax(-1)
    weights, batch = member(base, 0), plans[0].batch_size
    together, apart = [], []
    for _ in range(PAIRS):
        together.append(_seconds(lambda: _train_stack(base, tensors, plans)))
        apart.append(_seconds(lambda: train_one_by_one(weights, tensors.inputs_NF, labels_N, RATES, STEPS, batch)))
    with FlopCounterMode(display=False) as counter:
        _train_stack(base, tensors, plans)
    rate = counter.get_total_flops() / median(together)
    series = Series(tuple(together), "s"), Series(tuple(apart), "s")
    figure = against("ten cells in a stack", *series, Target("at least", 1, "×"), inverse=True)
    return figure, rate / _matrix_product_rate()


def _shared_data() -> tuple[Params, TaskTensors, list[Plan]]:
    curriculum = read_curriculum("parity-mnist-task").curriculum
    model = curriculum.model
    assert isinstance(model, MlpModel)
    base = pretrain(model, base_seed(model, 0))
    tensors = tensors_of(build_task(curriculum.stages[0].task, name="parity", seed=0, model=model), base)
    plans = [
        plan_for(SFT, SETTINGS.model_copy(update={"learning_rate": rate}), len(tensors.inputs_NF)) for rate in RATES
    ]
    return base, tensors, plans


def _train_stack(base: Params, tensors: TaskTensors, plans: list[Plan]) -> None:
    stacked = {name: tensor.repeat(len(plans), *[1] * (tensor.dim() - 1)) for name, tensor in base.items()}
    train(stacked, tensors, SFT, MethodSettings(SETTINGS, {}), plans, list(range(len(plans))), lambda _: False)


def _matrix_product_rate() -> float:
    """Floating-point operations a second of one large product, by this thread."""
    one, other = torch.rand(SQUARE, SQUARE), torch.rand(SQUARE, SQUARE)
    return 2 * SQUARE**3 / median(_seconds(lambda: torch.mm(one, other)) for _ in range(9))


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
