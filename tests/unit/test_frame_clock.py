"""Time of frames from timestamps and arrivals."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hand_gesture.frame_clock import MAX_GAP_SECONDS, FrameClock

ANY_TIME = st.floats(allow_nan=False, allow_infinity=False)


def test_time_starts_at_zero_and_counts_arrivals() -> None:
    clock = FrameClock()
    assert [clock.advance(arrival, None) for arrival in (100.0, 100.5, 102.0)] == [0.0, 0.5, 2.0]


def test_timestamps_of_the_client_are_used_if_present() -> None:
    clock = FrameClock()
    times = [clock.advance(arrival, sent) for arrival, sent in ((5.0, 1e12), (9.0, 1e12 + 250), (9.0, 1e12 + 500))]
    assert times == [0.0, 0.25, 0.5]


def test_arrivals_count_between_frames_with_and_without_a_time() -> None:
    clock = FrameClock()
    frames = ((1.0, None), (1.5, 7000.0), (2.5, 7125.0), (3.0, None), (3.25, 9000.0))
    assert [clock.advance(arrival, sent) for arrival, sent in frames] == [0.0, 0.5, 0.625, 1.125, 1.375]


def test_a_clock_set_back_continues_from_there() -> None:
    clock = FrameClock()
    frames = (1000.0, 1500.0, -1e9, -1e9 + 500)
    assert [clock.advance(0.0, sent) for sent in frames] == [0.0, 0.5, 0.5, 1.0]


def test_frames_may_have_the_same_time() -> None:
    clock = FrameClock()
    assert [clock.advance(0.0, sent) for sent in (1000.0, 1000.0, 1500.0, 1500.0)] == [0.0, 0.0, 0.5, 0.5]


def test_gaps_are_capped_at_a_minute() -> None:
    clock = FrameClock()
    clock.advance(0.0, 0.0)
    assert clock.advance(0.1, 1e12) == MAX_GAP_SECONDS


@given(st.lists(st.tuples(st.floats(0, 100), st.none() | ANY_TIME), max_size=50))
def test_time_never_goes_backwards(frames: list[tuple[float, float | None]]) -> None:
    clock, arrival, before = FrameClock(), 0.0, 0.0
    for gap, sent in frames:
        arrival += gap
        now = clock.advance(arrival, sent)
        assert now >= before
        assert math.isfinite(now)
        before = now


@pytest.mark.parametrize(
    ("gaps", "is_unusual"),
    [
        ([0.03, 0.03, 0.03, 0.6], True),
        ([0.03, 0.03, 0.03, 0.07], False),
        ([0.6], False),  # no previous gap
        ([5.0], False),
        ([0.9, 0.03, 0.6], False),  # not much longer than the one before the last
        ([0.5, 0.5, 1.25], False),  # not longer than 2.5 gaps
        ([0.6, 0.6, 0.6, 0.6], False),
        ([0.4, 0.9, 0.5, 0.8], False),
        ([0.6, 0.6, 0.6, 3.0], True),
        ([0.03] * 20 + [3.0] + [0.03] * 20 + [0.6], True),
    ],
)
def test_a_gap_is_a_pause_if_both_previous_gaps_were_much_shorter(gaps: list[float], *, is_unusual: bool) -> None:
    clock, arrival = FrameClock(), 0.0
    clock.advance(arrival, None)
    for gap in gaps:
        arrival += gap
        clock.advance(arrival, None)
    assert clock.is_gap_unusual() == is_unusual
