"""The bandit of docs/theory.md, and the page as one line of text."""

import re

import numpy as np
from hypothesis import strategies as st

from docs.theory.bandit import SEVEN, projection
from docs.theory.page import PAGE

TEXT = re.sub(r"\s+", " ", PAGE.read_text(encoding="utf-8"))
QSTAR = projection(SEVEN.base_SK, SEVEN)
POLICIES = st.lists(st.floats(0.01, 1), min_size=7, max_size=7).map(lambda x: np.array([x]) / sum(x))
