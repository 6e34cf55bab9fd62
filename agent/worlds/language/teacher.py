"""Teachers of the language world for `perdure demonstrate`: a model in memory, or an endpoint with OpenAI's API."""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from perdure.agent.demonstrate import Answer, Asked, Teacher
from perdure.agent.worlds.language.loading import load_policy
from perdure.budget.errors import ConfigError, ModelError
from perdure.curriculum.worlds.language.model import CausalModel

PROMPTS_AT_ONCE = 8


def make_teacher(
    config: CausalModel, model: str | None, endpoint: str | None, *, timeout: float, key: str | None
) -> Teacher:
    """A model by its folder or hub id, by default the curriculum's own, or one behind an endpoint.

    Raises:
        ConfigError: an endpoint without a model's name, or that is no http address.
        ModelError: the model cannot be loaded.
    """
    if endpoint is not None:
        if model is None:
            raise ConfigError("--endpoint needs --model, the name by which the endpoint knows the model")
        return Endpoint(endpoint, model, timeout, key)
    taken = {} if model is None else {"model_name_or_path": model, "revision": None}
    return Loaded(config.model_copy(update={"lora": None, **taken}))


class Loaded:
    """A model in memory."""

    batch_size = PROMPTS_AT_ONCE

    def __init__(self, config: CausalModel) -> None:
        self.name = config.title
        self._policy = load_policy(config, seed=0)

    def answers(self, prompts: Sequence[Any], asked: Asked, *, seed: int) -> list[list[Answer]]:
        """See `Teacher.answers`."""
        found = self._policy.respond(
            prompts,
            max_completion_length=asked.max_completion_length,
            batch_size=PROMPTS_AT_ONCE,
            temperature=asked.temperature,
            num_samples=asked.num_generations,
            seed=seed,
        )
        return [[Answer(text, {"role": "assistant", "content": text}) for text in texts] for texts in found]


class Endpoint:
    """A server with OpenAI's `/chat/completions`, or `/completions` for prompts of plain text."""

    batch_size = 1

    def __init__(self, url: str, model: str, timeout: float, key: str | None) -> None:
        if not url.startswith(("http://", "https://")):
            raise ConfigError(f"--endpoint {url!r} is no http address, such as http://localhost:8000/v1")
        self.name = f"{model} at {url}"
        self._url, self._model, self._timeout = url.rstrip("/"), model, timeout
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})

    def answers(self, prompts: Sequence[Any], asked: Asked, *, seed: int) -> list[list[Answer]]:
        """See `Teacher.answers`. A server that gives fewer choices than it is asked for is asked again."""
        return [self._of_one(prompt, asked, seed) for prompt in prompts]

    def _of_one(self, prompt: Any, asked: Asked, seed: int) -> list[Answer]:
        found: list[Answer] = []
        while len(found) < asked.num_generations:
            path, body = _question(prompt)
            body |= {"model": self._model, "temperature": asked.temperature, "seed": (seed + len(found)) % 2**31}
            body |= {"n": asked.num_generations - len(found), "max_tokens": asked.max_completion_length}
            found += self._choices(self._post(path, body))
        return found[: asked.num_generations]

    def _choices(self, reply: Any) -> list[Answer]:
        try:
            found = [_answer(choice) for choice in reply["choices"]]
        except (LookupError, TypeError, ValueError) as error:
            raise self._fault(f"its reply has no answers as OpenAI's API writes them ({error!r})") from None
        if not found:
            raise self._fault("its reply has no choices")
        return found

    def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        request = urllib.request.Request(f"{self._url}/{path}", json.dumps(body).encode(), self._headers)
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as reply:
                return json.loads(reply.read())
        except urllib.error.HTTPError as error:
            said = " ".join(error.read(400).decode(errors="replace").split())
            raise self._fault(f"it refused with {error.code} {error.reason}: {said}") from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            late = isinstance(reason, TimeoutError)
            raise self._fault(f"no answer in {self._timeout:g} s (--timeout)" if late else str(reason)) from None
        except ValueError:
            raise self._fault("its reply is no JSON") from None

    def _fault(self, what: str) -> ModelError:
        return ModelError(f"the endpoint {self._url}: {what}; what was accepted is kept: the same command goes on")


def _question(prompt: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(prompt, str):
        return "completions", {"prompt": prompt}
    first, *rest = prompt
    tools = {"tools": first["tools"]} if "tools" in first else {}
    turns = [{key: value for key, value in first.items() if key != "tools"}, *rest]
    return "chat/completions", {"messages": turns, **tools}


def _answer(choice: Mapping[str, Any]) -> Answer:
    """A choice of a reply; calls of tools are its text as Hermes writes them, for the reward, and data in its turn."""
    if "message" not in choice:
        text = str(choice["text"])
        return Answer(text, {"role": "assistant", "content": text})
    said = choice["message"].get("content") or ""
    calls = [_call(one["function"]) for one in choice["message"].get("tool_calls") or ()]
    turn = {"role": "assistant", "content": said} | ({"tool_calls": calls} if calls else {})
    tagged = (f"<tool_call>\n{json.dumps(one['function'], ensure_ascii=False)}\n</tool_call>" for one in calls)
    return Answer("\n".join([*([said] if said else []), *tagged]), turn)


def _call(function: Mapping[str, Any]) -> dict[str, Any]:
    arguments = function["arguments"]
    known = json.loads(arguments) if isinstance(arguments, str) else arguments
    return {"type": "function", "function": {"name": function["name"], "arguments": known}}
