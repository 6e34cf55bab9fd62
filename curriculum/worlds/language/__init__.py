"""The language world: causal language models."""
