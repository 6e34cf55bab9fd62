"""Observations as the inputs of an image-text-to-text model."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from perdure.agent.worlds.control.inputs import Inputs
from perdure.budget.errors import DataError
from perdure.curriculum.worlds.control.environments.contract import Observation


def encoded(processor: Any, prompt: str, observations: Sequence[Observation]) -> Inputs:
    """Images as the processor's pixels, prompts as its tokens: `Inputs.image` and `Inputs.words` (N, L, 1).

    Each row is encoded by itself, so that none is padded because of another.

    Raises:
        DataError: an observation has no image of three colours.
    """
    if not observations:
        return no_inputs()
    token = getattr(processor, "image_token", None)
    rows = [processor(**_asked(one, prompt, token), return_tensors="pt") for one in observations]
    pixels = torch.cat([row["pixel_values"] for row in rows]).float()
    return Inputs(torch.zeros(len(rows), 0), pixels, padded([row["input_ids"][0] for row in rows]))


def no_inputs() -> Inputs:
    """The inputs of no observations."""
    return Inputs(torch.zeros(0, 0), torch.zeros(0, 0, 0, 0), torch.zeros(0, 1, 1, dtype=torch.int64))


def padded(rows: Sequence[Tensor]) -> Tensor:
    """Tokens as `Inputs.words`: shape (N, L, 1), -1 behind the last."""
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=-1)[:, :, None]


def text_of(prompt: str, instruction: str, image_token: str | None) -> str:
    """The prompt of an instruction, with the image's token in front unless the prompt places it itself."""
    text = prompt.replace("{instruction}", instruction)
    return text if image_token is None or image_token in text else image_token + text


def pixels_of(observation: Observation) -> Any:
    """The image of an observation, (H, W, 3), uint8.

    Raises:
        DataError: it has none.
    """
    image = observation.image
    if image is None or image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8:
        shown = "no image" if image is None else f"an image of {image.shape}, {image.dtype}"
        raise DataError(
            f"a VLA needs an image of (height, width, 3) whole numbers from 0 to 255, and the environment shows "
            f"{shown}; give it one by a wrapper (`wrappers: [gymnasium.wrappers:AddRenderObservation]`)"
        )
    return image


def _asked(observation: Observation, prompt: str, token: str | None) -> dict[str, Any]:
    return {"images": [pixels_of(observation)], "text": [text_of(prompt, observation.instruction, token)]}
