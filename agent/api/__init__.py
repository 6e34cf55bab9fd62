"""A run from Python: started, opened, and read as frames. What of it is public stands in `perdure.__all__`."""
