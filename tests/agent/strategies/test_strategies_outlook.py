"""What a trial promises: figures by hand, and what must hold whatever the figures are."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.agent.strategies.contract import TrialResult
from perdure.agent.strategies.outlook import (
    FORGETTING_PER_NAT,
    KNEE,
    SPREAD,
    EarlierTasks,
    Outlook,
    best,
    gain_at,
    gain_stderr,
    growth,
    imitated_at,
    kl_at,
    lost_at,
    lost_stderr,
    outlook,
    share_of_full_rate,
    shrunk,
    steps_within,
    within_noise,
)
from tests.agent.strategies.situations import trial


def by_nats(kl: float) -> float:
    return FORGETTING_PER_NAT * kl


@st.composite
def trials(draw: st.DrawFn) -> TrialResult:
    share, nats = st.floats(0, 1), st.floats(0, 5)
    return trial(
        steps=draw(st.integers(1, 50)),
        before=draw(share),
        after=draw(share),
        stderr=draw(st.one_of(st.none(), st.floats(0, 0.5))),
        kl_before=draw(nats),
        kl=draw(nats),
        midway=draw(st.one_of(st.none(), nats)),
        writer_kl=draw(st.one_of(st.none(), st.tuples(nats, nats))),
    )


def test_the_gain_closes_the_same_share_of_the_gap_every_step() -> None:
    # 10 steps take 0.5 to 0.6: a fifth of the gap of 0.5 is closed, so that 20 leave 0.8² of it, and 30 0.8³
    one = trial(before=0.5, after=0.6)
    assert gain_at(one, 10) == pytest.approx(0.1)
    assert gain_at(one, 20) == pytest.approx(0.5 * (1 - 0.64))
    assert gain_at(one, 30) == pytest.approx(0.5 * (1 - 0.512))


def test_a_gain_that_is_all_there_was_stays_so() -> None:
    assert gain_at(trial(before=0.5, after=1.0), 1000) == 0.5
    assert gain_at(trial(before=1.0, after=1.0), 1000) == 0


def test_a_loss_and_a_gain_without_a_ceiling_are_taken_as_they_are() -> None:
    assert gain_at(trial(before=0.5, after=0.4), 1000) == pytest.approx(-0.1)
    assert gain_at(trial(before=3.0, after=3.5), 1000) == pytest.approx(0.5)


def test_imitation_that_falls_is_expected_to_rise_with_its_likelihood() -> None:
    # the writer's answer has a tenth of the mass at first and 10^-0.5 after 10 steps, so 10^-0.25 = 0.562 after 20; the
    # other nine tenths hold 0.4 - 0.1 = 0.3 of what is right, a third of them
    one = trial(before=0.4, after=0.35, stderr=0.03, writer_kl=(math.log(10), math.log(10) / 2))
    assert imitated_at(one, 10) == pytest.approx(0.31623 + 0.68377 / 3, abs=1e-4)
    assert imitated_at(one, 20) == pytest.approx(0.56234 + 0.43766 / 3, abs=1e-4)
    assert gain_at(one, 20) == pytest.approx(0.30823, abs=1e-4)
    assert gain_stderr(one, 20) == pytest.approx(math.hypot(0.03, SPREAD * (0.70823 - 0.54415)), abs=1e-4)
    # sampled answers that rise faster are believed, and a likelihood that falls stays
    assert gain_at(trial(before=0.4, after=0.9, writer_kl=(2.0, 1.9)), 10) == pytest.approx(0.5)
    assert imitated_at(trial(before=0.4, writer_kl=(1.0, 2.0)), 100) == imitated_at(
        trial(before=0.4, writer_kl=(1.0, 2.0)), 10
    )
    assert imitated_at(trial(before=0.4), 10) is None
    # who writes as the writer does from the first step is worth as much
    assert imitated_at(trial(before=1.0, writer_kl=(0.0, 0.0)), 10) == 1.0


def test_noise_makes_a_gain_small() -> None:
    # as large as its error: half of it; three times as large: 0.9 of it
    assert shrunk(0.1, 0.1) == pytest.approx(0.05)
    assert shrunk(-0.3, 0.1) == pytest.approx(-0.27)
    assert shrunk(0.1, None) == 0.1
    assert shrunk(0.0, 0.1) == 0


def test_the_error_of_a_gain_is_carried_to_the_end() -> None:
    # 0.5 → 0.6 ± 0.1 over 10 steps, to 20: gains of 0.2 and 0 in the trial end at 0.5 (1 - 0.6²) = 0.32 and at 0
    assert gain_stderr(trial(stderr=0.1), 20) == pytest.approx(0.16)
    assert gain_stderr(trial(stderr=None), 20) is None


def test_the_power_of_the_kl_comes_from_the_middle_of_the_trial() -> None:
    # four times the KL in twice the steps: 2; twice: 1; eight times is held to 2, and less than twice to 1
    assert growth(trial(kl=0.04, midway=0.01)) == pytest.approx(2)
    assert growth(trial(kl=0.04, midway=0.02)) == pytest.approx(1)
    assert growth(trial(kl=0.04, midway=0.005)) == 2
    assert growth(trial(kl=0.04, midway=0.03)) == 1
    assert growth(trial(kl=0.04, midway=None)) == 1
    assert growth(trial(kl=0.04, midway=-0.01)) == 1
    # counted from where the stage began: 0.1 of rise in the first half, 0.4 in all
    assert growth(trial(kl_before=0.5, kl=0.9, midway=0.6)) == pytest.approx(2)


def test_the_kl_is_a_power_up_to_the_knee_and_straight_beyond() -> None:
    # 0.03 in 10 steps, quadratic: 0.12 in 20; the knee of 0.3 at 10·√10 = 31.6, with a slope of 2·0.3/31.6 a step
    one = trial(kl=0.03, midway=0.0075)
    assert KNEE == 0.3
    assert kl_at(one, 20) == pytest.approx(0.12)
    knee = 10 * math.sqrt(10)
    assert kl_at(one, knee) == pytest.approx(0.3)
    assert kl_at(one, knee + 10) == pytest.approx(0.3 + 10 * 0.6 / knee)


def test_a_kl_that_fell_stays() -> None:
    assert kl_at(trial(kl_before=0.5, kl=0.4), 1000) == 0.4
    assert steps_within(trial(kl_before=0.5, kl=0.4), 1000, cap=0.1) == 1000


def test_the_cap_ends_the_stage_and_the_gain() -> None:
    # 0.1 nats in 10 steps, straight: a cap of 0.25 is met after 25 of the 100
    one = trial(kl=0.1)
    seen = outlook(one, 100, cap=0.25, forgetting=by_nats, weight=2.0)
    assert seen.steps == pytest.approx(25)
    assert seen.kl == pytest.approx(0.25)
    assert seen.gain == pytest.approx(0.5 * (1 - 0.8**2.5))
    assert seen.forgetting == pytest.approx(0.05 * 0.25)
    assert seen.value == pytest.approx(seen.gain - 2 * seen.forgetting)


def test_with_a_penalty_the_kl_levels_off_and_learning_goes_on() -> None:
    seen = outlook(trial(kl=0.1), 100, cap=0.25, forgetting=by_nats, weight=1.0, levels_off=True)
    assert (seen.steps, seen.kl) == (100, 0.25)
    assert seen.gain == pytest.approx(0.5 * (1 - 0.8**10))


def test_what_earlier_tasks_lose_is_at_most_what_was_learned_of_them() -> None:
    # two tasks, 0.4 learned of each; 0.1 lost in 10 steps is 0.2 in 40, and 1 in 1000, of which there is 0.4
    one = trial(kl=0.1, lost=0.1)
    seen = outlook(one, 40, cap=9.0, forgetting=by_nats, weight=2.0, earlier=EarlierTasks(2, 0.4))
    assert seen.lost == pytest.approx(2 * 0.2)
    assert seen.value == pytest.approx(seen.gain - 2 * (seen.lost + seen.forgetting))
    assert lost_at(one, 1000, 0.4) == pytest.approx(0.4)
    # one that rose is taken as it is, and more than was learned too
    assert lost_at(trial(lost=-0.1), 1000, 0.4) == -0.1
    assert lost_at(trial(lost=0.1), 1000, 0.05) == 0.1
    assert lost_at(trial(lost=None), 1000, 0.4) == 0
    assert lost_stderr(trial(lost=0.1, lost_stderr=0.1), 40) == pytest.approx(0.2)


def test_without_a_cap_all_steps_count() -> None:
    seen = outlook(trial(kl=0.1), 100, cap=math.inf, forgetting=by_nats, weight=1.0)
    assert (seen.steps, seen.kl) == (100, pytest.approx(1.0))


@given(trials(), st.floats(1, 500), st.floats(0.01, 10))
def test_whatever_was_tried_the_outlook_is_sane(one: TrialResult, steps: float, cap: float) -> None:
    seen = outlook(one, steps, cap=cap, forgetting=by_nats, weight=1.0)
    assert 0 <= seen.steps <= steps
    assert all(map(math.isfinite, (seen.gain, seen.stderr or 0.0, seen.kl, seen.value)))
    assert seen.gain <= 1 - one.before or one.after >= 1
    assert seen.kl <= max(cap, one.kl_before) + 1e-9


@given(trials(), st.floats(1, 500), st.floats(1, 500))
def test_more_steps_mean_no_less_kl_and_no_less_gain(one: TrialResult, some: float, other: float) -> None:
    few, many = sorted((some, other))
    assert kl_at(one, few) <= kl_at(one, many) + 1e-9
    assert gain_at(one, few) <= gain_at(one, many) + 1e-9


@given(trials(), st.floats(1, 500), st.floats(0.01, 10))
def test_the_steps_within_a_cap_are_the_most_that_are(one: TrialResult, steps: float, cap: float) -> None:
    end = steps_within(replace(one, kl=one.kl_before + abs(one.kl - one.kl_before)), steps, cap)
    rising = replace(one, kl=one.kl_before + abs(one.kl - one.kl_before))
    if end > 0 and rising.kl > rising.kl_before:
        assert kl_at(rising, end) <= cap + 1e-6


def test_the_error_of_a_value_has_that_of_the_expected_kl() -> None:
    # 0.1 nats in 10 steps are 0.2 in 20: half a point more at five points a nat, nine tenths of which are in doubt
    found = outlook(trial(stderr=0.0), 20, cap=math.inf, forgetting=lambda kl: 0.05 * kl, weight=2.0)
    assert (found.kl, found.stderr) == (pytest.approx(0.2), pytest.approx(2 * 0.9 * 0.005))


def seen(value: float, kl: float, stderr: float = 0.0) -> Outlook:
    return Outlook(1, value, stderr, kl, 0.0, value)


def test_the_best_has_the_highest_value_whatever_its_noise_and_of_equals_the_least_kl() -> None:
    assert best([seen(0.2, 0.1), seen(0.3, 0.5)]) == 1
    # 0.1 apart, with an error of 0.08 √2 = 0.11: not to be told apart, and still the best guess
    tied = [seen(0.2, 0.1, 0.08), seen(0.3, 0.5, 0.08), seen(0.0, 0.0)]
    assert best(tied) == 1 and within_noise(tied) == [0, 1]
    assert best([seen(0.3, 0.5), seen(0.3, 0.4)]) == 1


def test_schedules_as_shares_of_the_full_rate() -> None:
    # a warm-up over a tenth is half as fast there: 0.05 + 0.9; a line or half a cosine averages a half
    assert share_of_full_rate("constant", 0.1) == 1
    assert share_of_full_rate("constant_with_warmup", 0.1) == pytest.approx(0.95)
    assert share_of_full_rate("linear", 0.1) == share_of_full_rate("cosine", 0.0) == 0.5
