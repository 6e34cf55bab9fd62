"""The exact tables and figures of docs/theory.md; `python -m docs.theory` computes them again.

bandit: policies and divergences; flows: update methods as differential equations; em: alternating projections; coins: a
restricted class of policies; states: several prompts at once; tables and figures: the contents of the page.
"""
