"""Seeds derived from the curriculum's seed by name, independent of order."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256


def derive(seed: int, *labels: str | int) -> int:
    """A seed below 2**31 for one purpose, such as `derive(0, "stage", 2)`."""
    text = "/".join(map(str, (seed, *labels)))
    return int.from_bytes(sha256(text.encode()).digest()[:4], "big") >> 1


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch inside, and restore its generators afterwards."""
    import torch

    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
