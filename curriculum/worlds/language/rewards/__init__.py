"""Rewards: by name, and to and from the signature of TRL."""
