"""Asks a column's items in batches until the change since the base is known well enough (`perdure.eval.asking`)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import variance

from perdure.curriculum.evaluation import Evaluation
from perdure.curriculum.task import derived_seed
from perdure.eval.asking import enough, looks, order
from perdure.eval.scorefile import Asked, ItemResult, Score, ScoreFile, ScoreKind, make_score, place_of

AUTO_ITEMS = 200
"""The items of a column from which on `items: auto` is `adaptive`, as measured (docs/experiments/speed.md): of fewer,
two thirds are asked or more.
"""

Ask = Callable[[Sequence[int]], list[ItemResult]]
"""The results of some items, by their places."""


@dataclass(frozen=True)
class Adaptive:
    """What decides how many items of a column are asked: the base's scores, `seed` (the curriculum's), a precision."""

    base: ScoreFile
    seed: int
    precision: float

    @property
    def key(self) -> dict[str, str]:
        """The parts of a score's key: with the same the same items are asked, in the same batches."""
        return {
            "items": f"adaptive to {self.precision} points, and no verdict in sight",
            "order": str(self.seed),
            "base": str(self.base.header["items_sha256"]),
        }

    def score(self, kind: ScoreKind, ask: Ask) -> tuple[Score, list[ItemResult]]:
        """The score and its items, in the base's order; those not asked have no score.

        All are asked where a score is not from 0 to 1.
        """
        name, of = self.base.score.name, len(self.base.items)
        before = {item.id: item.score for item in self.base.items if item.score is not None}
        places = [place_of(item) for item in self.base.items]
        drawn = [places[index] for index in order(of, derived_seed(self.seed, f"order of {name}"))]
        answered: dict[str, ItemResult] = {}
        interval = None
        for n in (*looks(of), of):
            answered |= {item.id: item for item in ask(drawn[len(answered) : n])}
            after = {item.id: item.score for item in answered.values() if item.score is not None}
            bounded = all(0 <= score <= 1 for score in after.values())
            interval = enough(before, after, of, self.precision / 100) if n < of and bounded else None
            if interval is not None:
                break
        items = [answered.get(one.id) or ItemResult(one.id, None, {"not_asked": True}) for one in self.base.items]
        found = make_score(name, kind, items, sum("note" in item.details for item in items))
        if interval is not None:
            found = score_of_part(self.base.score, found, Asked(len(answered), of, *interval))
        return found, items


def adaptive(evaluation: Evaluation, base: ScoreFile, seed: int) -> Adaptive | None:
    """How a column is asked; `None`: in full. Its base's items say how many it has, and whether they are from 0 to 1.

    Sampled answers depend on their place among all, so that they are always asked in full.
    """
    if evaluation.items == "all" or evaluation.temperature > 0 or not looks(len(base.items)):
        return None
    if evaluation.items == "auto" and len(base.items) < AUTO_ITEMS:
        return None
    if base.score.asked is not None or not all(0 <= score <= 1 for score in base.score.item_values):
        return None
    return Adaptive(base, seed, evaluation.precision)


def score_of_part(base: Score, part: Score, asked: Asked) -> Score:
    """The score with its value over all items: the base's, and the mean change of the items that were asked.

    Its standard error is that of double sampling (Cochran, *Sampling Techniques*, 1977, section 12.8): the root of
    `s²/N + (1 - n/N) d²/n`, s² the variance of the scores and d² that of the changes.
    """
    before = dict(zip(base.item_ids, base.item_values, strict=True))
    pairs = zip(part.item_ids, part.item_values, strict=True)
    changes = [value - before[key] for key, value in pairs if key in before]
    n, of = len(changes), asked.of
    spread = variance(part.item_values) / of + (1 - n / of) * variance(changes) / n
    value = base.value + math.fsum(changes) / n
    return replace(part, value=value, stderr=math.sqrt(spread), asked=asked)
