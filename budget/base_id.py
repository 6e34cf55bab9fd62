"""The identity of a base: a hash; before it the settings that KL depends on, as in `bins 21, action_repeat 5: 3f2a…`.

Of a language model these are its precision, unless that is float32 throughout.

Figures of KL are compared only where they are of the same base, so only at the same settings.
"""

DIGITS = 12

PLAIN = "float32 throughout"
"""In messages, where an identity has no settings."""


def kl_settings(base_id: str) -> str:
    """`bins 21, action_repeat 5`; empty where there is only a hash."""
    return base_id.rpartition(": ")[0]


def with_settings(settings: str, digest: str) -> str:
    """The identity of a base at these settings, which may be empty."""
    return f"{settings}: {digest}" if settings else digest


def weights_of(base_id: str) -> str:
    """The hash alone."""
    return base_id.rpartition(": ")[2]


def at_settings(base_id: str) -> str:
    """` at bins 21, action_repeat 5`, to be put behind a unit of KL; empty where there is only a hash."""
    settings = kl_settings(base_id)
    return f" at {settings}" if settings else ""


def short_id(base_id: str) -> str:
    """The settings, and the first digits of the hash."""
    settings, between, digest = base_id.rpartition(": ")
    return settings + between + digest[:DIGITS]
