"""The objectives and modifiers of the vision world: one small module each."""
