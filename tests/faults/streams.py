"""Random streams of tasks, killed and resumed: no stage ends above its cap, in the world of one number."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings

from tests.agent.enforcement.test_guarantee import HOLDING, Stream, held_again, run_through_kills, streams
from tests.agent.scalar_run import Always, in_memory, record_of, scalar_run
from tests.faults.totals import Totals, count

STREAMS = 200


def run(limit: int | None) -> Totals:
    """As many streams of each way to hold the cap; the same ones every time."""
    return count(_lost(stream) for stream in _drawn(STREAMS if limit is None else limit))


def _drawn(number: int) -> Iterator[Stream]:
    each = -(-number // len(HOLDING))
    return islice((stream for enforce in HOLDING for stream in _of(enforce, each)), number)


def _of(enforce: Any, number: int) -> list[Stream]:
    found: list[Stream] = []

    @settings(
        deadline=None,
        max_examples=number,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(streams(enforce))
    def draw(stream: Stream) -> None:
        found.append(stream)

    draw()
    return found


def _lost(stream: Stream) -> str | None:
    try:
        with in_memory() as folder:
            path, always = folder / "run", Always(share=stream.share)
            life = run_through_kills(
                lambda view: scalar_run(path, stream.config, stream.world, view, always), stream.cuts
            )
            held_again(life, record_of(path))
    except Exception as error:
        return f"{stream}: {error!r}"
    return None
