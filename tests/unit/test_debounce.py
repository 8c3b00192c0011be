"""Debouncing of frames."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hand_gesture.debounce import MIN_SCORE, PENALTY, Debouncer

NOTHING = "none"
GESTURES = st.sampled_from([NOTHING, "like", "stop", "fist"])
SHOWN = st.lists(GESTURES, max_size=60)
# Times that floats represent exactly, so that rounding does not matter
INTERVALS = st.sampled_from([1 / 64, 1 / 32, 1 / 16, 1 / 8])
HOLDS = st.sampled_from([0.125, 0.25, 0.5, 1.0])


def held(gestures: list[str], *, hold: float, interval: float) -> list[str]:
    debouncer = Debouncer(hold, NOTHING)
    outcome = []
    for index, gesture in enumerate(gestures):
        debouncer.show(gesture, index * interval)
        outcome.append(debouncer.held)
    return outcome


def changes(outcome: list[str]) -> int:
    return sum(before != after for before, after in itertools.pairwise([NOTHING, *outcome]))


def frames_to_hold(hold: float, interval: float) -> int:
    return round(hold / interval) + 1


@given(SHOWN, HOLDS, INTERVALS)
def test_held_gesture_was_shown_in_most_frames_for_hold_ms(gestures: list[str], hold: float, interval: float) -> None:
    before = NOTHING
    for index, holding in enumerate(held(gestures, hold=hold, interval=interval)):
        if holding != before:
            recent = gestures[: index + 1]
            share = max(
                recent[start:].count(holding) / (len(recent) - start)
                for start in range(len(recent))
                if (index - start) * interval >= hold and recent[start] == holding
            )
            assert share >= 2 / 3
            assert gestures[index] == holding
        before = holding


@given(SHOWN, GESTURES, HOLDS, INTERVALS)
def test_uninterrupted_gesture_is_held_after_hold_ms(
    before: list[str], gesture: str, hold: float, interval: float
) -> None:
    outcome = held([*before, *[gesture] * frames_to_hold(hold, interval)], hold=hold, interval=interval)
    assert outcome[-1] == gesture


@given(GESTURES, GESTURES, st.integers(0, 60), HOLDS, INTERVALS)
def test_wrong_frame_delays_a_new_gesture(gesture: str, wrong: str, place: int, hold: float, interval: float) -> None:
    frames = frames_to_hold(hold, interval)
    place = PENALTY + 1 + place % frames
    shown = [gesture] * place + [wrong] + [gesture] * max(frames - place, PENALTY + MIN_SCORE)
    assert held(shown, hold=hold, interval=interval)[-1] == gesture


@given(st.sampled_from(["like", "stop"]), st.integers(1, 100), HOLDS, INTERVALS)
def test_alternating_gestures_change_the_held_one_at_most_once(
    first: str, turns: int, hold: float, interval: float
) -> None:
    other = "stop" if first == "like" else "like"
    assert changes(held([first, other] * turns, hold=hold, interval=interval)) == 0
    lead = [first] * frames_to_hold(hold, interval)
    assert changes(held([*lead, *[other, first] * turns], hold=hold, interval=interval)) == 1


@pytest.mark.parametrize("rate", [30, 60])
@pytest.mark.parametrize("hold", [0.3, 0.5, 1.0])
@pytest.mark.parametrize("wrong", [["stop"], ["stop", "fist", NOTHING]])
def test_15_percent_of_wrong_frames_change_nothing(rate: int, hold: float, wrong: list[str]) -> None:
    chance = random.Random(0)  # noqa: S311
    shown = [chance.choice(wrong) if chance.random() < 0.15 else "like" for _ in range(600 * rate)]
    outcome = held(shown, hold=hold, interval=1 / rate)
    assert {*outcome[3 * rate :]} == {"like"}
    assert changes(outcome) == 1


@pytest.mark.parametrize("seed", range(3))
def test_one_wrong_gesture_in_15_percent_of_the_frames_does_not_hold_for_being_shown_twice(seed: int) -> None:
    """A short time to hold, in which chance alone puts wrong frames close to each other."""
    chance = random.Random(seed)  # noqa: S311
    shown = ["stop" if chance.random() < 0.15 else "like" for _ in range(600 * 30)]
    assert changes(held(shown, hold=0.15, interval=1 / 30)) == 1


@given(st.sampled_from(["like", "stop"]), st.integers(0, 6))
def test_every_seventh_frame_may_be_wrong(wrong: str, start: int) -> None:
    shown = [wrong if index % 7 == start else "fist" for index in range(600)]
    outcome = held(shown, hold=0.15, interval=1 / 30)
    assert changes(outcome) == 1
    assert outcome[15] == "fist"


@pytest.mark.parametrize("rate", [0.5, 1.0, 1.6])
def test_a_gesture_is_held_at_low_frame_rates(rate: float) -> None:
    assert held(["like"] * 3, hold=0.15, interval=1 / rate)[-1] == "like"


@given(SHOWN, INTERVALS)
def test_with_hold_ms_0_each_frame_is_held(gestures: list[str], interval: float) -> None:
    assert held(gestures, hold=0, interval=interval) == gestures


def test_rounded_timestamps_cost_no_frame() -> None:
    debouncer = Debouncer(0.1, NOTHING)
    for time in (0.001, 0.034, 0.067, 0.100):  # 30 frames a second, by a clock that lags by 0 to 1 ms
        debouncer.show("like", time)
    assert debouncer.held == "like"


@example(["like"] * 40, 0.5, 1 / 32)
@given(SHOWN, HOLDS, INTERVALS)
def test_missing_hand_is_released_after_hold_ms(gestures: list[str], hold: float, interval: float) -> None:
    debouncer = Debouncer(hold, NOTHING)
    for index, gesture in enumerate(gestures):
        debouncer.show(gesture, index * interval)
    last, holding = (len(gestures) - 1) * interval, debouncer.held
    for frame in range(1, frames_to_hold(hold, interval)):
        assert debouncer.held == holding
        debouncer.miss(last + frame * interval)
    assert debouncer.held == NOTHING


@given(HOLDS, INTERVALS)
def test_frames_without_the_hand_do_not_help_a_gesture_to_hold(hold: float, interval: float) -> None:
    frames = frames_to_hold(hold, interval)
    debouncer = Debouncer(hold, NOTHING)
    debouncer.show("like", 0)
    for frame in range(1, frames - 1):
        debouncer.miss(frame * interval)
    debouncer.show("like", (frames - 1) * interval)
    assert debouncer.held == (NOTHING if frames > 2 else "like")


def test_gesture_that_is_no_longer_shown_is_forgotten() -> None:
    debouncer = Debouncer(1.0, NOTHING)
    shown = ["like"] * 28 + ["stop"] * 5 + ["like"]  # 31 frames would be enough
    for index, gesture in enumerate(shown):
        debouncer.show(gesture, index / 30)
    assert debouncer.held == NOTHING


@given(st.lists(st.tuples(GESTURES, st.floats(0, 2)), max_size=60), HOLDS)
def test_two_hands_share_nothing(frames: list[tuple[str, float]], hold: float) -> None:
    alone, beside, other = (Debouncer(hold, NOTHING) for _ in range(3))
    now = 0.0
    for gesture, gap in frames:
        now += gap
        alone.show(gesture, now)
        beside.show(gesture, now)
        other.show("fist", now)
        assert beside.held == alone.held


def test_memory_is_bounded() -> None:
    debouncer = Debouncer(10.0, NOTHING)
    for index in range(1000):
        debouncer.show(f"gesture {index // 8}", index / 64)
        assert len(debouncer._candidates) <= 2


def test_previously_held_gesture_must_be_shown_again() -> None:
    debouncer = Debouncer(0.125, NOTHING)
    for frame in range(9):
        debouncer.show("like", frame / 64)
    assert debouncer.held == "like"
    debouncer.show("stop", 0.25)
    debouncer.show("stop", 0.5)
    assert debouncer.held == "stop"
    debouncer.show("like", 0.515625)
    assert debouncer.held == "stop"


def test_what_was_shown_before_a_release_does_not_count() -> None:
    debouncer = Debouncer(0.125, NOTHING)
    for time in (0.0, 0.0625):
        debouncer.show("like", time)
    debouncer.release()
    debouncer.show("like", 5.0)
    assert debouncer.held == NOTHING


def test_with_hold_ms_0_a_missing_hand_is_released_at_once() -> None:
    debouncer = Debouncer(0, NOTHING)
    debouncer.show("like", 1.0)
    assert debouncer.held == "like"
    debouncer.miss(1.0)  # a frame of the same millisecond
    assert debouncer.held == NOTHING


def test_a_gesture_whose_count_is_zero_starts_over() -> None:
    shown = ["like"] * 2 + ["stop"] + ["like"] * 4  # two for it, two taken away: the last four are without interruption
    assert held(shown, hold=3 / 8, interval=1 / 8)[-2:] == [NOTHING, "like"]


def test_a_frame_counts_against_every_other_gesture() -> None:
    shown = ["like"] * 3 + ["stop"] + ["like"] * 2 + ["stop"]  # which starts anew with the last frame
    assert held(shown, hold=3 / 8, interval=1 / 8)[-1] == NOTHING


def test_an_interrupted_gesture_is_held_from_the_least_score_on() -> None:
    shown = ["like"] * 4 + ["stop"] + ["like"] * (MIN_SCORE - 4 + PENALTY)
    assert held(shown, hold=(len(shown) - 1) / 8, interval=1 / 8)[-2:] == [NOTHING, "like"]
