"""The vision world: classifiers of images."""
