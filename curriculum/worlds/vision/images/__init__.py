"""The images of the vision world: a real subset that ships with the package, and how the whole sets are read."""
