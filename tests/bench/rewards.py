"""What it costs that rewards run in a process of their own: a batch there and in this process, and a replacement."""

import time
from collections.abc import Callable, Sequence
from functools import partial

from perdure.curriculum.task import Item, Reward
from perdure.curriculum.worlds.language.rewards.named import build_reward
from perdure.curriculum.worlds.language.sources.reasoning_gym import load
from perdure.curriculum.worlds.language.tasks import ReasoningGym
from perdure.curriculum.worlds.language.text_source import RewardConfig
from tests.bench.figures import Figure, Options, Report, Series, Target, alone

ANSWERS = 64
REPEATS = 7
BATCH = Target("at most", 0.02, "s")
START = Target("at most", 2, "s")


def measure(_: Options) -> Report:
    """A batch of 64 answers of 1,000 characters, in alternation; what is judged is the difference."""
    items = [Item("?", answer="42")] * ANSWERS
    gym = [load(_gym(timeout), name="sums", seed=0).reward for timeout in (None, 0)]
    verifiers = [reward for reward in gym if reward is not None]
    asked = load(_gym(None), name="sums", seed=0).train
    figures = [_both(name, _named(name), items) for name in ("exact_match", "numeric", "math_verify")]
    figures.append(_both("reasoning_gym chain_sum", verifiers, asked))
    return Report((*figures, _replacement(items)), (_NOTE,))


_NOTE = (
    f"A batch is {ANSWERS} answers of 1,000 characters; the ratio's place is empty since the figure is the difference "
    "of the two, both measured in alternation. The last row is an answer that takes its whole second of a processor: "
    "the time until the next one is scored, with the new process, less that second."
)


def _gym(timeout: float | None) -> ReasoningGym:
    reward = RewardConfig(type="source", timeout=timeout)
    return ReasoningGym(type="reasoning_gym", dataset="chain_sum", train=ANSWERS, heldout=2, reward=reward)


def _named(name: str) -> list[Reward]:
    return [build_reward(RewardConfig.model_validate({"type": name, "timeout": timeout})) for timeout in (None, 0)]


def _both(name: str, rewards: Sequence[Reward], items: Sequence[Item]) -> Figure:
    texts = [f"{'so ' * 330}{number}" for number in range(ANSWERS)]
    pairs = [[_seconds(partial(reward, items, texts)) for reward in rewards] for _ in range(1 + REPEATS)]
    pairs = pairs[1:]  # the first calls start and import
    return alone(f"{name}, beyond this process", Series(tuple(own - inside for own, inside in pairs), "s"), BATCH)


def _replacement(items: Sequence[Item]) -> Figure:
    slow = build_reward(RewardConfig(type="regex", pattern="(a+)+$", timeout=1.0))
    slow(items, ["a"] * ANSWERS)
    taken = [_seconds(partial(slow, items[:2], ["a" * 40 + "b", "a"])) - 1.0 for _ in range(3)]
    return alone("an answer that is cut off", Series(tuple(taken), "s"), START)


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
