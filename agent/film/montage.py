"""Draws both clips of a film side by side, with captions above."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from perdure.agent.film.clip import Clip, Picture
from perdure.agent.film.film import Film

HALF, SIZE, GAP = 240, 14, 8
"""The least width of a half, the height of the letters, and the room around them, in pixels."""
PAPER, INK, FAINT = (255, 255, 255), (20, 20, 20), (110, 110, 110)


def frames_of(film: Film) -> list[Image.Image]:
    """The frames, all of one size with even sides; the clip that ends first stays at its last picture."""
    count = max(len(film.before.pictures), len(film.after.pictures))
    titles = (f"{film.task}, {film.noun} {film.start}", "the base", f"after stage {film.stage}: {film.name}")
    return [_frame([_at(film.before, index), _at(film.after, index)], titles) for index in range(count)]


def _at(clip: Clip, index: int) -> tuple[Picture, str]:
    index = min(index, len(clip.pictures) - 1)
    return clip.pictures[index], clip.captions[index]


def _frame(halves: Sequence[tuple[Picture, str]], titles: Sequence[str]) -> Image.Image:
    pictures = [_enlarged(picture) for picture, _ in halves]
    width, height = (max(one.size[axis] for one in pictures) for axis in (0, 1))
    line = SIZE + GAP
    frame = Image.new("RGB", (_even(2 * width + 3 * GAP), _even(height + 3 * line + 2 * GAP)), PAPER)
    draw, font = ImageDraw.Draw(frame), ImageFont.load_default(SIZE)
    draw.text((GAP, GAP), fitted(titles[0], font, frame.width - 2 * GAP), INK, font)
    for index, (picture, (_, caption), title) in enumerate(zip(pictures, halves, titles[1:], strict=True)):
        left = GAP + index * (width + GAP)
        draw.text((left, GAP + line), fitted(title, font, width), INK, font)
        draw.text((left, GAP + 2 * line), fitted(caption, font, width), FAINT, font)
        top = GAP + 3 * line
        draw.rectangle((left - 1, top - 1, left + picture.width, top + picture.height), outline=FAINT)
        frame.paste(picture, (left, top))
    return frame


def _enlarged(picture: Picture) -> Image.Image:
    """The picture, by a whole factor where it is small."""
    factor = max(1, -(-HALF // picture.shape[1]))
    return Image.fromarray(np.ascontiguousarray(picture.repeat(factor, 0).repeat(factor, 1)))


def _even(length: int) -> int:
    return length + length % 2


def fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """The text, cut at its end where it is wider than so many pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."
