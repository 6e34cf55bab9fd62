"""The figures of one run, and its page."""
