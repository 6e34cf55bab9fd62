"""Demonstrations: experts, and recorded episodes."""
