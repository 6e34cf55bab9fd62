"""Exports a policy of a run: checked, with a model card, whole or not at all; and uploads it."""
