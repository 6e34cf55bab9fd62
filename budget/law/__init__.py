"""The forgetting law: how forgetting follows from how far a policy moved. Arrays in, figures out."""
