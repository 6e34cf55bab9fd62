"""Measuring without leaving a trace: generator states and the model's mode are put back as they were."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


@contextmanager
def undisturbed(model: Any = None) -> Iterator[None]:
    """Restore the generator states of python, numpy and torch (CPU, CUDA), and the mode of every module of `model`.

    CUDA is left alone where it was not in use before.
    """
    import torch

    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None  # type: ignore[no-untyped-call]
    modes = [(module, module.training) for module in model.modules()] if model is not None else []
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)
        for module, training in modes:
            module.training = training
