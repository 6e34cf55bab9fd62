"""The simulator as an environment of gymnasium: `gymnasium.make("perdure.agent.environment:Stream-v0", curriculum=…)`.

Importing this registers it, and imports nothing but gymnasium: torch comes when an environment is made.
"""

from gymnasium.envs.registration import register, registry

ID = "Stream-v0"


def register_stream() -> None:
    """Put the environment into gymnasium's registry; nothing where it is there."""
    if ID not in registry:
        register(id=ID, entry_point="perdure.agent.environment.stream:Stream")


register_stream()
