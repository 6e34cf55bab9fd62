"""The YAML file: read, checked against the schema, explained where it is wrong, sampled and documented."""
