"""The objectives and modifiers of the language world: one small module each."""
