"""`perdure list`: each registry, one line a thing, all of it."""

import json
import re

import pytest

from perdure.budget.errors import ConfigError
from perdure.cli.commands.list import LISTS, list_command
from perdure.cli.views.listing import listing
from perdure.cli.views.symbols import UNICODE
from perdure.curriculum.file import schema_paths
from perdure.curriculum.file.listing import Listed
from perdure.curriculum.file.shipped import first_sentence, shipped, shipped_sweeps
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.worlds.language.rewards.named import REWARDS
from perdure.curriculum.worlds.language.text_source import REWARD_NAMES, RewardConfig
from perdure.curriculum.worlds.registry import section_names, worlds
from perdure.curriculum.worlds.vision.tasks import RULES, Images

WORLDS = ("language", "vision", "control")


def printed(what: str, capsys: pytest.CaptureFixture[str], *, as_json: bool = False) -> str:
    list_command(what, as_json)
    return capsys.readouterr().out


@pytest.mark.parametrize("what", LISTS)
def test_every_line_is_readable_at_100_columns_and_says_what_the_thing_is(
    what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert max(map(len, printed(what, capsys).splitlines())) <= 100
    for row in json.loads(printed(what, capsys, as_json=True)):
        assert row["summary"], row["name"]


def test_the_lists_are_those_of_the_registries() -> None:
    def names(what: str) -> set[str]:
        return {row.name for row in LISTS[what][0]()}

    assert names("curricula") == set(shipped()) and names("sweeps") == set(shipped_sweeps())
    assert {name.removeprefix("+") for name in names("methods")} == set(section_names())
    assert names("strategies") == set(schema_paths.kinds_of(Curriculum.model_fields["strategy"].annotation))
    assert names("tasks") == {"reasoning_gym", "dataset", "python", "tool_alpaca", "environment", "images", "gymnasium"}
    assert {"lm_eval", "task", "perdure_spell", "perdure_largest"} <= names("benchmarks")


def test_the_rewards_are_those_that_a_file_may_name() -> None:
    named = schema_paths.allowed(RewardConfig.model_fields["type"].annotation)
    assert tuple(one.name for one in REWARD_NAMES) == named
    assert {one.name for one in REWARD_NAMES} == {*REWARDS, "code_tests", "source"}
    assert tuple(one.name for one in RULES) == schema_paths.allowed(Images.model_fields["rule"].annotation)
    assert {world for row in LISTS["rewards"][0]() for world in row.worlds} == set(worlds())


def test_a_row_says_what_a_thing_needs_and_which_worlds_have_it(capsys: pytest.CaptureFixture[str]) -> None:
    def rows(what: str) -> dict[str, list[str]]:
        cells = [re.split(r"  +", line) for line in printed(what, capsys).splitlines()]
        return {name: rest for name, *rest in cells}

    methods = rows("methods")
    assert methods["chord"] == ["SFT and RL terms in one loss", "demonstrations, reward", "all"]
    assert methods["gate"][1:] == ["demonstrations, reward", "language, vision"]
    assert methods["eaft"] == ["sft, token_weight: entropy", "demonstrations", "all"]
    assert methods["+l2"] == ["A penalty on moving, all weights alike", "all"]
    assert rows("sweeps")["tiny-enforcement"][1:] == ["25 runs of tiny-sayings"]  # 5 seeds of 5 enforcements
    assert rows("curricula")["drawers"][1:] == ["the extra robots", "control"]
    assert rows("strategies")["fixed"][1:] == ["method"]


def test_a_curriculum_that_reads_the_hub_or_needs_an_extra_says_so() -> None:
    needs = {row.name: row.needs for row in LISTS["curricula"][0]()}
    texts = {name: file.read_text(encoding="utf-8") for name, file in shipped().items()}
    assert {name for name, text in texts.items() if "Meta-World/" in text} == {"drawers"}
    assert {name for name in needs if "robots" in needs[name]} == {"drawers"}
    hub = {name for name, text in texts.items() if "model_name_or_path: " in text and "builtin:" not in text}
    razor = {f"razor-{name}" for name in ("math", "science", "tools", "stream")}
    assert hub == {"smollm2", "smollm2-stream", "openvla-drawers", *razor} and all(needs[name] for name in hub)


def test_an_unknown_list_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match=r"there is no list 'method'; did you mean 'methods'\?; there are curricula,"):
        list_command("method", False)


def test_on_a_narrow_terminal_words_wrap_within_their_columns() -> None:
    rows = [Listed("sft", "one two three four five six seven", "eight", WORLDS)]
    lines = [line.plain for line in listing(rows, WORLDS, UNICODE, 45)]
    # 4 of the name, 5 and 6 of the last two and three gaps of 2 leave 24 of 45 for the words.
    assert lines == [
        "name  what                      needs  worlds",
        "sft   one two three four five   eight  all",
        "      six seven",
    ]


def test_a_sentence_ends_at_its_full_stop() -> None:
    assert first_sentence("Dr. GRPO (arXiv 2503.20783): no more. And then.") == "Dr. GRPO (arXiv 2503.20783): no more"
    assert first_sentence("One.") == "One"
