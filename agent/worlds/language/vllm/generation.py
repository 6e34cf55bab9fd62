"""A vLLM server as the sampler of a TRL trainer."""

from typing import Any

import torch

from perdure.agent.worlds.language.trl.trainer import NonFiniteLogitsError
from perdure.agent.worlds.language.turns import TokenIds
from perdure.agent.worlds.language.vllm.settings import server_of


class ServerGeneration:
    """What TRL's trainer asks of `VLLMGeneration`, by perdure's client.

    Each row is a question with a seed of its own, drawn from torch's generator, whose state a checkpoint keeps: a
    resumed update asks as one that was not stopped would.
    """

    def __init__(self, trainer: Any, config: Any) -> None:
        self._trainer, self._config, self._server = trainer, config, server_of(config)
        self._server.check()
        self._is_checked = False

    def sync_weights(self) -> None:
        """Give the server the policy's weights; the main process does it for all.

        Raises:
            NonFiniteLogitsError: weights are NaN or infinite.
        """
        model, accelerator = self._trainer.model, self._trainer.accelerator
        trained = (one for one in model.parameters() if one.requires_grad)
        if not all(bool(torch.isfinite(one).all()) for one in trained):
            raise NonFiniteLogitsError("the policy's weights are not finite")
        if accelerator.is_main_process:
            self._server.take(model)
        self._is_checked = False
        accelerator.wait_for_everyone()

    def generate(self, prompts: list[TokenIds], images: Any, num_generations: int, profiler: Any = None) -> Any:
        """A completion a prompt: the prompts' ids, the completions', the log-probability of each token, and `None`."""
        config = self._config
        if not self._is_checked:
            with self._trainer.accelerator.autocast():
                self._server.refuse_other_weights(self._trainer.model, prompts[0])
            self._is_checked = True
        seed = int(torch.randint(2**31 - len(prompts), ()))
        found = self._server.complete(
            prompts,
            [seed + row for row in range(len(prompts))],
            max_tokens=config.max_completion_length,
            temperature=config.temperature,
            ends=self._trainer.eos_token_ids,
            logps=True,
            more={
                "top_p": config.top_p,
                "top_k": config.top_k,
                "min_p": config.min_p or 0.0,
                "repetition_penalty": config.repetition_penalty,
                **(config.generation_kwargs or {}),
            },
        )
        logps = [[[value] for value in one.logps or ()] for one in found]
        return prompts, [one.ids for one in found], logps, None


def sample_by_server(trainer: Any, config: Any) -> None:
    """Let a trainer that was built without vLLM sample by the server of its config."""
    trainer.use_vllm, trainer.vllm_generation = True, ServerGeneration(trainer, config)
    trainer._last_loaded_step = -1
