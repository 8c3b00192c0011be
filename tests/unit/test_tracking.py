"""Hands keep their IDs despite noise, misses and duplicates of the detector."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hand_gesture.tracking import CONFIRMED_SECONDS, MEMORY_SECONDS, Tracker
from tests.hands import IMAGE_SIZE, REFERENCE
from tests.sequences import NAMES, load_recording

SEEDS = st.integers(0, 2**32 - 1)
RATES = st.sampled_from([10, 15, 30, 60])
SHAPES = [(np.array(hand) * [*IMAGE_SIZE, 1]).reshape(21, 3) for hand in REFERENCE.hands.values()]
NOISE = 0.03  # of each coordinate, in hand sizes

Array = NDArray[np.float64]
Path = Callable[[float], tuple[float, float]]  # from seconds to a place, in hand sizes


@dataclass
class Actor:
    """A moving hand: landmarks relative to the palm, and positions of the palm, in hand sizes."""

    shape: Array
    path: Path

    def at(self, time: float, random: np.random.Generator) -> Array:
        """Its landmarks, shape (63,)."""
        points = self.shape + random.normal(0, NOISE, self.shape.shape)
        points[:, :2] += self.path(time)
        return points.reshape(63)


def shaped(index: int) -> Array:
    points = SHAPES[index % len(SHAPES)].copy()
    points -= points[9]
    points /= math.hypot(*points[0, :2])
    return points


def turned(points: Array, turns: int) -> Array:
    """Points after some quarter turns in the picture."""
    for _ in range(turns):
        points = points[..., [1, 0, 2]] * [-1, 1, 1]
    return points


def still(x: float, y: float = 0.0) -> Path:
    return lambda _: (x, y)


def moving(x: float, speed: float, y: float = 0.0) -> Path:
    return lambda time: (x + speed * time, y)


def swaying(x: float, speed: float, phase: float) -> Path:
    """Back and forth by two hand sizes, at a greatest speed in hand sizes a second."""
    return lambda time: (x + math.sin(speed * time + phase), 0.5 * math.cos(1.3 * speed * time))


def numbers_of(
    actors: list[Actor],
    random: np.random.Generator,
    *,
    rate: float,
    seconds: float,
    is_seen: Callable[[int, float], bool] = lambda *_: True,
    is_judged: Callable[[float], bool] = lambda _: True,
) -> list[set[int]]:
    """The IDs of each hand in the evaluated frames, with detections in random order."""
    tracker = Tracker()
    given: list[set[int]] = [set() for _ in actors]
    for frame in range(round(seconds * rate)):
        time = frame / rate
        order = [index for index in random.permutation(len(actors)).tolist() if is_seen(index, time)]
        hands = np.array([actors[index].at(time, random) for index in order]).reshape(-1, 63)
        numbers = tracker.update(hands, 1000 + time)
        if is_judged(time):
            for index, number in zip(order, numbers, strict=True):
                given[index].add(number)
    return given


def are_told_apart(given: list[set[int]]) -> bool:
    return all(len(numbers) == 1 for numbers in given) and len(set.union(*given)) == len(given)


@given(SEEDS, RATES, st.integers(1, 8))
def test_ids_do_not_depend_on_the_order(seed: int, rate: int, count: int) -> None:
    random = np.random.default_rng(seed)
    actors = [
        Actor(shaped(int(random.integers(18))), swaying(4.5 * index, random.uniform(0, 6), random.uniform(0, 6)))
        for index in range(count)
    ]
    assert are_told_apart(numbers_of(actors, random, rate=rate, seconds=2))


# Slower hands are at one place for longer than 0.1 seconds, and one crossing of a thousand is mistaken
@given(SEEDS, RATES, st.floats(3, 10), st.floats(0, 1), st.integers(0, 17))
def test_crossing_hands_keep_their_ids(seed: int, rate: int, speed: float, apart: float, shape: int) -> None:
    random = np.random.default_rng(seed)
    half = max(1.0, 10 / rate)
    actors = [
        Actor(shaped(shape), moving(-speed * half, speed, 0)),
        Actor(shaped(shape), moving(speed * half, -speed, apart)),
    ]
    given = numbers_of(
        actors,
        random,
        rate=rate,
        seconds=2 * half,
        # Hands at the same place cannot be distinguished
        is_judged=lambda time: math.hypot(2 * speed * (time - half), apart) > 0.3,
    )
    assert are_told_apart(given)


@given(SEEDS, st.sampled_from([15, 30, 60]), st.floats(2, 8), st.integers(0, 17))
def test_hand_hidden_while_crossing_keeps_its_id(seed: int, rate: int, speed: float, shape: int) -> None:
    random = np.random.default_rng(seed)
    actors = [Actor(shaped(shape), moving(-speed, speed)), Actor(shaped(shape), moving(speed, -speed, 0.3))]
    given = numbers_of(
        actors, random, rate=rate, seconds=2, is_seen=lambda actor, time: actor == 0 or abs(time - 1) * speed > 0.5
    )
    assert are_told_apart(given)


@given(SEEDS, RATES, st.integers(1, 4), st.floats(0, 0.4))
def test_occasionally_missing_hands_keep_their_ids(seed: int, rate: int, count: int, share: float) -> None:
    # Apart by more than a hand may move unseen: one that appears where another is missing could be either
    random = np.random.default_rng(seed)
    actors = [Actor(shaped(index), swaying(6 * index, 3, random.uniform(0, 6))) for index in range(count)]
    given = numbers_of(actors, random, rate=rate, seconds=3, is_seen=lambda *_: random.random() >= share)
    assert are_told_apart(given)


@given(SEEDS, RATES, st.floats(0.05, 0.9 * MEMORY_SECONDS))
def test_hand_that_reappears_nearby_keeps_its_id(seed: int, rate: int, away: float) -> None:
    random = np.random.default_rng(seed)
    actors = [Actor(shaped(3), lambda time: (0.8 if time > 1 else 0.0, 0.0)), Actor(shaped(4), still(6))]
    given = numbers_of(
        actors, random, rate=rate, seconds=4, is_seen=lambda actor, time: actor == 1 or not 1 <= time < 1 + away
    )
    assert are_told_apart(given)


@given(seed=SEEDS, rate=RATES, is_elsewhere=st.booleans())
def test_hand_away_for_long_or_elsewhere_gets_a_new_id(seed: int, rate: int, *, is_elsewhere: bool) -> None:
    random = np.random.default_rng(seed)
    away = 0.5 if is_elsewhere else MEMORY_SECONDS + 0.2
    actor = Actor(shaped(3), lambda time: (6.0 if is_elsewhere and time > 1 else 0.0, 0.0))
    given = numbers_of([actor], random, rate=rate, seconds=5, is_seen=lambda _, time: not 1 <= time < 1 + away)
    assert given == [{1, 2}]


@pytest.mark.parametrize(("step", "ids"), [(0.5, [1]), (1.9, [1]), (2.5, [2]), (3.5, [2])])
@pytest.mark.parametrize("turns", [0, 1])
@pytest.mark.parametrize("direction", [(-1, 0), (1, 0), (0, -1), (0, 1)])
@pytest.mark.parametrize("size", [0.1, 1, 100])
def test_a_lone_hand_that_jumps_is_another_hand(
    size: float, direction: tuple[int, int], turns: int, step: float, ids: list[int]
) -> None:
    """A hand moves at most two hand sizes between two frames of a thirtieth of a second."""
    tracker, hand, half = Tracker(), turned(shaped(0), turns), np.array([*direction, 0]) * step / 2
    for frame in range(30):
        assert tracker.update(size * (hand - half).reshape(1, 63), frame / 30) == [1]
    assert tracker.update(size * (hand + half).reshape(1, 63), 1.0) == ids


@pytest.mark.parametrize(("step", "ids"), [(3.0, [1]), (4.5, [2])])
def test_a_hand_may_move_farther_between_two_frames_that_are_far_apart(step: float, ids: list[int]) -> None:
    tracker = Tracker()
    assert tracker.update(shaped(0).reshape(1, 63), 0) == [1]
    assert tracker.update((shaped(0) + np.array([step, 0, 0])).reshape(1, 63), 0.5) == ids


@pytest.mark.parametrize("turns", [0, 1])
@pytest.mark.parametrize("index", range(3))
def test_a_hand_that_points_at_the_camera_may_move_as_far(index: int, turns: int) -> None:
    """Its palm looks short, but not narrow."""
    points = turned(shaped(index), turns)
    length = (points[9] - points[0])[:2]
    points[:, :2] -= 0.9 * (points[:, :2] @ length)[:, np.newaxis] * length
    tracker = Tracker()
    assert tracker.update(points.reshape(1, 63), 0) == [1]
    assert tracker.update((points + np.array([0.6, 0, 0])).reshape(1, 63), 1 / 30) == [1]


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_hands_that_move_together_keep_their_ids(order: list[int]) -> None:
    """The sum of the squared distances is minimal, not that of the distances."""
    before = np.array([shaped(0).reshape(63) + np.tile(place, 21) for place in ((0, 0, 0), (1, 0.3, 0))])
    after = np.array([shaped(0).reshape(63) + np.tile(place, 21) for place in ((1.1, 0.3, 0), (2.05, 0, 0))])
    tracker = Tracker()
    assert tracker.update(before, 0) == [1, 2]
    assert tracker.update(after[order], 1 / 30) == [index + 1 for index in order]


@pytest.mark.parametrize(("is_older", "ids"), [(True, [1, 1]), (False, [1, 2])])
def test_a_new_hand_that_meets_an_older_one_was_a_false_detection(is_older: bool, ids: list[int]) -> None:
    """Two hands that appear together are two."""
    tracker, hand = Tracker(), shaped(0).reshape(63)
    if is_older:
        for frame in range(30):
            assert tracker.update(hand[np.newaxis], frame / 30) == [1]
    for frame, away in enumerate((1.3, 1.0, 0.7, 0.4), start=30):
        numbers = tracker.update(np.array([hand, hand + np.tile([away, 0, 0], 21)]), frame / 30)
        assert numbers == ([1, 2] if away > 0.6 else ids)
    assert len(tracker.known) == len({*ids})


@pytest.mark.parametrize("seconds", [5e-324, 1e-318, 1e-9])
def test_frames_almost_at_the_same_time_give_no_velocity(seconds: float) -> None:
    tracker, hand = Tracker(), shaped(0).reshape(1, 63)
    assert tracker.update(hand, 0.0) == [1]
    assert tracker.update(hand, seconds) == [1]
    assert tracker.update(hand + 3, 0.1) == [2]


def test_only_missing_hands_are_forgotten() -> None:
    stays, leaves = shaped(2).reshape(63), shaped(3).reshape(63) + np.tile([6, 0, 0], 21)
    both = np.array([stays, leaves])
    tracker = Tracker()
    assert tracker.update(both, 0) == [1, 2]
    assert tracker.update(both[:1], MEMORY_SECONDS / 2) == [1]
    assert tracker.update(both, MEMORY_SECONDS) == [1, 2]  # not yet
    assert tracker.update(both[:1], MEMORY_SECONDS + 1) == [1]
    assert tracker.update(both[:1], 10 * MEMORY_SECONDS) == [1]  # it was in the frame before, however long ago
    assert tracker.update(both, 10 * MEMORY_SECONDS + 0.1) == [1, 3]


@given(SEEDS, RATES, st.integers(0, 1), st.floats(2.2, 8))
def test_remaining_hand_keeps_its_id_when_another_leaves(seed: int, rate: int, gone: int, apart: float) -> None:
    random = np.random.default_rng(seed)
    actors = [Actor(shaped(2), still(0)), Actor(shaped(7), still(apart))]
    assert are_told_apart(
        numbers_of(actors, random, rate=rate, seconds=6, is_seen=lambda actor, time: actor != gone or time < 1)
    )


@given(seed=SEEDS, rate=RATES, shift=st.floats(0, 0.3), scale=st.floats(0.7, 1.2), comes_first=st.booleans())
def test_hand_detected_twice_has_one_id(seed: int, rate: int, shift: float, scale: float, *, comes_first: bool) -> None:
    random = np.random.default_rng(seed)
    actor, other = Actor(shaped(5), swaying(0, 3, 0)), Actor(shaped(6), still(5))
    tracker = Tracker()
    for frame in range(3 * rate):
        time = frame / rate
        hands = [actor.at(time, random), other.at(time, random)]
        is_twice = frame > 0 and random.random() < 0.3
        if is_twice:
            second = Actor(actor.shape * scale, actor.path).at(time, random) + np.tile([shift, 0, 5], 21)
            hands.insert(0 if comes_first else 2, second)
        expected = [1, 2] if not is_twice else [1, 1, 2] if comes_first else [1, 2, 1]
        assert tracker.update(np.array(hands), time) == expected


@pytest.mark.parametrize("apart", [2, 6])
@pytest.mark.parametrize("is_away", [True, False], ids=["forgotten", "remembered"])
def test_second_detections_of_a_hand_do_not_count_as_the_missing_one(*, is_away: bool, apart: float) -> None:
    random = np.random.default_rng(0)
    stays, leaves = Actor(shaped(2), still(0)), Actor(shaped(3), still(apart))
    tracker = Tracker()
    time = -2 * CONFIRMED_SECONDS
    while time < 0:
        time += 0.05
        assert tracker.update(np.array([stays.at(0, random), leaves.at(0, random)]), time) == [1, 2]
    while time < MEMORY_SECONDS + (0.1 if is_away else -0.1):
        time += 0.05
        assert tracker.update(np.array([stays.at(0, random)] * 2), time) == [1, 1]
    came_back = tracker.update(np.array([stays.at(0, random), leaves.at(0, random)]), time)
    assert came_back == [1, 3 if is_away else 2]


@pytest.mark.parametrize("other_is_there", [False, True])
@pytest.mark.parametrize("direction", [-1, 1])
def test_hand_that_changed_size_is_not_confused_with_a_distant_one(direction: int, *, other_is_there: bool) -> None:
    """A hand goes away from the camera or comes nearer, then it is gone and another appears eight sizes beside it."""
    tracker = Tracker()
    sizes = np.geomspace(300, 50, 60)[::direction]
    other = [shaped(4).reshape(63) * 100 + 1e5] if other_is_there else []
    for frame, size in enumerate(sizes):
        assert tracker.update(np.array([shaped(3).reshape(63) * size, *other]), frame / 30)[0] == 1
    elsewhere = (shaped(3) * sizes[-1] + [8 * sizes[-1], 0, 0]).reshape(63)
    assert tracker.update(np.array([elsewhere, *other]), 2.0)[0] != 1


@given(st.lists(st.lists(st.integers(0, 17), min_size=1, max_size=4, unique=True), min_size=2, max_size=6))
def test_hands_that_appear_together_get_different_ids(frames: list[list[int]]) -> None:
    tracker = Tracker()
    for time, shown in enumerate(frames):
        numbers = tracker.update(np.array([shaped(index).reshape(63) for index in shown]), time / 30)
        if time == 0:
            assert numbers == [*range(1, len(shown) + 1)]


@given(SEEDS, st.floats(1e-3, 1e5), st.floats(-10, 10), st.integers(0, 3))
def test_tracking_is_invariant_to_unit_position_and_quarter_turns(
    seed: int, scale: float, shift: float, turns: int
) -> None:
    random = np.random.default_rng(seed)
    actors = [Actor(shaped(index), swaying(1.7 * index, 8, random.uniform(0, 6))) for index in range(3)]
    plain, changed = Tracker(), Tracker()
    for frame in range(40):
        shown = [index for index in random.permutation(3).tolist() if random.random() < 0.9]
        hands = np.array([actors[index].at(frame / 15, random) for index in shown]).reshape(-1, 63)
        other = (turned(hands.reshape(-1, 21, 3), turns).reshape(-1, 63) + shift) * scale
        assert changed.update(other, frame / 15) == plain.update(hands, frame / 15)


class LongWay(Tracker):
    """Assigns the hands of each frame."""

    assigned = 0  # frames

    def update(self, hands: Array, time: float) -> list[int]:
        self._single = None
        return super().update(hands, time)

    def _update_unchanged(self, hands: Array, time: float) -> bool:  # noqa: ARG002
        return False

    def _assign(self, hands: Array, time: float) -> list[int]:
        self.assigned += 1
        return super()._assign(hands, time)


@pytest.mark.parametrize("size", [0.1, 100])
@given(SEEDS, st.integers(1, 3), st.floats(0, 6), st.floats(0.5, 2.5))
def test_fast_path_gives_the_same_ids(size: float, seed: int, count: int, speed: float, apart: float) -> None:
    random = np.random.default_rng(seed)
    actors = [Actor(shaped(index), swaying(apart * index, speed, random.uniform(0, 6))) for index in range(count)]
    short, long = Tracker(), LongWay()
    for frame in range(60):
        shown = [index for index in range(count) if random.random() < 0.95]
        hands = size * (10 + np.array([actors[index].at(frame / 30, random) for index in shown]).reshape(-1, 63))
        assert short.update(hands, frame / 30) == long.update(hands, frame / 30)
    assert long.assigned == 60


@given(
    st.lists(
        st.tuples(
            st.lists(
                st.tuples(st.sampled_from([0.0, 1e-300, 1.0, 1e11]), st.floats(-1e11, 1e11), st.integers(0, 17)),
                max_size=8,
            ),
            st.sampled_from([0.0, 1 / 30, 1.0, 60.0]),
        ),
        max_size=30,
    )
)
def test_each_hand_gets_an_id_and_ids_are_not_reused(
    frames: list[tuple[list[tuple[float, float, int]], float]],
) -> None:
    tracker = Tracker()
    time, most = 0.0, 0
    forgotten: set[int] = set()
    for shown, gap in frames:
        time += gap
        known = set(tracker.known)
        hands = [(shaped(index) * scale).reshape(63) + shift for scale, shift, index in shown]
        numbers = tracker.update(np.array(hands).reshape(-1, 63), time)
        assert len(numbers) == len(shown)
        assert {*numbers} <= {*tracker.known}
        new = {*numbers} - known
        assert new == {*range(most + 1, most + len(new) + 1)}
        most = max(most, *numbers, 0)
        forgotten |= known - tracker.known
        assert not forgotten & {*numbers}


# How many hands each clip shows, as far as a hand that was away for more than two seconds is another one. Two of
# brkyc3_webcam are of a single frame each.
HANDS = {
    "begolo_webcam": 1,
    "brkyc3_webcam": 6,
    "finger_counting": 1,
    "mason_webcam": 7,
    "rps_two_hands": 5,  # the video has cuts
    "two_hands_relaxed": 2,
}


@pytest.mark.skipif(not NAMES, reason="there are no recordings beside the project")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("missed", [0, 0.15])
def test_hands_of_recordings_keep_their_ids(name: str, missed: float) -> None:
    if name not in HANDS:
        pytest.skip(f"nobody has counted the hands of {name}")
    recording = load_recording(name)
    for seed in range(3):
        random = np.random.default_rng(seed)
        tracker = Tracker()
        numbers: set[int] = set()
        for hands, time in zip(recording.hands, recording.times, strict=True):
            shown = [index for index in random.permutation(len(hands)).tolist() if random.random() >= missed]
            numbers |= {*tracker.update(hands[shown], time)}
        assert len(numbers) <= HANDS[name]


@pytest.mark.skipif(
    "two_hands_relaxed" not in NAMES, reason="there is no recording two_hands_relaxed beside the project"
)
def test_crossing_hands_of_a_recording_are_not_exchanged() -> None:
    recording = load_recording("two_hands_relaxed")
    tracker = Tracker()
    sides: dict[int, list[str]] = {}
    random = np.random.default_rng(0)
    for hands, time, handedness in zip(recording.hands, recording.times, recording.handedness, strict=True):
        order = random.permutation(len(hands)).tolist()
        numbers = tracker.update(hands[order], time)
        if len({*numbers}) == 2:
            for number, index in zip(numbers, order, strict=True):
                sides.setdefault(number, []).append(handedness[index])
    # MediaPipe itself sometimes confuses the two
    assert [max(map(seen.count, ("Left", "Right"))) / len(seen) > 0.8 for seen in sides.values()] == [True, True]
