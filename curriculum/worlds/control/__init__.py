"""The control world in a curriculum: robots and games as gymnasium environments."""
