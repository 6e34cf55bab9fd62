"""A stream of tasks of digits by Avalanche: plain finetuning as its examples have it. None of perdure is imported here.

As a script, `PYTHON avalanche_stream.py JOB.npz`, run by the Python of Avalanche's own environment; it prints one JSON
object: the accuracies on all tasks after each.
"""

import json
import sys
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from avalanche.benchmarks import benchmark_from_datasets
from avalanche.benchmarks.utils import as_classification_dataset
from avalanche.evaluation.metrics import accuracy_metrics
from avalanche.training.plugins import EvaluationPlugin
from avalanche.training.supervised import Naive
from torch import nn
from torch.utils.data import TensorDataset


def main() -> None:
    """Run the stream that a file describes."""
    torch.set_num_threads(1)
    job = np.load(sys.argv[1])
    settings = json.loads(str(job["settings"]))
    streams = {
        part: [_dataset(job, part, number) for number in range(settings["stages"])] for part in ("train", "heldout")
    }
    benchmark = benchmark_from_datasets(**streams)
    model = _network(settings["sizes"])
    strategy = Naive(
        model=model,
        optimizer=torch.optim.AdamW(model.parameters(), lr=settings["learning_rate"], weight_decay=0.0),
        criterion=nn.CrossEntropyLoss(),
        train_mb_size=settings["batch"],
        train_epochs=settings["epochs"],
        eval_mb_size=settings["evaluated_at_once"],
        evaluator=EvaluationPlugin(accuracy_metrics(experience=True)),
    )
    cards = [_accuracies(strategy.eval(benchmark.heldout_stream))]
    for number, experience in enumerate(benchmark.train_stream, 1):
        strategy.train(experience)
        torch.save(model.state_dict(), f"{settings['folder']}/{number}.pt")
        cards.append(_accuracies(strategy.eval(benchmark.heldout_stream)))
    print(json.dumps(cards))


def _dataset(job: Any, part: str, number: int) -> Any:
    inputs, labels = (torch.from_numpy(job[f"{part}-{number}-{name}"]) for name in ("inputs", "labels"))
    dataset = TensorDataset(inputs, labels)
    dataset.targets = labels.tolist()
    return as_classification_dataset(dataset)


def _network(sizes: list[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _accuracies(found: dict[str, Any]) -> list[float]:
    return [float(value) for name, value in sorted(found.items()) if name.startswith("Top1_Acc_Exp")]


if __name__ == "__main__":
    main()
