"""What holds for every test: no time limits on single examples, since speed is the business of benchmarks."""

import os

from hypothesis import settings

settings.register_profile("perdure", deadline=None)
settings.load_profile("perdure")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
