"""Faults that are tried against perdure, counted: `python -m tests.faults`. A small sample of each is in the suite."""
