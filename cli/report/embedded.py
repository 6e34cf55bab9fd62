"""A film in a page: its pictures are in the page itself."""

from base64 import b64encode
from dataclasses import dataclass


@dataclass(frozen=True)
class EmbeddedFilm:
    """A GIF, the episode that it shows, and how each half ends."""

    gif: bytes
    title: str
    lines: tuple[str, str]

    @property
    def address(self) -> str:
        """A `data:` address."""
        return f"data:image/gif;base64,{b64encode(self.gif).decode()}"
