"""A killed update that is resumed ends as one that was never disturbed, by every method and under a penalty."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from perdure.agent.worlds.contract import Outcome
from perdure.budget.config import PenaltyConfig
from perdure.budget.penalty import Controller
from tests.agent.worlds.language.runs import Killed, Run, based, loader, small
from tests.agent.worlds.language.tiny_world import BASE_GROUPS, TinyPolicy, tiny_lora_policy, tiny_policy, with_base
from tests.agent.worlds.language.toy import toy_task

WINDOWS = {"trl": {"steps_per_generation": 2}}
# Left out: recipes that are `sft` or `rl` with other settings, to the bit (`test_methods_combinations.py`), and
# combinations whose parts are all in a larger one below.
RESUMES: list[tuple[str, dict[str, Any], int, Callable[[], TinyPolicy]]] = [
    ("sft", {"save_steps": 2}, 5, tiny_policy),  # from 4, the end of a pass
    ("sft", {"save_steps": 3}, 5, tiny_lora_policy),  # from 3, inside the second pass
    ("rl", {"save_steps": 3}, 5, tiny_policy),  # from 3, inside the first pass
    # From 10, inside the second pass; the samples of 11 are used up by 12.
    ("rl", {"save_steps": 3, "max_steps": 12} | WINDOWS, 12, tiny_lora_policy),
    ("rl", {"save_steps": 3, "trl": {"num_iterations": 2}}, 6, tiny_policy),  # from 4: 5 has used its samples once
    ("chord", {"save_steps": 3, "gradient_accumulation_steps": 2}, 5, tiny_policy),
    ("sft_kl", {"save_steps": 3, "gradient_accumulation_steps": 2}, 5, tiny_policy),
    ("ewc", {"save_steps": 3}, 5, tiny_lora_policy),
    ("ewc", {"save_steps": 2}, 5, tiny_policy),
    ("l2", {"save_steps": 3}, 5, tiny_policy),
    ("lora", {"save_steps": 3}, 5, tiny_policy),
    ("rl+replay", {"save_steps": 3}, 5, tiny_policy),
    ("sft+replay+kl", {"save_steps": 3}, 5, tiny_policy),
    ("rl+ewc", {"save_steps": 3} | WINDOWS, 6, tiny_lora_policy),
    ("rl+low_rank", {"save_steps": 3}, 5, tiny_policy),
]
PENALISED: list[tuple[str, dict[str, Any], int, Callable[[], TinyPolicy]]] = [
    ("tilt", {"save_steps": 3}, 5, tiny_lora_policy),
    ("tilt", {"save_steps": 1, "tilt": {"samples_from": "base"}} | WINDOWS, 6, tiny_policy),
    ("gate", {"save_steps": 3, "gradient_accumulation_steps": 2}, 5, tiny_policy),
    ("gate", {"save_steps": 1} | WINDOWS, 6, tiny_lora_policy),
    ("sdft", {"save_steps": 3}, 5, tiny_policy),
    ("sdft", {"save_steps": 2, "trl": {"num_iterations": 2}}, 6, tiny_lora_policy),
    ("rl_kl", {"save_steps": 3}, 5, tiny_lora_policy),
    ("tilt+replay", {"save_steps": 3}, 5, tiny_policy),
    ("chord+replay+kl", {"save_steps": 3}, 5, tiny_policy),
]
CASES = [(*case, False) for case in RESUMES] + [(*case, True) for case in PENALISED]


@pytest.mark.parametrize(
    ("name", "more", "step", "make", "penalised"), CASES, ids=lambda value: getattr(value, "__name__", str(value))
)
def test_resumed_equals_undisturbed(
    name: str, more: dict[str, Any], step: int, make: Callable[[], TinyPolicy], penalised: bool, tmp_path: Path
) -> None:
    settings = small(name, **({"max_steps": 7 if penalised else 8} | more))
    steps = settings.objective.max_steps or 0
    based(tmp_path / "base")

    def start(folder: str) -> Run:
        policy = with_base(make())
        beside = TinyPolicy(policy.model, policy.tokenizer, policy.base, loader(tmp_path / "base"))
        controller = Controller(PenaltyConfig(weight=1.0, rate=1.0, num_prompts=4), 0.01) if penalised else None
        earlier = (replace(toy_task(6), name="old"),)
        return Run(beside, tmp_path / folder, earlier=earlier, texts=BASE_GROUPS, controller=controller)

    whole = start("whole")
    assert whole.update(name, settings) == Outcome(steps, "completed")
    killed = start("killed")
    with pytest.raises(Killed):
        killed.update(name, settings, at=lambda now: now == step, error=Killed())
    resumed = start("killed")
    torch.manual_seed(99)
    resumed.update(name, settings)
    first = resumed.seen[0].step - 1
    assert 0 < first < step
    assert killed.seen == whole.seen[:step]
    assert resumed.seen == whole.seen[first:]
    assert resumed.digests == whole.digests[first:]
    again = start("killed")
    assert again.update(name, settings) == Outcome(steps, "completed")
    assert again.seen == []  # the last step's checkpoint: nothing is trained twice
    assert again.digest == whole.digest
    if penalised:
        weights = [run.more["controller"].weight for run in (whole, resumed, again)]
        assert weights[0] == weights[1] == weights[2] != 1.0
