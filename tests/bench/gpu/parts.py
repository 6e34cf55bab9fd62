"""The parts of the GPU's script. `python -m tests.bench.gpu.parts NAME JSON` runs one and prints its lines as JSON."""

import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.gpu.setting import Line, Setting


def demo(setting: Setting) -> list[Line]:
    """`perdure run demo`, imports included."""
    from tests.bench.processes import run

    more = ["--set", f"model.device={setting.device}"]
    if setting.small:
        shorter = ("train.max_steps=2", "stages.1.train.sft.max_steps=2", "benchmarks=[]")
        more += [word for value in shorter for word in ("--set", value)]
    output = setting.folder / "demo"
    command = [sys.executable, "-m", "perdure", "run", "demo", "--plain", "--output-dir", str(output), *more]
    seconds, _ = run([*command])
    return [("`perdure run demo`", f"{seconds:.1f} s")]


def training(setting: Setting) -> list[Line]:
    """SFT and RL of SmolLM2's shape: seconds a step, the monitor's share, and the memory's peak."""
    whole = {"dtype": "float32", "autocast": "none"}
    cases: list[tuple[str, str, dict[str, Any]]] = [
        ("sft, dtype auto", "sft", {}),
        ("sft, float32 throughout", "sft", whole),
        ("sft, LoRA", "sft", {"lora": {}}),
        ("rl, dtype auto", "rl", {}),
        ("rl, without shared prefixes", "rl", {"prefix_caching": False}),
    ]
    return [line for name, method, model in cases for line in _trained(setting, name, method, model)]


def quantized(setting: Setting) -> list[Line]:
    """LoRA over 4 and 8 bits, and an 8-bit optimiser of all weights."""
    if find_spec("bitsandbytes") is None:
        return [("quantization", "not run: bitsandbytes is not installed (the extra `quantization`)")]
    found = []
    for kind in ("4bit", "8bit"):
        found += _trained(setting, f"sft, LoRA over {kind}", "sft", {"lora": {}, "quantization": kind})
    for optim in ("adamw_8bit", "paged_adamw_8bit"):
        found += _trained(setting, f"sft, {optim}", "sft", {}, {"trl": {"optim": optim}})
    return found


def _trained(
    setting: Setting, name: str, method: str, model: dict[str, Any], train: dict[str, Any] | None = None
) -> list[Line]:
    from tests.bench.runs import timed_run

    every, steps = (2, 4) if setting.small else (20, 40)
    size = {"per_device_train_batch_size": 8, "num_generations": 4}
    train, budget = size | (train or {}), {"every": every, "max_completion_length": 64}
    curriculum = setting.curriculum(method, steps, model=model, train=train, budget=budget)
    setting.begin_peak()
    times = timed_run(curriculum, setting.folder / name.replace(" ", "-").replace(",", ""))
    monitor, between = (sum(part) for part in zip(*times.intervals(every), strict=True))
    return [
        (f"{name}: a step", f"{1000 * median(times.steps):.0f} ms"),
        (f"{name}: the monitor's share", f"{100 * monitor / between:.1f} %"),
        (f"{name}: peak", setting.peak()),
    ]


def resumed(setting: Setting) -> list[Line]:
    """The same weights from an update that is cut off and resumed, and from one that is not."""
    from tests.agent.worlds.language.runs import Killed, Run, small

    found = []
    for method in ("sft", "rl"):
        settings = small(method, save_steps=2, max_steps=6)
        digests = []
        for cut in (False, True):
            folder = setting.folder / f"{method}-{cut}"
            if cut:
                with suppress(Killed):
                    Run(_policy(setting), folder).update(method, settings, at=lambda step: step == 3, error=Killed())
            run = Run(_policy(setting), folder)
            run.update(method, settings)
            digests.append(run.digest)
        same = "yes, to the bit" if digests[0] == digests[1] else "NO"
        found.append((f"{method}: a resumed update ends as an undisturbed one", same))
    return found


def _policy(setting: Setting) -> Any:
    from perdure.agent.worlds.language.loading import load_policy
    from perdure.curriculum.worlds.language.model import CausalModel

    return load_policy(CausalModel(model_name_or_path="builtin:tiny", device=setting.device), seed=0)


def reading(setting: Setting) -> list[Line]:
    """A reading of 64 texts of 256 tokens at 152k words, on random weights of a 3B model under LoRA."""
    import torch
    from transformers import Qwen2Config

    from perdure.agent.worlds.checkpoints import add_adapter
    from perdure.agent.worlds.language.base_texts import sample_base_texts
    from perdure.agent.worlds.language.policy import LanguagePolicy
    from perdure.curriculum.worlds.lora import LoraConfig
    from tests.bench.gpu.setting import tiny_tokenizer
    from tests.models import random_model

    shape = {"vocab_size": 151936, "hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36}
    shape |= {"num_attention_heads": 16, "num_key_value_heads": 2}
    if setting.small:
        shape |= {"vocab_size": 4000, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    dtype = torch.float32 if setting.device == "cpu" else torch.bfloat16
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(setting.device):
            model = random_model(Qwen2Config, tiny_tokenizer(), **shape)
    finally:
        torch.set_default_dtype(before)
    model = add_adapter(model, LoraConfig(), "model.lora", task_type="CAUSAL_LM")
    policy = LanguagePolicy(model, tiny_tokenizer(), None if dtype == torch.float32 else dtype)
    texts, length = (4, 8) if setting.small else (64, 256)
    prompts = {"long": [f"text {number}" for number in range(texts)]}
    begun = time.perf_counter()
    base = sample_base_texts(policy, prompts, max_completion_length=length, batch_size=64, seed=0)
    lines = [("the base's texts, once a run", f"{setting.seconds(begun):.2f} s")]
    setting.begin_peak()
    held = 0 if setting.device == "cpu" else torch.cuda.memory_allocated()
    base.measure(["long"])
    begun = time.perf_counter()
    found = base.measure(["long"])
    lines.append((f"a reading of {texts} × {length} tokens", f"{setting.seconds(begun):.2f} s"))
    lines.append(("a reading: peak", f"{setting.peak()} ({held / 1e6:,.0f} MB before it)"))
    lines.append(("a reading: rows of logits at once", str(base.chunk_rows)))
    kl = sum(found.kl_base_to_policy[0].sums) / sum(found.kl_base_to_policy[0].lengths)
    return [*lines, ("the base's KL to itself", f"{kl:.2g} nats/token")]


def vllm(setting: Setting) -> list[Line]:
    """RL and scores by a vLLM server; on a CPU by the stand-in of the tests."""
    from perdure.agent.worlds.language.loading import load_policy
    from perdure.agent.worlds.language.vllm.server import VllmServer
    from perdure.curriculum.worlds.language.model import CausalModel
    from tests.bench.gpu.servers import served

    if setting.device != "cpu" and find_spec("vllm") is None:
        return [("vllm", "not run: vllm is not installed")]
    config = CausalModel(model_name_or_path=str(setting.model()), device=setting.device)
    with served(setting, config) as url:
        policy = load_policy(config, seed=0)
        prompts, asked = [f"Sort: {number} " for number in range(32)], {"max_completion_length": 32, "batch_size": 32}
        begun = time.perf_counter()
        plain = policy.respond(prompts, **asked)
        lines = [("32 greedy answers by transformers", f"{setting.seconds(begun):.2f} s")]
        policy.server = VllmServer(url, 240.0)
        policy.server.check()
        begun = time.perf_counter()
        policy.server.take(policy.model)
        lines.append(("the server takes the weights", f"{setting.seconds(begun):.2f} s"))
        begun = time.perf_counter()
        found = policy.respond(prompts, **asked)
        lines.append(("32 greedy answers by the server, with its weights", f"{setting.seconds(begun):.2f} s"))
        equal = sum(a == b for a, b in zip(plain, found, strict=True))
        lines.append(("equal greedy answers", f"{equal} of {len(plain)} (rounding tells others apart)"))
        fields = {"use_vllm": True, "vllm_mode": "server", "vllm_server_base_url": url}
        return [*lines, *_trained(setting, "rl by the server", "rl", {}, {"trl": fields})]


PARTS: dict[str, Callable[[Setting], list[Line]]] = {
    "training": training,
    "reading": reading,
    "resumed": resumed,
    "quantized": quantized,
    "vllm": vllm,
    "demo": demo,
}
"""In the order in which they are run; the last ones are left out where time is short."""


def main() -> None:
    """Run the part that the command line names."""
    name, given = sys.argv[1], json.loads(sys.argv[2])
    setting = Setting(given["device"], given["small"], Path(given["folder"]))
    print(json.dumps(PARTS[name](setting)))


if __name__ == "__main__":
    main()
