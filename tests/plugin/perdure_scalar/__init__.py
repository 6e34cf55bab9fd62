"""A world of somebody else's: one package, found by entry points."""
