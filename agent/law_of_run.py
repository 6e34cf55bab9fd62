"""The law that a curriculum names, and what it must have been fitted on to forecast a run's forgetting."""

import json
from dataclasses import asdict
from hashlib import sha256

from perdure.agent.worlds.base_prompts import probe_of, reads_probe
from perdure.agent.worlds.contract import World
from perdure.budget.base_id import PLAIN, kl_settings, short_id
from perdure.budget.errors import ConfigError
from perdure.budget.law.file import LATER, load_law
from perdure.budget.law.saved import Law
from perdure.budget.law.shipped import law_path
from perdure.curriculum.schema import Curriculum


def law_for(curriculum: Curriculum, world: World) -> Law | None:
    """The law of `budget.law`; nothing where none is named. One of the generic probe alone may be of another base.

    Raises:
        ConfigError: no such file, a damaged one, or a law that was fitted in another world or on another base.
    """
    name = curriculum.budget.law
    if name is None:
        return None
    law = load_law(law_path(name))
    remedy = (
        "its figures would mean nothing here. Fit a law on runs of this base (perdure law RUN… --save FILE), take one "
        "of the generic probe alone, which may be of another base (perdure law … --predictor generic), or leave "
        "budget.law out"
    )
    if law.world != world.kind:
        raise ConfigError(
            f"budget.law: {name} was fitted in the {law.world} world, and this curriculum's model is of the "
            f"{world.kind} world: {remedy}"
        )
    fitted, here = kl_settings(law.base) or PLAIN, kl_settings(world.base_id) or PLAIN
    if fitted != here:
        raise ConfigError(f"budget.law: {name} was fitted on KL at {fitted}, and here it is at {here}: {remedy}")
    _refuse_unread(name, law, curriculum)
    if law.base != world.base_id and law.predictor != "generic":
        raise ConfigError(
            f"budget.law: {name} was fitted on another base. Its base is {short_id(law.base)} ({law.runs} runs by "
            f"{', '.join(law.methods)}; forgetting of {', '.join(law.benchmarks)}; {law.kind}), and this "
            f"curriculum's base, {curriculum.model.title}, is {short_id(world.base_id)}: {remedy}"
        )
    return law


def _refuse_unread(name: str, law: Law, curriculum: Curriculum) -> None:
    """Refuse a law of a KL that this run does not read. Raises ConfigError."""
    beside = law.predictor == "both" and curriculum.budget.prompts == "generic"
    if law.needs_generic and (beside or not reads_probe(curriculum)):
        raise ConfigError(
            f"budget.law: {name} predicts from the KL on the generic probe (predictor {law.predictor}), which this run "
            "does not read beside that on its tasks: leave `budget.probe` and `budget.prompts` as they are by default, "
            "or save a law of the KL on the task (perdure law RUN… --predictor task)"
        )


def is_of_other_probe(law: Law, curriculum: Curriculum) -> bool:
    """True if a law was fitted to KL on a generic probe of other texts than this run's."""
    return law.on_probe and law.probe != (probe_of(curriculum) or "")


def law_fingerprint(law: Law) -> str:
    """SHA-256 of all that a law says, so that a resumed run notices another one."""
    content = {name: value for name, value in asdict(law).items() if name not in LATER or value != LATER[name]}
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
