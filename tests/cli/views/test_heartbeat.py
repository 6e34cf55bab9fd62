"""A sign of life when nothing else is said."""

import threading

from perdure.cli.views.heartbeat import Heartbeat


def test_it_beats_once_nothing_was_said_for_so_long() -> None:
    now, beats = [0.0], []
    heartbeat = Heartbeat(lambda: beats.append(now[0]), 30.0, lambda: now[0])
    now[0] = 20
    assert (heartbeat.wait(), beats) == (10, [])
    heartbeat.said()
    now[0] = 49
    assert (heartbeat.wait(), beats) == (1, [])
    now[0] = 50
    assert (heartbeat.wait(), beats) == (30, [50])
    now[0] = 79
    assert (heartbeat.wait(), beats) == (1, [50])


def test_its_thread_beats_and_ends() -> None:
    beaten, before = threading.Event(), threading.active_count()
    with Heartbeat(beaten.set, 0.001):
        assert beaten.wait(60)
    assert threading.active_count() == before
