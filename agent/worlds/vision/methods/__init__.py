"""The update methods of the vision world: one small module each."""
