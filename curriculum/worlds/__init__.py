"""The worlds: what a curriculum may say of each. Importing them imports no torch."""
