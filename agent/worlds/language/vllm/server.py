"""A vLLM server: it is asked for texts, and takes the policy's weights.

The protocol is that of vLLM's own server in its development mode, which TRL's client speaks too: `/v1/completions` in
token ids. Weights go by a file that both can read, `reload_weights` of `/collective_rpc`. Departure from TRL, which
sends them over NCCL: neither vllm nor a GPU is needed on this side, and the server outlives every stage and run.
"""

import http.client
import json
import math
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from perdure.agent.seeds import derive
from perdure.agent.weights import write_tensors
from perdure.agent.worlds.language.generation import up_to_end
from perdure.agent.worlds.language.turns import TokenIds
from perdure.agent.worlds.language.vllm.locks import hold
from perdure.agent.worlds.language.vllm.weights import served_weights
from perdure.budget.errors import ModelError
from perdure.curriculum.counting import count
from perdure.eval.unwrapped import unwrapped

AT_ONCE = 64
"""Questions asked at the same time, as TRL does; the server batches them."""
PATIENCE = 5.0
"""Seconds in which a server must say that it is up."""
PROBE_TOKENS = 16
OTHER = 0.1
"""Nats a token between the server's log-probabilities and the policy's that rounding does not explain."""
START = (
    "start it with: VLLM_SERVER_DEV_MODE=1 vllm serve MODEL --logprobs-mode processed_logprobs --max-model-len LENGTH"
)


@dataclass(frozen=True)
class Completion:
    """A completion in tokens, and the log-probability of each; `None`: it was not asked for."""

    ids: TokenIds
    logps: list[float] | None


class VllmServer:
    """A server by its address; `timeout`: seconds that one reply may take."""

    def __init__(self, url: str, timeout: float) -> None:
        self.url, self._timeout = url.rstrip("/"), timeout
        self._model = ""
        self.holds: str | None = None
        """The fingerprint of the policy whose weights it was given last."""

    def check(self) -> None:
        """Hold the server for this process, and see that it can do what is asked of it.

        Raises:
            ModelError: another process holds it; it is not up; its development mode is off.
        """
        self._see()
        hold(self.url)
        try:
            info = self._ask("server_info?config_format=json")
            config = info["vllm_config"]["model_config"]
            self._model = str(self._ask("v1/models")["data"][0]["id"])
        except (LookupError, TypeError) as error:
            raise self._fault(f"it does not describe itself as vLLM does ({error!r})") from None
        mode = config.get("logprobs_mode", "processed_logprobs")
        if mode != "processed_logprobs":
            raise self._fault(f"its --logprobs-mode is {mode}; {START}")

    def _see(self) -> None:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=min(PATIENCE, self._timeout)):
                return
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._fault(f"it is not up ({getattr(error, 'reason', error)}); {START}") from None

    def take(self, model: Any) -> None:
        """Give it the weights of a policy's model, an adapter merged into copies of its base's."""
        with tempfile.TemporaryDirectory(prefix="perdure-vllm-") as folder:
            write_tensors(served_weights(model), Path(folder) / "model.safetensors", {"format": "pt"})
            unwrapped(model).config.save_pretrained(folder)
            self._ask("collective_rpc", {"method": "reload_weights", "kwargs": {"weights_path": folder}})
        self._ask("reset_prefix_cache", {})

    @torch.no_grad()
    def refuse_other_weights(self, model: Any, prompt: TokenIds) -> None:
        """Compare the log-probabilities of a short text of the server's with the model's own.

        Raises:
            ModelError: they are further apart than rounding explains.
        """
        found = self.complete([prompt], [0], max_tokens=PROBE_TOKENS, temperature=1.0, ends=(), logps=True)[0]
        ids_1T = torch.tensor([prompt + found.ids], device=model.device)
        logits_TV = model(input_ids=ids_1T, use_cache=False).logits[0, len(prompt) - 1 : -1].float()
        own_T = logits_TV.log_softmax(-1).gather(-1, ids_1T[0, len(prompt) :, None])[:, 0].cpu()
        gap = float((own_T - torch.tensor(found.logps)).abs().mean())
        if not gap <= OTHER:
            raise self._fault(
                f"the log-probabilities of its own text are {gap:.2g} nats a token from the policy's: it serves "
                "another model, or did not take the weights (they go by a folder under TMPDIR, which it must read)"
            )

    def sample(
        self, policy: Any, prompts: Sequence[TokenIds], *, max_tokens: int, temperature: float, seed: int
    ) -> list[TokenIds]:
        """A completion of each prompt by the policy as it is now; see `LanguagePolicy.sample`."""
        now = policy.fingerprint()
        if self.holds != now:
            self.holds = None
            self.take(policy.model)
        with policy.inference_mode(), policy.autocast():
            self.refuse_other_weights(policy.model, prompts[0])
        self.holds = now
        seeds = [derive(seed, "row", index) for index in range(len(prompts))]
        ends = policy.end_tokens
        found = self.complete(prompts, seeds, max_tokens=max_tokens, temperature=temperature, ends=ends, counted=True)
        return [up_to_end(one.ids, ends) for one in found]

    def complete(
        self,
        prompts: Sequence[TokenIds],
        seeds: Sequence[int],
        *,
        max_tokens: int,
        temperature: float,
        ends: Sequence[int],
        logps: bool = False,
        counted: bool = False,
        more: Mapping[str, Any] | None = None,
    ) -> list[Completion]:
        """One completion a prompt; untruncated, unless `more` fields of the request say otherwise."""
        shared = {
            "model": self._model,
            "max_tokens": max_tokens,
            "temperature": temperature,
            "n": 1,
            "top_p": 1.0,
            "top_k": 0,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "logprobs": 0 if logps else None,
            "stop_token_ids": list(ends),
            "return_token_ids": True,
            "return_tokens_as_token_ids": True,
            **(more or {}),
        }

        def one(prompt: TokenIds, seed: int) -> Completion:
            reply = self._ask("v1/completions", shared | {"prompt": [prompt], "seed": seed})
            return self._read(reply, logps, max_tokens)

        with ThreadPoolExecutor(min(AT_ONCE, max(1, len(prompts)))) as pool:
            found = []
            for each in pool.map(one, prompts, seeds):
                found.append(each)
                if counted:
                    count()
            return found

    def _read(self, reply: Any, logps: bool, max_tokens: int) -> Completion:
        try:
            choice = reply["choices"][0]
            is_cut = choice.get("finish_reason") == "length"
            ids = [int(one) for one in choice["token_ids"]]
            known = (
                [math.nan if one is None else float(one) for one in choice["logprobs"]["token_logprobs"]]
                if logps
                else None
            )
        except (LookupError, TypeError, ValueError) as error:
            raise self._fault(f"its reply has no tokens as vLLM writes them ({error!r})") from None
        if not ids or (known is not None and len(known) != len(ids)):
            raise self._fault("its reply has no tokens, or not a log-probability for each")
        if is_cut and len(ids) < max_tokens:
            raise self._fault(
                f"it cut an answer after {len(ids)} of {max_tokens} tokens: its model's generation_config.json has a "
                "`max_new_tokens` (start it with --generation-config vllm), or its --max-model-len is too small"
            )
        return Completion(ids, known)

    def _ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The reply to a question; `None` where it is empty."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/{path}", data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as reply:
                said = reply.read()
            return json.loads(said) if said else None
        except urllib.error.HTTPError as error:
            hint = f"; {START}" if error.code == 404 else ""
            said = " ".join(error.read(400).decode(errors="replace").split())
            raise self._fault(f"it refused /{path} with {error.code} {error.reason}: {said}{hint}") from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            late = isinstance(reason, TimeoutError)
            raise self._fault(
                f"no answer in {self._timeout:g} s (vllm_server_timeout)" if late else str(reason)
            ) from None
        except ValueError:
            raise self._fault(f"its reply to /{path} is no JSON") from None

    def _fault(self, what: str) -> ModelError:
        return ModelError(f"the vLLM server {self.url}: {what}")
