"""Exports a policy of the control world: its weights, and the section of a curriculum that loads it."""

import json

from perdure.agent.export.contract import CardBase, Exported, Order, code, copy_policy
from perdure.agent.weights import digest, read_tensors
from perdure.budget.errors import RunError
from perdure.curriculum.worlds.control.model import ControlModel
from perdure.curriculum.worlds.control.saved import WEIGHTS
from perdure.curriculum.worlds.control.vla import TokenPolicy

USAGE = """
model:
  type: control
  path: .  # this folder, once it is downloaded
  policy: {policy}
  bins: {bins}
"""


def export_policy(order: Order) -> Exported:
    """See `ExportPolicy`. A VLA is not exported."""
    model = order.curriculum.model
    assert isinstance(model, ControlModel), "a curriculum of the control world"
    if isinstance(model.policy, TokenPolicy):
        raise RunError(
            "a vision-language-action model is not exported; the run has it as transformers and peft save it, in "
            f"{order.source}"
        )
    copy_policy(order)
    made = "made when the run began" if model.path is None else "loaded from a folder"
    return Exported(
        digest(read_tensors(order.target / WEIGHTS)),
        CardBase(f"{model.title}, {made}"),
        "finetune",
        "It is the base of a curriculum of perdure:\n\n"
        + code(USAGE.format(policy=json.dumps(model.policy.model_dump(mode="json")), bins=model.bins), "yaml"),
        tags=("robotics", "reinforcement-learning"),
        pipeline="robotics",
    )
