"""The plan of a run before it starts: KL, time, disk and memory."""
