"""Runs code that a model wrote, in a process that the operating system keeps apart."""
