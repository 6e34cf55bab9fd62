"""Scores lm-eval's tasks in memory."""
