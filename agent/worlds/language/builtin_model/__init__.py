"""The model `builtin:tiny`, and how it was trained."""
