"""Actions as tokens, by hand and as OpenVLA has them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from perdure.budget.errors import ConfigError, ModelError
from perdure.curriculum.worlds.control.actions import NoActionError
from perdure.curriculum.worlds.control.model import ControlModel
from perdure.curriculum.worlds.control.token_actions import TokenActions, token_actions
from perdure.curriculum.worlds.control.vla import Vla

BOX = spaces.Box(-1, 1, (2,), np.float64)
OPENVLA = {"text_config": {"model_type": "llama", "vocab_size": 32064}, "pad_to_multiple_of": 64, "n_action_bins": 256}
STATISTICS = {"fractal": {"action": {"q01": [-2.0, 0.0], "q99": [6.0, 1.0], "mask": [True, False]}}}


def actions_of(folder: Path, config: dict[str, Any], bins: int = 256, **policy: Any) -> TokenActions:
    (folder / "config.json").write_text(json.dumps(config))
    vla = Vla(type="vla", model_name_or_path=str(folder), **policy)
    return token_actions(vla, bins, BOX, "task 'x'")


def test_openvlas_tokens_are_the_last_256_of_its_vocabulary_and_the_last_two_share_a_centre(tmp_path: Path) -> None:
    actions = actions_of(tmp_path, OPENVLA)
    assert actions.sizes == (32064, 32064)
    assert actions.tokens[0] == 31999 and actions.tokens[-1] == 31744
    lowest, highest = actions.decode(np.array([31999, 31745]))
    assert lowest == pytest.approx(-1 + 1 / 255) and highest == pytest.approx(1 - 1 / 255)
    assert actions.decode(np.array([31744, 31744])) == pytest.approx([highest, highest])
    assert actions.encode([-1.0, 1.0]).tolist() == [31999, 31744]
    assert actions.encode([0.0, 0.9999]).tolist() == [31999 - 127, 31745]


def test_a_tokens_action_is_encoded_as_that_token(tmp_path: Path) -> None:
    actions = actions_of(tmp_path, OPENVLA | {"norm_stats": STATISTICS})
    for token in actions.tokens[:-1]:
        assert actions.encode(actions.decode(np.array([token, token]))).tolist() == [token, token]


def test_statistics_scale_what_the_mask_says(tmp_path: Path) -> None:
    actions = actions_of(tmp_path, OPENVLA | {"norm_stats": STATISTICS})
    scaled, left = actions.decode(np.array([31999 - 127, 31999 - 127]))  # the middle bin of 255, whose centre is 0
    assert scaled == pytest.approx(2.0) and left == pytest.approx(0.0)
    assert actions.encode([99.0, -99.0]).tolist() == [31744, 31999]


def test_the_file_of_statistics_comes_before_the_configuration(tmp_path: Path) -> None:
    own = {"mine": {"action": {"q01": [0, 0], "q99": [1, 1]}}}
    (tmp_path / "dataset_statistics.json").write_text(json.dumps(own))
    actions = actions_of(tmp_path, OPENVLA | {"norm_stats": STATISTICS})
    assert actions.low.tolist() == [0, 0] and actions.scaled.all()


def test_a_token_that_is_no_action_is_told(tmp_path: Path) -> None:
    actions = actions_of(tmp_path, OPENVLA)
    with pytest.raises(NoActionError, match=r"no action token in dimension 2"):
        actions.decode(np.array([31999, 7]))


@pytest.mark.parametrize(
    ("config", "policy", "message"),
    [
        (
            {"norm_stats": STATISTICS | {"bridge": STATISTICS["fractal"]}},
            {},
            "name one of them: bridge, fractal",
        ),
        ({"norm_stats": STATISTICS}, {"unnorm_key": "fractl"}, "no 'fractl'.*fractal"),
        ({}, {"unnorm_key": "fractal"}, "has no statistics of actions"),
        ({"norm_stats": {"a": {"action": {"q01": [0], "q99": [1]}}}}, {}, "2 numbers, and the statistics of 'a' 1"),
        ({"n_action_bins": 100}, {}, "100 bins"),
        ({"image_token_id": 31800}, {}, "31800 is the token of images"),
        ({}, {"action_tokens": [1, 2, 3]}, "3 different tokens for 256 `bins`"),
        ({"model_type": "pi0"}, {}, "continuous head"),
        ({"text_config": {"model_type": "other"}}, {}, "no text_config.vocab_size"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, config: Any, policy: Any, message: str) -> None:
    with pytest.raises((ConfigError, ModelError), match=message):
        actions_of(tmp_path, OPENVLA | config, **policy)


def test_a_checkpoint_that_is_not_here_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="neither a folder"):
        token_actions(Vla(type="vla", model_name_or_path=str(tmp_path / "none")), 256, BOX, "x")


def test_a_vla_has_256_bins_and_no_other_base() -> None:
    vla = {"type": "vla", "model_name_or_path": "x"}
    assert ControlModel.model_validate({"type": "control", "policy": vla}).bins == 256
    with pytest.raises(ValueError, match="base is its checkpoint"):
        ControlModel.model_validate({"type": "control", "policy": vla, "path": "y"})
    with pytest.raises(ValueError, match="without dropout"):
        Vla(type="vla", model_name_or_path="x", lora={"lora_dropout": 0.1})
