"""lm-eval's tasks, scored in memory."""
