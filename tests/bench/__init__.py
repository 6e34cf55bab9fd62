"""What perdure costs, in figures whose two sides come from the same run: `python -m tests.bench [NAME …]`."""
