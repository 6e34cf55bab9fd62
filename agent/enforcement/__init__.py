"""The enforcement of a stage's cap: while it trains, and where it ends above."""
