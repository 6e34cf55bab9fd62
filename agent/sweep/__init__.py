"""Many lives at once: cells of a sweep, how they are carried out, and the one table that they end in."""
