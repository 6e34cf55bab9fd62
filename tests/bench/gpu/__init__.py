"""What only a GPU can tell: `make bench-gpu`."""
