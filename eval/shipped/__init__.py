"""Benchmarks that ship with perdure."""
