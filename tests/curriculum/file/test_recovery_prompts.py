"""The prompts that a recovery distils on, and a method that cannot be had twice: refused where the file says it."""

from pathlib import Path

import pytest

from tests.curriculum.file.two_worlds import LANGUAGE, VISION, faults, read

RECOVER = "{kl: 1, enforce: [rollback, recover]}"
GENERIC = "{kl: 1, enforce: [rollback, recover], generic: builtin:skills}"


@pytest.mark.parametrize("text", [LANGUAGE, VISION])
def test_a_recovery_needs_no_file(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text.replace("{kl: 1}", RECOVER)).budget.enforces("recover")


@pytest.mark.parametrize("text", [LANGUAGE, VISION])
@pytest.mark.parametrize("prompts", ["generic", "both"])
def test_the_generic_probe_needs_no_file(tmp_path: Path, text: str, prompts: str) -> None:
    assert read(tmp_path, text.replace("{kl: 1}", f"{{kl: 1, prompts: {prompts}}}")).budget.counts_generic


def test_general_prompts_beside_those_that_the_budget_reads(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text('{"prompt": "a"}\n{"prompt": "b"}\n')
    assert read(tmp_path, LANGUAGE.replace("{kl: 1}", GENERIC)).budget.generic == "builtin:skills"
    own = read(tmp_path, LANGUAGE.replace("{kl: 1}", GENERIC.replace("builtin:skills", "mine.jsonl")))
    assert (own.budget.generic, own.budget.prompts) == (str(tmp_path / "mine.jsonl"), "seen")
    both = read(tmp_path, LANGUAGE.replace("{kl: 1}", GENERIC.replace("{", "{prompts: generic, ")))
    assert both.budget.prompts == "generic"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            LANGUAGE.replace("{kl: 1}", GENERIC.replace("skills", "skils")),
            "2:56: budget.generic: no such prompts: builtin:skils; shipped with perdure: builtin:skills",
        ),
        (
            VISION.replace("{kl: 1}", GENERIC),
            "2:56: budget.generic: generic prompts of a file are text, and this model sees images; leave it out",
        ),
        (
            LANGUAGE.replace("org/name}", "org/name, lora: {r: 2}}").replace(
                "chain_sum}", "chain_sum, demonstrations: m:f}"
            )
            + "    method: lora\n",
            "7:13: stages[0].method: with `model.lora` the policy is a LoRA adapter already; use 'sft'",
        ),
    ],
)
def test_what_does_not_go_together(tmp_path: Path, text: str, message: str) -> None:
    assert message in faults(tmp_path, text)
