"""The vision world: small classifiers of images, where every divergence is exact."""
