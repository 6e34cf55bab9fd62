"""Exports a network of the vision world: its weights, its sizes, and a few lines of torch that load it."""

from perdure.agent.export.contract import CardBase, Exported, Order, code, copy_policy, folder_of
from perdure.agent.weights import digest, read_tensors
from perdure.agent.worlds.vision.policy import WEIGHTS

USAGE = """
import torch
from safetensors.torch import load_file

{folder}
weights = load_file(f"{{folder}}/model.safetensors")


def logits(inputs):
    \"\"\"Inputs (N, 785): the pixels, row by row, from 0 to 1; then 1 for digits, -1 for clothes. Logits (N, 10).\"\"\"
    last = len(weights) // 2 - 1
    for layer in range(last + 1):
        inputs = inputs @ weights[f"{{layer}}.weight"] + weights[f"{{layer}}.bias"]
        inputs = inputs if layer == last else torch.relu(inputs)
    return inputs
"""


def export_policy(order: Order) -> Exported:
    """See `ExportPolicy`. There is no adapter here, and the base was made by the run."""
    copy_policy(order)
    return Exported(
        digest(read_tensors(order.target / WEIGHTS)),
        CardBase(f"{order.curriculum.model.title}, made when the run began"),
        "finetune",
        code(USAGE.format(folder=folder_of(order.name))),
        tags=("image-classification",),
        pipeline="image-classification",
    )
