"""Steps that hold no whole groups of answers are refused when the file is read, as TRL refuses them later."""

from pathlib import Path

import pytest

from perdure.curriculum.file.faults import CurriculumError
from perdure.curriculum.file.reader import read_curriculum
from perdure.curriculum.sweeps.reader import read_sweep

FILE = """
model: {model_name_or_path: builtin:tiny}
budget: {kl: 1.0}
strategy: STRATEGY
train: {TRAIN}
stages:
  - {name: even, task: {type: python, path: "perdure.curriculum.worlds.language.skills:even_number", heldout: 20}}
"""
RL, SFT, RULE = "{type: fixed, method: rl}", "{type: fixed, method: sft}", "{type: rule}"


def written(folder: Path, strategy: str, train: str) -> Path:
    file = folder / "file.yaml"
    file.write_text(FILE.replace("STRATEGY", strategy).replace("TRAIN", train))
    return file


@pytest.mark.parametrize(
    ("strategy", "train", "answers"),
    [
        (RL, "", None),  # 8 prompts of 8 answers
        (RL, "per_device_train_batch_size: 16", None),  # 2 groups of 8
        (RL, "per_device_train_batch_size: 4", 4),
        (RL, "per_device_train_batch_size: 4, gradient_accumulation_steps: 6", None),  # 24 answers, 3 groups
        (RL, "per_device_train_batch_size: 4, gradient_accumulation_steps: 3", 12),
        (RL, "per_device_train_batch_size: 12, num_generations: 6", None),
        (RL, "per_device_train_batch_size: 4, trl: {generation_batch_size: 16}", None),  # left to TRL
        (SFT, "per_device_train_batch_size: 4", None),  # samples nothing
        (RULE, "per_device_train_batch_size: 4, rl: {num_generations: 4}", 4),  # `chord` may be chosen, too
    ],
)
def test_whole_groups(tmp_path: Path, strategy: str, train: str, answers: int | None) -> None:
    file = written(tmp_path, strategy, train)
    if answers is None:
        read_curriculum(file)
        return
    with pytest.raises(CurriculumError, match=f"samples {answers} answers a step .* num_generations: 8") as refused:
        read_curriculum(file)
    assert "stages[0].train" in str(refused.value) and ("`chord`" in str(refused.value)) == (strategy == RULE)


def test_a_sweep_refuses_the_cell_before_it_begins(tmp_path: Path) -> None:
    written(tmp_path, SFT, "per_device_train_batch_size: 4")
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text("curriculum: file.yaml\naxes: [{path: strategy.method, values: [sft, rl]}]\n")
    with pytest.raises(CurriculumError, match="`rl` samples 4 answers a step"):
        read_sweep(sweep)
