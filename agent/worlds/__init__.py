"""The worlds: how the policy of each learns and is measured."""
