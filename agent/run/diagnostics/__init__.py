"""Diagnostics of a run: what its reader must know, in words, each by a rule over the run's record."""
