"""Which hand of a frame is which hand of the frames before.

MediaPipe gives the hands of a frame in any order, misses one for some frames, and finds one twice. A tracker tells them
apart by where they are: it predicts where each hand is from its speed, and assigns the hands of the frame so that the
sum of squared distances is smallest (https://en.wikipedia.org/wiki/Assignment_problem).

The distance of two hands is the root mean square over five points of the palm, which stay where they are while fingers
move, in sizes of the hand, so that neither the unit nor the distance from the camera matters. It also tells a left hand
from a right one, whose knuckles come in the opposite order.
"""

from __future__ import annotations

import math
from collections.abc import Set
from dataclasses import dataclass
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from hand_gesture.landmarks import (
    INDEX_FINGER_MCP,
    LANDMARK_COUNT,
    MIDDLE_FINGER_MCP,
    MIN_DISTANCE,
    PINKY_MCP,
    RING_FINGER_MCP,
    WRIST,
)

# Distances are in hand sizes. In recordings of 10 to 30 frames a second a hand moved at most 0.9 from one frame to the
# next. Over all 21 points, two detections of one hand were at most 0.54 apart, and two hands at least 1.26.
REACH: Final = 2.0  # a detection farther from where a hand is expected is another hand
REACH_PER_SECOND: Final = 3.0  # more for each second between two frames, as slow cameras see larger steps
MAX_REACH: Final = 4.0
EXPECTED: Final = 0.5  # a detection closer to where a hand is expected is certainly of a hand that was there
SAME_HAND: Final = 0.6  # over all points: two detections closer to each other are of one hand
NEAR: Final = 0.25  # a step this small of a hand that is apart from the others needs no assignment
LONE_NEAR: Final = 1.0  # the same for the only hand: turned as well, its palm is still within reach
APART: Final = 1.0

MEMORY_SECONDS: Final = 2.0  # how long a missing hand keeps its number, unless told otherwise
MARK_SECONDS: Final = 0.1  # between two places from which a hand's speed is told
PREDICTED_SECONDS: Final = 0.2  # how long a missing hand is expected to go on moving as it did
SETTLED_SECONDS: Final = 0.25  # a hand that was new until then, and moves onto an older one, never was a hand

_PALM: Final = np.array(
    [
        3 * point + axis
        for point in (WRIST, INDEX_FINGER_MCP, MIDDLE_FINGER_MCP, RING_FINGER_MCP, PINKY_MCP)
        for axis in (0, 1)
    ]
)
_ROOT_OF_POINTS: Final = math.sqrt(len(_PALM) / 2)
_X: Final = 3 * MIDDLE_FINGER_MCP
_Y: Final = _X + 1
_LENGTH_TO_WIDTH: Final = 1.3  # of a palm: wrist to middle knuckle, to index to pinky knuckle


@dataclass(slots=True)
class _Track:
    """A hand over time. x and y are of one of its points; size is at most 0.1 seconds older."""

    number: int
    size: float
    hand: NDArray[np.float64]
    x: float
    y: float
    seen: float
    born: float
    # Where it was 0.1 seconds before it was last seen, and 0.1 to 0.2: a single step is too noisy to tell the speed
    mark: tuple[float, float, float]
    older_mark: tuple[float, float, float]

    def move(self, hand: NDArray[np.float64], x: float, y: float, time: float) -> None:
        """See the hand again."""
        self.hand, self.x, self.y, self.seen = hand, x, y, time
        if time - self.mark[2] >= MARK_SECONDS:
            self.older_mark, self.mark = self.mark, (x, y, time)
            self.size = _size(hand.take(_PALM).tolist())

    def predict(self, time: float) -> list[float]:
        """Where the points of the palm are expected."""
        palm: list[float] = self.hand.take(_PALM).tolist()
        self.size = _size(palm)
        x, y, since = self.older_mark
        if self.seen == since:
            return palm
        share = min(time - self.seen, PREDICTED_SECONDS) / (self.seen - since)
        step = (self.x - x) * share, (self.y - y) * share
        return [value + step[index % 2] for index, value in enumerate(palm)]

    def is_new(self, time: float) -> bool:
        """Whether it was seen for too short a time to be sure that it is a hand."""
        return time - self.born <= SETTLED_SECONDS


@dataclass(slots=True)
class _Match:
    """A hand of a frame, its track, and how far it is from where that was expected; a new hand has no track."""

    size: float
    track: _Track | None = None
    distance: float = math.inf


class Tracker:
    """Numbers the hands of one camera, from 1 on. A number is never used for another hand."""

    __slots__ = ("_count", "_last", "_lone", "_memory_seconds", "_time", "_tracks")

    def __init__(self, memory_seconds: float = MEMORY_SECONDS) -> None:
        """Start without hands.

        Args:
            memory_seconds: how long a missing hand keeps its number.
        """
        self._memory_seconds = memory_seconds
        self._tracks: dict[int, _Track] = {}
        self._last: list[int] = []  # what was returned for the frame before
        self._lone: _Track | None = None  # the only hand, if it was shown in the frame before
        self._time = -math.inf
        self._count = 0

    @property
    def known(self) -> Set[int]:
        """The numbers of the hands that are shown or may come back."""
        return self._tracks.keys()

    def update(self, hands: NDArray[np.float64], time: float) -> list[int]:
        """Find out which hands a frame shows.

        Args:
            hands: shape (n, 63), those of all frames in the same unit. The array is kept: it must not change.
            time: of the frame in seconds; never less than that of the frame before.

        Returns:
            The hands' numbers, in the order of the hands. A hand that was detected twice has its number twice.
        """
        lone = self._lone
        if lone is not None and len(hands) == 1:  # nearly every frame
            x, y = hands.item(_X), hands.item(_Y)
            if abs(x - lone.x) + abs(y - lone.y) < LONE_NEAR * lone.size:
                lone.move(hands, x, y, time)
                self._time = time
                return self._last
        if len(self._tracks) > len({*self._last}):
            self._forget(time)
        if not self._continue(hands, time):
            self._last = self._assign(hands, time)
        self._time = time
        self._lone = self._tracks[self._last[0]] if len(self._last) == len(self._tracks) == 1 else None
        return self._last

    def _forget(self, time: float) -> None:
        for track in [*self._tracks.values()]:
            # A hand of the frame before was not missing, however long ago that was
            if track.seen < self._time and time - track.seen > self._memory_seconds:
                del self._tracks[track.number]

    def _continue(self, hands: NDArray[np.float64], time: float) -> bool:
        """Move the hands of the frame before where all are there in the same order, hardly moved, apart from others."""
        if len(hands) != len(self._last):
            return False
        steps: list[tuple[_Track, float, float]] = []
        for index, number in enumerate(self._last):
            track = self._tracks[number]
            x, y = hands.item(index, _X), hands.item(index, _Y)
            if abs(x - track.x) + abs(y - track.y) > NEAR * track.size:
                return False
            steps.append((track, x, y))
        if not self._are_apart(steps):
            return False
        for index, (track, x, y) in enumerate(steps):
            track.move(hands[index], x, y, time)
        return True

    def _are_apart(self, steps: list[tuple[_Track, float, float]]) -> bool:
        """Whether hands are too far from each other, and from those that are missing, to be mistaken."""
        for place, (track, x, y) in enumerate(steps):
            for other, other_x, other_y in steps[:place]:
                if abs(x - other_x) + abs(y - other_y) < APART * max(track.size, other.size):
                    return False
        if len(steps) == len(self._tracks):
            return True
        missing = [track for track in self._tracks.values() if track.seen < self._time]
        return all(
            abs(x - track.x) + abs(y - track.y) > MAX_REACH * track.size for track in missing for _, x, y in steps
        )

    def _assign(self, hands: NDArray[np.float64], time: float) -> list[int]:
        matches = self._match(hands, time)
        seconds = self._find_seconds(hands, matches, time)
        for index in seconds:
            if (mistaken := matches[index].track) is not None and mistaken.is_new(time):
                del self._tracks[mistaken.number]
        for index, match in enumerate(matches):
            if index in seconds:
                continue
            hand = hands[index]
            x, y = hand.item(_X), hand.item(_Y)
            if match.track is None:
                self._count += 1
                match.track = self._tracks[self._count] = _Track(
                    self._count, match.size, hand, x, y, time, time, (x, y, time), (x, y, time)
                )
            else:
                match.track.move(hand, x, y, time)
        return [cast("_Track", matches[_first_of(index, seconds)].track).number for index in range(len(matches))]

    def _match(self, hands: NDArray[np.float64], time: float) -> list[_Match]:
        """Assign the hands of a frame to tracks."""
        palms: list[list[float]] = hands.take(_PALM, axis=1).tolist()
        matches = [_Match(_size(palm)) for palm in palms]
        if not self._tracks or not palms:
            return matches
        tracks = [*self._tracks.values()]
        distances = np.array(
            [
                [
                    math.dist(palm, expected) / (_ROOT_OF_POINTS * max(match.size, track.size))
                    for palm, match in zip(palms, matches, strict=True)
                ]
                for track, expected in ((track, track.predict(time)) for track in tracks)
            ]
        )
        reach = min(REACH + REACH_PER_SECOND * (time - self._time), MAX_REACH)
        # Beyond reach all are equally bad
        for row, column in zip(*linear_sum_assignment(np.minimum(distances, reach) ** 2), strict=True):
            if distances[row, column] < reach:
                matches[column].track = tracks[row]
                matches[column].distance = distances.item(row, column)
        return matches

    def _find_seconds(self, hands: NDArray[np.float64], matches: list[_Match], time: float) -> dict[int, int]:
        """From each second detection of a hand to the first one: a hand that was already there and is expected there.

        Two hands that cross are at one place, too, but both are expected there. Two that appear together are two.
        """
        seconds: dict[int, int] = {}
        for index, match in enumerate(matches):
            is_expected = match.track is not None and match.distance < EXPECTED
            if is_expected and not cast("_Track", match.track).is_new(time):
                continue
            for other, its in enumerate(matches):
                if its.track is None or other == index or other in seconds:
                    continue
                if is_expected:
                    was_first = its.track.born < cast("_Track", match.track).born
                else:
                    was_first = its.distance < match.distance
                apart = _distance_of_all(hands[index], hands[other])
                if was_first and apart < SAME_HAND * max(match.size, its.size):
                    seconds[index] = other
                    break
        return seconds


def _first_of(index: int, seconds: dict[int, int]) -> int:
    while index in seconds:
        index = seconds[index]
    return index


def _distance_of_all(hand: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Root mean square of the distances of all points, in the unit of the hands."""
    between = (hand - other).reshape(LANDMARK_COUNT, 3)[:, :2]
    return float(np.linalg.norm(between)) / math.sqrt(LANDMARK_COUNT)


def _size(palm: list[float]) -> float:
    """Length of the palm, or of one as wide where it is seen at an angle."""
    length = math.hypot(palm[4] - palm[0], palm[5] - palm[1])
    width = math.hypot(palm[8] - palm[2], palm[9] - palm[3])
    return max(length, _LENGTH_TO_WIDTH * width, MIN_DISTANCE)
