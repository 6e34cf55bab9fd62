"""A law in a file: there and back, and every way in which a file is no law."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from perdure.budget.errors import ConfigError
from perdure.budget.law.file import load_law, save_law
from perdure.budget.law.saved import Coverage, Law

LAW = Law(
    world="vision",
    base="a-base",
    unit="token",
    prompts="task",
    benchmarks=("fashion",),
    kl=(0.1, 0.5, 2.5),
    forgetting=(0.0, 0.1, 0.5),
    width_kl=(0.5, 1.5),
    below=(0.02, 0.04),
    above=(0.03, 0.07),
    level=0.95,
    coverage=Coverage(0.94, 0.91, 0.96, 320, 80),
    coverage_methods=None,
    methods=("sft", "rl"),
    runs=80,
    points=320,
)


def test_predictions_by_hand() -> None:
    # at 1.0, a quarter of the way from 0.5 to 2.5: 0.1 + 0.4/4; the widths are half way: 0.03 below, 0.05 above
    found = LAW.predict(1.0)
    assert (found.value, found.low, found.high, found.inside) == pytest.approx((0.2, 0.17, 0.25, True))
    assert LAW.predict(0.5).value == 0.1
    below, above = LAW.predict(0.0), LAW.predict(math.inf)
    assert (below.value, below.low, below.high, below.inside) == pytest.approx((0.0, -0.02, 0.03, True))
    assert (above.value, above.low, above.high, above.inside) == pytest.approx((0.5, 0.46, 0.57, False))
    assert LAW.predict(2.5).inside
    assert LAW.predict(0.1).inside
    with pytest.raises(ValueError, match="KL of NaN"):
        LAW.predict(math.nan)


def test_below_the_points_it_is_straight_from_the_base() -> None:
    # half way from the base's (0, 0) to (0.1, 0.04)
    law = replace(LAW, forgetting=(0.04, 0.1, 0.5))
    found = law.predict(0.05)
    assert (found.value, found.low, found.high, found.inside) == pytest.approx((0.02, 0.0, 0.05, True))
    assert (law.predict(0.0).value, law.predict(0.0).inside) == (0.0, True)
    assert (law.predict(-1e-9).value, law.predict(-1e-9).inside) == (0.0, True)  # a rounding
    assert not law.predict(-0.01).inside


BOTH = replace(
    LAW,
    predictor="both",
    kl_generic=(0.0, 2.0),
    forgetting_generic=(0.0, 0.2),
    width_kl=(),
    width_forgetting=(0.1, 0.3),
)


def test_a_law_of_two_predictors_by_hand() -> None:
    # the task's part at 1.0 is 0.2 (see above), the probe's at 0.5 a quarter of 0.2; the reach at 0.25 is three
    # quarters of the way from (0.02, 0.03) to (0.04, 0.07)
    found = BOTH.predict(1.0, 0.5)
    assert (found.value, found.low, found.high, found.inside) == pytest.approx((0.25, 0.215, 0.31, True))
    # either KL beyond its range is outside, and neither is left out
    assert [BOTH.predict(*kls).inside for kls in ((2.5, 2.0), (2.6, 2.0), (2.5, 2.1))] == [True, False, False]
    with pytest.raises(ValueError, match="beside that on the task"):
        BOTH.predict(1.0)
    with pytest.raises(ValueError, match="KL of NaN"):
        BOTH.predict(1.0, math.nan)


def test_a_law_of_two_predictors_comes_back(tmp_path: Path) -> None:
    save_law(BOTH, tmp_path / "law.json")
    assert load_law(tmp_path / "law.json") == BOTH
    content = json.loads((tmp_path / "law.json").read_text())
    for name in ("kl_generic", "width_forgetting"):
        (tmp_path / "less.json").write_text(json.dumps({k: v for k, v in content.items() if k != name}))
        with pytest.raises(ConfigError, match=f"a damaged law: {name} and what belongs to it need two or more points"):
            load_law(tmp_path / "less.json")
    (tmp_path / "other.json").write_text(json.dumps(content | {"predictor": "old"}))
    with pytest.raises(ConfigError, match="predictor is one of task, generic, both, not 'old'"):
        load_law(tmp_path / "other.json")


def test_a_budget_counts_what_a_law_predicts_from_or_does_not() -> None:
    generic = replace(LAW, predictor="generic", prompts="generic")
    assert [one.counts("token", "task") for one in (LAW, generic, BOTH)] == [True, False, False]
    assert [one.counts("token", "generic") for one in (LAW, generic, BOTH)] == [False, True, False]
    assert [one.counts("token", "both") for one in (LAW, generic, BOTH)] == [False, False, False]
    assert LAW.counts("token", "seen") and replace(LAW, prompts="generic").counts("token", "generic")
    assert not LAW.counts("sequence", "task")


def test_the_kind_of_a_base_is_told_as_far_as_it_is_known() -> None:
    assert LAW.kind == "vision world"
    known = replace(LAW, model="mlp", base="bins 3: ab", base_entropy=0.52, base_entropy_most=1.61)
    prefers = "prefers some of the right answers (entropy over right answers 0.52 of 1.61 nats)"
    assert known.kind == f"vision world, mlp, bins 3, {prefers}"
    assert "indifferent among right answers" in replace(known, base_entropy=1.58).kind


def test_a_file_need_not_tell_of_seeds_or_the_bases_preferences(tmp_path: Path) -> None:
    path = tmp_path / "law.json"
    save_law(LAW, path)
    assert "coverage_seeds" not in json.loads(path.read_text())
    law = replace(LAW, coverage_seeds=Coverage(0.9, None, None, 10, 2), base_entropy=0.5, base_entropy_most=1.6)
    save_law(law, path)
    assert load_law(path) == law


def test_a_saved_law_comes_back_the_same(tmp_path: Path) -> None:
    path = tmp_path / "law.json"
    for law in (LAW, replace(LAW, coverage_methods=Coverage(0.9, None, None, 10, 2), kl=(0.1 + 0.2, 0.5, 2.5))):
        save_law(law, path)
        assert load_law(path) == law
        assert load_law(str(path)) == law
    assert [file.name for file in tmp_path.iterdir()] == ["law.json"]


def test_a_file_that_is_no_law_is_refused_with_the_path_and_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "law.json"
    with pytest.raises(ConfigError, match=r"law\.json: no such file; make a law by perdure law RUN… --save"):
        load_law(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_law(tmp_path)
    save_law(LAW, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match=r"law\.json: no law, or a law cut off: not JSON .* make one by perdure law"):
        load_law(path)
    for content in (b"[]", b"{}", b'{"what": "another"}', b"\xff\xfe"):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=r"law\.json: no"):
            load_law(path)


CHANGES = {
    "runs is missing": {"runs": None},
    "extra is unknown": {"extra": 1},
    "a law of format 2; this perdure reads format 1": {"format": 2},
    "runs is not a count": {"runs": -1},
    "points is not a count": {"points": True},
    "level is not a finite number": {"level": "high"},
    "a level lies between 0 and 1": {"level": 1.5},
    "world is not a text": {"world": 3},
    "methods is not a list": {"methods": "sft"},
    "kl is not a finite number": {"kl": [0.1, None, 2.5]},
    "kl must rise": {"kl": [0.1, 0.1, 2.5]},
    "as many of each": {"forgetting": [0.1]},
    "width_kl and what belongs to it need": {"width_kl": [0.5], "below": [0.1], "above": [0.1]},
    "cannot have a negative reach": {"below": [0.1, -0.1]},
    "coverage is not a set of named values": {"coverage": 0.94},
    "covered is missing": {"coverage": {"low": 0, "high": 1, "points": 1, "runs": 1}},
}


@pytest.mark.parametrize("message", CHANGES)
def test_a_damaged_law_is_refused(tmp_path: Path, message: str) -> None:
    path = tmp_path / "law.json"
    save_law(LAW, path)
    content = json.loads(path.read_text())
    for key, value in CHANGES[message].items():
        content[key] = value
        if value is None:
            del content[key]
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=message) as refused:
        load_law(path)
    assert str(path) in str(refused.value)
    assert "perdure law RUN…" in str(refused.value)


def test_a_number_that_json_does_not_have_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "law.json"
    save_law(LAW, path)
    path.write_text(path.read_text().replace('"level": 0.95', '"level": NaN'))
    with pytest.raises(ConfigError, match="NaN is not allowed"):
        load_law(path)
    with pytest.raises(ValueError, match="finite"):
        replace(LAW, forgetting=(0.0, math.nan, 0.5))


def test_loading_a_law_imports_nothing_heavy() -> None:
    code = (
        "import sys, perdure.budget.law.saved; "
        "print([m for m in ('numpy', 'scipy', 'torch', 'pydantic') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
