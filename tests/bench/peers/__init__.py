"""The same stream by perdure and by its peers."""

from tests.bench.peers.race import measure

__all__ = ["measure"]
