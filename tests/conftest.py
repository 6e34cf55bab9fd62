"""What holds for every test. No single example has a time limit: speed is the business of benchmarks."""

import os
import signal

from hypothesis import settings

settings.register_profile("perdure", deadline=None)
settings.load_profile("perdure")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell ignore it, and so would children
