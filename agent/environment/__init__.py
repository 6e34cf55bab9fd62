"""The simulator as a gymnasium environment: `gymnasium.make("perdure.agent.environment:Stream-v0", curriculum=…)`.

Importing this module registers it and imports only gymnasium; making an environment imports torch.
"""

from gymnasium.envs.registration import register, registry

ID = "Stream-v0"

if ID not in registry:
    register(id=ID, entry_point="perdure.agent.environment.stream:Stream")
