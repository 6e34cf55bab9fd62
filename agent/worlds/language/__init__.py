"""The language world: causal language models of transformers."""
