"""How a stage is held to its cap, and what becomes of one that ends above it."""
