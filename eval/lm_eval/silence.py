"""Keeps lm-eval and `datasets` quiet."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout


@contextmanager
def quiet_logs() -> Iterator[None]:
    """Suppress log lines, warnings and `datasets` progress bars, but not the streams, which a live view may use."""
    import datasets

    before, bars = logging.root.manager.disable, datasets.are_progress_bars_disabled()
    logging.disable(logging.CRITICAL)
    datasets.disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
        if not bars:
            datasets.enable_progress_bars()


@contextmanager
def silence() -> Iterator[None]:
    """Suppress all output, also on stdout and stderr: for short moments, or before a live view starts."""
    with quiet_logs(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield
