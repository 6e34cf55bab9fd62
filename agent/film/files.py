"""Writes frames as a GIF, by pillow, or as an MP4, by ffmpeg; a file is there whole or not at all."""

from collections.abc import Sequence
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from perdure.budget.errors import ConfigError
from perdure.budget.files import atomic_path

HOLD = 1.5
"""Seconds for which the last frame stays."""


def refuse_kind(path: Path) -> None:
    """Refuse a file that cannot be written here.

    Raises:
        ConfigError: another ending than .gif and .mp4, a folder that is not there, or no ffmpeg for an MP4.
    """
    kind = path.suffix.lower()
    if kind not in (".gif", ".mp4"):
        raise ConfigError(f"--output {path}: a film is a .gif or an .mp4")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ConfigError(f"--output {path}: {'it is a folder' if path.is_dir() else 'its folder does not exist'}")
    if kind == ".mp4" and find_spec("imageio_ffmpeg") is None:
        raise ConfigError(
            f"--output {path}: an MP4 needs ffmpeg: pip install 'perdure[robots]' brings it; or write a .gif"
        )


def write_film(frames: Sequence[Image.Image], path: Path, fps: float) -> None:
    """Write frames, so many a second, atomically.

    Raises:
        OSError: the file cannot be written.
    """
    with atomic_path(path, durable=False) as partial:
        if path.suffix.lower() == ".mp4":
            _write_mp4(frames, partial, fps)
        else:
            _write_gif(frames, partial, fps)


def gif_bytes(frames: Sequence[Image.Image], fps: float) -> bytes:
    """Frames as a GIF, so many a second."""
    found = BytesIO()
    _write_gif(frames, found, fps)
    return found.getvalue()


def _write_gif(frames: Sequence[Image.Image], target: Path | BytesIO, fps: float) -> None:
    times = [round(1000 / fps)] * (len(frames) - 1) + [round(1000 * HOLD)]
    frames[0].save(target, "GIF", save_all=True, append_images=frames[1:], duration=times, loop=0)


def _write_mp4(frames: Sequence[Image.Image], path: Path, fps: float) -> None:
    from imageio_ffmpeg import write_frames

    held = [frames[-1]] * (max(1, round(HOLD * fps)) - 1)
    to = write_frames(path, frames[0].size, fps=fps, macro_block_size=2, output_params=["-f", "mp4"])
    to.send(None)
    try:
        for frame in (*frames, *held):
            to.send(np.asarray(frame))
    finally:
        to.close()
