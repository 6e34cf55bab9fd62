"""Environments behind one contract: gymnasium's own, and those that need more care."""
