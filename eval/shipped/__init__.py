"""The benchmarks that ship with perdure."""
