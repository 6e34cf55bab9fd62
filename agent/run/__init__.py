"""A run as a folder: its journal, the state that is read from it, and the lock."""
