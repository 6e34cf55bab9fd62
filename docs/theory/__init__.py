"""The theory, shown: the tables and figures of docs/theory.md, where every quantity is exact.

`python -m docs.theory` computes them again. bandit: policies and divergences; flows: update methods as differential
equations; em: alternating projections; coins: a class of policies that cannot express everything; states: several
prompts at once; tables and figures: what the page shows.
"""
