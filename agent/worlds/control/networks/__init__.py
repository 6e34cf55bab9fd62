"""The networks of the control world."""
