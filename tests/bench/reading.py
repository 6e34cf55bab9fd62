"""One reading of a model with the vocabulary of Qwen2.5-3B: its seconds, and the memory that it takes.

As a script, `python -m tests.bench.reading JOB.json`, it reads in a process of its own and prints one JSON object.
"""

import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.bench.bare import peak_megabytes
from tests.bench.figures import Figure, Options, Report, Series, Target
from tests.bench.processes import run_json

SHAPE: dict[str, Any] = {
    "vocab_size": 151_936,
    "hidden_size": 2048,
    "intermediate_size": 11_008,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "tie_word_embeddings": True,
}
LAYERS, ALL_LAYERS = 2, 36
TEXTS, TOKENS, PLAIN = 16, 256, 4
"""Texts of a reading, sampled tokens of each, and the texts of the plain forward pass."""

NOTE = (
    f"{TEXTS} texts of {TOKENS} sampled tokens on random float32 weights of Qwen2.5-3B's shape, with {LAYERS} of its "
    f"{ALL_LAYERS} layers, so that it fits beside other work; head and vocabulary are whole, and what a reading holds "
    f"does not grow with the layers. Beside its seconds stand those of a forward pass of transformers with its logits "
    f"over as many texts (measured on {PLAIN}): a reading has a second head and the divergences over the vocabulary "
    "more. Seconds grow with the texts. Memory is `ru_maxrss` after the reading, beside the resident memory before it: "
    "the libraries, the weights, and the base's head and hidden states."
)


def measure(options: Options) -> Report:
    """Once."""
    with TemporaryDirectory() as scratch:
        found = run_json(["-m", "tests.bench.reading"], {"threads": options.threads}, Path(scratch))
    seconds, plain = Series((found["seconds"],), "s"), Series((found["plain"],), "s")
    times = Series((found["seconds"] / found["plain"],), "×")
    peak, held = Series((found["peak"],), "MB"), Series((found["held"],), "MB")
    more = Series((found["peak"] / found["held"],), "×")
    name = f"{LAYERS} layers, 152k words, {found['rows']} rows at once"
    return Report(
        (
            Figure(f"seconds, {name}", seconds, plain, times, Target("at most", 3, "×")),
            Figure(f"memory, {name}", peak, held, more, Target("at most", 1.15, "×")),
        ),
        (NOTE,),
    )


def read(threads: int | str) -> dict[str, Any]:
    """Build the model and its texts, move the policy, and read it once."""
    import torch
    from transformers import Qwen2Config

    from perdure.agent.worlds.language.base_texts import BaseTexts, Sampled, copy_head, remember
    from perdure.agent.worlds.language.loading import load_policy
    from perdure.agent.worlds.language.policy import LanguagePolicy
    from perdure.curriculum.worlds.language.model import CausalModel
    from tests.bench.material import TINY
    from tests.models import random_model

    tokenizer = load_policy(CausalModel(model_name_or_path=TINY), seed=0).tokenizer
    torch.set_num_threads(torch.get_num_threads() if threads == "auto" else int(threads))
    policy = LanguagePolicy(random_model(Qwen2Config, tokenizer, num_hidden_layers=LAYERS, **SHAPE), tokenizer)
    ids = torch.randint(SHAPE["vocab_size"], (TEXTS, TOKENS + 1), generator=torch.Generator().manual_seed(0))
    sampled = [Sampled(row[:1], row[1:]) for row in ids.tolist()]
    with torch.no_grad(), policy.inference_mode():
        head = copy_head(policy, ids[:1, :1])
        texts = remember(policy, sampled, plain=bool(head))
    base = BaseTexts(policy, {"texts": texts}, head)
    with torch.no_grad():
        for one in policy.model.parameters():
            one.mul_(1.001)
    before, begun = resident_megabytes(), time.perf_counter()
    kl = base.measure(["texts"]).kl_base_to_policy[0]
    seconds, peak = time.perf_counter() - begun, peak_megabytes()
    begun = time.perf_counter()
    with torch.no_grad(), policy.inference_mode():
        policy.model(input_ids=ids[:PLAIN])
    plain = (time.perf_counter() - begun) * TEXTS / PLAIN
    assert len(kl.sums) == TEXTS and all(one > 0 for one in kl.sums)
    return {"seconds": seconds, "plain": plain, "peak": peak, "held": before, "rows": base.chunk_rows}


def resident_megabytes() -> float:
    """The memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def main() -> None:
    """Read as a file says."""
    print(json.dumps(read(json.loads(Path(sys.argv[1]).read_text())["threads"])))


if __name__ == "__main__":
    main()
