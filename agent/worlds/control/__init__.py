"""The control world: policies of robots and games, with exact distributions over their actions."""
