"""A small server that speaks vLLM's protocol, as far as perdure asks it, and generates with a model of transformers."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from time import sleep
from typing import Any

import torch
from safetensors.torch import load_file


class StandIn(ThreadingHTTPServer):
    """Serves `model`, which takes the weights that it is given; `asked` are the paths and bodies of all questions.

    With `deaf` it says that it took weights, and did not; `slow`: seconds before each completion; `most`: the most
    tokens of one, as by the `max_new_tokens` of a generation_config.json.
    """

    daemon_threads = False  # they are waited for: torch aborts a process that ends inside of it

    def __init__(self, model: Any, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.model = model.eval()
        self.lock, self.asked = Lock(), list[tuple[str, Any]]()
        self.most = 10**6
        self.deaf, self.slow, self.developing, self.logprobs_mode = False, 0.0, True, "processed_logprobs"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def taken(self) -> int:
        """How often it was given weights."""
        return sum(path == "/collective_rpc" for path, _ in self.asked)

    def reply(self, path: str, body: Any) -> Any:
        """The answer to a question; `None`: there is no such path."""
        self.asked.append((path, body))
        match path.partition("?")[0]:
            case "/health" | "/reset_prefix_cache":
                return {}
            case "/v1/models":
                return {"data": [{"id": "stand-in"}]}
            case "/server_info" if self.developing:
                return {"vllm_config": {"model_config": {"logprobs_mode": self.logprobs_mode}}}
            case "/collective_rpc" if self.developing:
                return self._take(body)
            case "/v1/completions":
                sleep(self.slow)
                return {"choices": [self._choice(ids, body) for ids in body["prompt"]]}
        return None

    def _take(self, body: Any) -> Any:
        assert body["method"] == "reload_weights"
        if not self.deaf:
            weights = load_file(Path(body["kwargs"]["weights_path"]) / "model.safetensors")
            known = dict(self.model.named_parameters())
            assert set(weights) == set(known)
            with torch.no_grad(), self.lock:
                for name, weight in weights.items():
                    known[name].copy_(weight)
        return {"results": [None]}

    @torch.no_grad()
    def _choice(self, prompt: Sequence[int], body: Any) -> Any:
        """One completion, token by token; the whole text is computed again for each."""
        assert (body["n"], body["top_p"], body["top_k"], body["min_p"]) == (1, 1.0, 0, 0.0)
        generator = torch.Generator().manual_seed(body["seed"])
        ids, logps = list(prompt), list[float]()
        temperature = body["temperature"]
        why = "length"
        while len(logps) < min(body["max_tokens"], self.most):
            with self.lock:
                logits_V = self.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].float()
            logps_V = (logits_V / (temperature or 1.0)).log_softmax(-1)
            token = (
                int(torch.multinomial(logps_V.exp(), 1, generator=generator)) if temperature else int(logits_V.argmax())
            )
            ids.append(token)
            logps.append(float(logps_V[token]))
            if token in body["stop_token_ids"]:
                why = "stop"
                break
        known = {"tokens": [f"token_id:{one}" for one in ids[len(prompt) :]], "token_logprobs": logps}
        said = {"token_ids": ids[len(prompt) :], "finish_reason": why}
        return said | {"logprobs": None if body["logprobs"] is None else known}


class Handler(BaseHTTPRequestHandler):
    """One question to `StandIn`."""

    server: StandIn

    def do_GET(self) -> None:
        self._say(self.server.reply(self.path, None))

    def do_POST(self) -> None:
        self._say(self.server.reply(self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))

    def _say(self, reply: Any) -> None:
        data = json.dumps({"detail": "Not Found"} if reply is None else reply).encode()
        self.send_response(404 if reply is None else 200)
        self.send_header("Content-Length", str(len(data)))
        with suppress(ConnectionError):  # who asked has gone
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@contextmanager
def standing_in(model: Any) -> Iterator[StandIn]:
    """A server with this model, up inside."""
    with StandIn(model) as one:
        Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield one
        finally:
            one.shutdown()
