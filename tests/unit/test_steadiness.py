"""What holds, whatever frames come."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from hand_gesture.steadiness import PAUSE_SECONDS, Steadiness

NOTHING = "none"
GESTURES = st.sampled_from([NOTHING, "like", "stop", "fist"])
# Times that floats hold exactly: comparisons are about whole frames, not about roundings
INTERVALS = st.sampled_from([1 / 64, 1 / 32, 1 / 16, 1 / 8])
HOLDS = st.sampled_from([0.125, 0.25, 0.5, 1.0])


def held(gestures: list[str], *, hold: float, interval: float) -> list[tuple[str, bool]]:
    steadiness = Steadiness(hold, NOTHING)
    return [steadiness.show(gesture, index * interval) for index, gesture in enumerate(gestures)]


@given(st.lists(GESTURES, max_size=60), HOLDS, INTERVALS)
def test_what_holds_was_shown_that_long(gestures: list[str], hold: float, interval: float) -> None:
    for index, (holding, changed) in enumerate(held(gestures, hold=hold, interval=interval)):
        if changed:
            assert gestures[index] == holding
            recent = gestures[max(index - round(hold / interval), 0) : index + 1]
            assert (len(recent) - 1) * interval >= hold
            others = [shown != holding for shown in recent]
            assert not any(a and b for a, b in itertools.pairwise(others))  # never two in a row showed something else


@given(st.lists(GESTURES, max_size=60), HOLDS, INTERVALS)
def test_changed_is_told_on_every_change_and_only_then(gestures: list[str], hold: float, interval: float) -> None:
    before = NOTHING
    for holding, changed in held(gestures, hold=hold, interval=interval):
        assert changed == (holding != before)
        before = holding


@given(GESTURES, st.lists(GESTURES, max_size=20), HOLDS, INTERVALS)
def test_single_frames_never_change_what_holds(gesture: str, wrong: list[str], hold: float, interval: float) -> None:
    lead = [gesture] * (round(hold / interval) + 1)
    rest = [shown for other in wrong for shown in (other, gesture)]
    outcome = held([*lead, *rest], hold=hold, interval=interval)
    assert {holding for holding, _ in outcome[len(lead) - 1 :]} == {gesture}


@given(st.lists(GESTURES, max_size=40), GESTURES, HOLDS, INTERVALS)
def test_a_gesture_that_is_shown_holds_in_time(before: list[str], gesture: str, hold: float, interval: float) -> None:
    frames = round(hold / interval) + 1
    outcome = held([*before, *[gesture] * frames], hold=hold, interval=interval)
    assert outcome[-1][0] == gesture


@given(GESTURES, GESTURES, GESTURES, st.integers(0, 30), HOLDS, INTERVALS)
def test_a_single_wrong_frame_on_the_way_costs_one_frame_at_most(
    first: str, gesture: str, wrong: str, place: int, hold: float, interval: float
) -> None:
    frames = round(hold / interval) + 1
    place = 2 + place % frames  # what holds is believed again by a frame of its own, unless two showed something else
    shown = [gesture] * place + [wrong] + [gesture] * max(frames - place, 1)
    outcome = held([first] * frames + shown, hold=hold, interval=interval)
    assert outcome[-1][0] == gesture


@given(st.lists(GESTURES, min_size=1, max_size=40), GESTURES, HOLDS, INTERVALS)
def test_a_pause_lets_go(before: list[str], gesture: str, hold: float, interval: float) -> None:
    steadiness = Steadiness(hold, NOTHING)
    for index, shown in enumerate(before):
        steadiness.show(shown, index * interval)
    assert steadiness.show(gesture, len(before) * interval + PAUSE_SECONDS)[0] == NOTHING


@given(st.lists(GESTURES, max_size=40), INTERVALS)
def test_without_a_time_to_hold_each_frame_holds(gestures: list[str], interval: float) -> None:
    assert [holding for holding, _ in held(gestures, hold=0, interval=interval)] == gestures


@given(st.integers(1, 60), HOLDS, INTERVALS)
def test_of_two_that_take_turns_neither_takes_over(turns: int, hold: float, interval: float) -> None:
    lead = ["like"] * (round(hold / interval) + 1)
    outcome = held([*lead, *["stop", "like"] * turns], hold=hold, interval=interval)
    assert {holding for holding, _ in outcome[len(lead) - 1 :]} == {"like"}


@given(st.lists(st.tuples(GESTURES, st.floats(0, 2)), max_size=60), HOLDS)
def test_two_hands_share_nothing(frames: list[tuple[str, float]], hold: float) -> None:
    alone, beside, other = (Steadiness(hold, NOTHING) for _ in range(3))
    now = 0.0
    for gesture, gap in frames:
        now += gap
        expected = alone.show(gesture, now)
        assert beside.show(gesture, now) == expected
        other.show("fist", now)


def test_memory_is_bounded() -> None:
    steadiness = Steadiness(1.0, NOTHING)
    for index in range(1000):
        steadiness.show(f"gesture {index}", index / 64)
    assert len(steadiness._runs) <= 2
