"""The worker of a VLA in a process of its own: `python openvla_worker.py FD`, where FD is one end of a socket pair.

It runs in an environment that has no perdure, such as OpenVLA's (Python 3.10, transformers 4.40.1), and imports nothing
of it. A message is the length of its header in 4 bytes, the header as JSON, and the arrays that the header lists, raw.
Weights are trained on the other side, which holds those of the adapter; `take` brings them.

Axes: N rows of one length L, none of them padded; D dimensions of the action; V tokens of the vocabulary.
"""

import hashlib
import json
import socket
import struct
import sys
import time
from typing import Any

import numpy as np

NamedArrays = dict[str, Any]
LONGEST = 2**26
"""Bytes of a header at most."""


def send(pipe: socket.socket, header: dict[str, Any], arrays: NamedArrays) -> None:
    """Send one message."""
    kept = {name: np.ascontiguousarray(one) for name, one in arrays.items()}
    listed = [[name, one.dtype.str, list(one.shape)] for name, one in kept.items()]
    said = json.dumps({"header": header, "arrays": listed}).encode()
    pipe.sendall(struct.pack(">I", len(said)) + said)
    for one in kept.values():
        if one.size:
            pipe.sendall(one.reshape(-1).view(np.uint8).data)


def receive(pipe: socket.socket, deadline: float | None = None) -> tuple[dict[str, Any], NamedArrays]:
    """Receive one message.

    Raises:
        EOFError: the other side is gone.
        TimeoutError: it did not come before the deadline (`time.monotonic`).
        ValueError: it is no message.
    """
    (size,) = struct.unpack(">I", _exactly(pipe, 4, deadline))
    if size > LONGEST:
        raise ValueError(f"a header of {size} bytes")
    said = json.loads(bytes(_exactly(pipe, size, deadline)))
    found = {}
    for name, kind, shape in said["arrays"]:
        if np.dtype(kind).hasobject:
            raise ValueError("an array of objects")
        count = int(np.prod(shape, dtype=np.int64)) * np.dtype(kind).itemsize
        found[name] = np.frombuffer(_exactly(pipe, count, deadline), kind).reshape(shape)
    return said["header"], found


def _exactly(pipe: socket.socket, count: int, deadline: float | None) -> bytearray:
    found = bytearray(count)
    view, at = memoryview(found), 0
    while at < count:
        if deadline is not None:
            pipe.settimeout(max(0.001, deadline - time.monotonic()))
        got = pipe.recv_into(view[at:])
        if not got:
            raise EOFError
        at += got
    return found


class Model:
    """The model with an adapter over it, whose trained weights come from the other side."""

    def __init__(self, settings: dict[str, Any]) -> None:
        import torch

        self.torch = torch
        if settings["threads"]:
            torch.set_num_threads(settings["threads"])
        self.prompt, self.append = settings["prompt"], settings["append_token"]
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if settings["device"] != "auto":
            self.device = torch.device(settings["device"])
        self.inner, self.processor = self._loaded(settings)
        self.model, self.config = self._adapted(settings)
        self.model.eval()
        self.trained = {name: one for name, one in self.model.named_parameters() if one.requires_grad}
        self.going: dict[int, Any] = {}

    def _loaded(self, settings: dict[str, Any]) -> tuple[Any, Any]:
        import transformers

        auto = getattr(transformers, "AutoModelForVision2Seq", None) or transformers.AutoModelForImageTextToText
        name = settings["model_name_or_path"]
        files = {"revision": settings["revision"] or "main", "trust_remote_code": settings["trust_remote_code"]}
        self.dtype = getattr(self.torch, settings["dtype"])
        kind = {"torch_dtype" if transformers.__version__ < "5" else "dtype": self.dtype}
        model = auto.from_pretrained(name, use_safetensors=True, **files, **kind).to(self.device)
        return model, transformers.AutoProcessor.from_pretrained(name, **files)

    def _adapted(self, settings: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        from peft import LoraConfig, get_peft_model

        self.torch.manual_seed(settings["seed"])
        model = get_peft_model(self.inner, LoraConfig(init_lora_weights="gaussian", **settings["lora"]))
        for name, one in model.named_parameters():
            if settings["freeze_vision"] and "vision" in name:
                one.requires_grad_(False)
        config = model.peft_config["default"].to_dict()
        kept = {key: sorted(one) if isinstance(one, set) else one for key, one in config.items()}
        return model, json.loads(json.dumps(kept, default=str))

    def fingerprint(self) -> str:
        """SHA-256 of what is never trained."""
        total = hashlib.sha256()
        for name, one in sorted(self.inner.named_parameters()):
            if name not in self.trained and "lora_" not in name:
                total.update(name.encode())
                total.update(one.detach().contiguous().view(-1).view(self.torch.uint8).cpu().numpy().tobytes())
        return total.hexdigest()

    def weights(self) -> NamedArrays:
        """The trained weights, float32."""
        return {name: one.detach().float().cpu().numpy() for name, one in self.trained.items()}

    def take(self, arrays: NamedArrays) -> None:
        """Take trained weights."""
        with self.torch.no_grad():
            for name, one in self.trained.items():
                one.copy_(self.torch.from_numpy(arrays[name].copy()))

    def encode(self, arrays: NamedArrays, instructions: list[str]) -> NamedArrays:
        """Images and instructions as pixels and tokens, a row at a time."""
        from PIL import Image

        found = {}
        for row, instruction in enumerate(instructions):
            picture = Image.fromarray(arrays[f"image{row}"])
            text = self.prompt.replace("{instruction}", instruction)
            made = self.processor(text=text, images=picture, return_tensors="pt")
            tokens = made["input_ids"][0].numpy()
            if self.append is not None and tokens[-1] != self.append:
                tokens = np.append(tokens, self.append)
            found[f"tokens{row}"] = tokens.astype(np.int64)
            found[f"pixels{row}"] = made["pixel_values"][0].float().numpy()
        return found

    def forced(self, arrays: NamedArrays, base: bool) -> Any:
        """Log-probabilities (N, D, V) of each token of the actions, given those before it."""
        actions_ND = self.torch.from_numpy(arrays["actions"].copy()).to(self.device)
        inputs = self._inputs(arrays, actions_ND[:, :-1])
        with self._adapter(base):
            logits = self.model(**inputs, use_cache=False).logits
        return logits[:, -actions_ND.shape[1] :].float().log_softmax(-1)

    def gradient(self, arrays: NamedArrays) -> NamedArrays:
        """The gradient of `sum(gradient * forced)` by the trained weights."""
        with self.torch.enable_grad():
            log_NDV = self.forced(arrays, base=False)
            wanted = self.torch.from_numpy(arrays["gradient"].copy()).to(self.device)
            found = self.torch.autograd.grad(log_NDV, list(self.trained.values()), wanted, allow_unused=True)
        pairs = zip(self.trained.items(), found, strict=True)
        return {
            name: np.zeros(tuple(one.shape), np.float32) if grad is None else grad.float().cpu().numpy()
            for (name, one), grad in pairs
        }

    def begin(self, number: int, arrays: NamedArrays, base: bool) -> Any:
        """Log-probabilities (N, V) of the first token; the cache is kept under the number."""
        inputs = self._inputs(arrays, self.torch.zeros((len(arrays["tokens"]), 0), dtype=self.torch.long))
        with self._adapter(base):
            output = self.model(**inputs, use_cache=True)
        self.going[number] = output.past_key_values
        return output.logits[:, -1].float().log_softmax(-1)

    def next(self, number: int, arrays: NamedArrays, base: bool) -> Any:
        """Log-probabilities (N, V) of the token behind these.

        A model in Prismatic's layout is asked through its language model: its own `forward` takes one row.
        """
        tokens_N1 = self.torch.from_numpy(arrays["tokens"].copy()).to(self.device)[:, None]
        inner = self.inner.language_model if hasattr(self.inner, "vision_backbone") else self.model
        with self._adapter(base):
            output = inner(input_ids=tokens_N1, past_key_values=self.going[number], use_cache=True)
        self.going[number] = output.past_key_values
        return output.logits[:, -1].float().log_softmax(-1)

    def _inputs(self, arrays: NamedArrays, behind_ND: Any) -> dict[str, Any]:
        prompts = self.torch.from_numpy(arrays["tokens"].copy()).to(self.device)
        tokens = self.torch.cat([prompts, behind_ND.to(self.device)], dim=1)
        pixels = self.torch.from_numpy(arrays["pixels"].copy()).to(self.device, self.dtype)
        return {"input_ids": tokens, "attention_mask": self.torch.ones_like(tokens), "pixel_values": pixels}

    def _adapter(self, base: bool) -> "_Off":
        return _Off(self) if base else _Off(None)


class _Off:
    """The adapter off, inside. peft makes all of its weights trainable when it is on again, which is undone."""

    def __init__(self, model: Model | None) -> None:
        self.model = model

    def __enter__(self) -> None:
        if self.model is not None:
            self.inside = self.model.model.disable_adapter()
            self.inside.__enter__()

    def __exit__(self, *error: Any) -> None:
        if self.model is not None:
            self.inside.__exit__(*error)
            for name, one in self.model.model.named_parameters():
                one.requires_grad_(name in self.model.trained)


def answer(model: Model, header: dict[str, Any], arrays: NamedArrays) -> tuple[dict[str, Any], NamedArrays]:
    """The answer to one message."""
    do, base = header["do"], bool(header.get("base"))
    if do == "take":
        model.take(arrays)
        return {}, {}
    if do == "encode":
        return {}, model.encode(arrays, header["instructions"])
    if do == "gradient":
        return {}, model.gradient(arrays)
    if do == "forget":
        model.going.pop(header["number"], None)
        return {}, {}
    with model.torch.no_grad():
        if do == "forced":
            log = model.forced(arrays, base)
        elif do == "begin":
            log = model.begin(header["number"], arrays, base)
        elif do == "next":
            log = model.next(header["number"], arrays, base)
        else:
            raise ValueError(f"no such message: {do!r}")
    return {}, {"log": log.cpu().numpy()}


def serve(pipe: socket.socket) -> None:
    """Load the model that the first message names, then answer until the other side is gone."""
    model = None
    while True:
        try:
            header, arrays = receive(pipe)
        except EOFError:
            return
        try:
            if model is None:
                model = Model(header)
                found: tuple[dict[str, Any], NamedArrays] = (
                    {"frozen": model.fingerprint(), "lora": model.config, "device": str(model.device)},
                    model.weights(),
                )
            else:
                found = answer(model, header, arrays)
        except Exception as error:  # whatever fails here is told there
            found = {"error": f"{type(error).__name__}: {error}"}, {}
        send(pipe, *found)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
