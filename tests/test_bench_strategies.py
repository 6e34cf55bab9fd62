"""The bench of strategies: its arms are read as sweeps, and longer runs are longer in every section."""

from pathlib import Path

import pytest

from perdure.curriculum.sweeps.reader import read_sweep
from tests.bench.strategies import STREAMS, arms_of, file_of, freed, longer, scaled, sweep_of


@pytest.mark.parametrize("world", STREAMS)
def test_every_arm_of_a_world_can_be_run(tmp_path: Path, world: str) -> None:
    stream = STREAMS[world][-1]
    arms = {name: {"strategy": one, **freed(stream)} for name, one in arms_of(world).items()}
    (tmp_path / stream).mkdir()  # as of a sweep that was run before, at other seconds
    file = file_of(tmp_path, stream)
    file.parent.mkdir()
    file.write_text(sweep_of(stream, arms, [7]))
    cells = read_sweep(file).cells
    assert len(cells) == len(arms)
    assert all(stage.method is None for cell in cells for stage in cell.curriculum.stages)


def test_the_quicker_arm_gets_more_steps() -> None:
    rows = [
        {"method": arm, "life_seconds": seconds} for arm, seconds in (("race", 8.0), ("race", 12.0), ("rl_kl", 4.0))
    ]
    # the race took 10 seconds on average, 2.5 times as many as rl_kl
    assert longer("stream-rules", rows) == {
        "race": {"train.num_train_epochs": 2.0},
        "rl_kl": {"train.num_train_epochs": 5.0},
    }
    both = {"rl": {"max_steps": 60, "beta": 0.1}, "sft": {"learning_rate": 0.1}, "max_steps": 5}
    assert scaled(both, 1.5) == {"train.rl.max_steps": 90, "train.max_steps": 8}
