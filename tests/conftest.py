"""What holds for every test. No single example has a time limit: speed is the business of benchmarks.

Property tests draw the same examples each time; `HYPOTHESIS_PROFILE=explore` draws new ones.
"""

import os
import shutil
import signal
from pathlib import Path

from hypothesis import settings

settings.register_profile("perdure", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "perdure"))
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
MEMORY = Path("/dev/shm")  # runs sync every event, which takes the suite minutes on a disk
if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 2 << 30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell ignore it, and so would children
