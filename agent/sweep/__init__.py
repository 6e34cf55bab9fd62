"""Sweeps: many runs at once, and one table of their results."""
