"""The update methods of the control world, one module each."""
