"""Tracks hands: gives each hand of a camera a number that stays the same from frame to frame.

MediaPipe returns the hands of a frame in any order, misses a hand for some frames, and detects one twice. So the
tracker predicts the position of each known hand from its velocity, and assigns detections to hands such that the sum of
squared distances is minimal (https://en.wikipedia.org/wiki/Assignment_problem).

The distance of two hands is the root mean square distance of five palm landmarks, which do not move with the fingers.
It is measured in hand sizes, so it does not depend on the unit or on the distance from the camera. A left and a right
hand at one place are far apart, because their knuckles are in opposite order.
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

# Distances are in hand sizes. In recordings of 10 to 30 frames a second, a hand moved at most 0.9 between two frames.
# Over all 21 landmarks, two detections of one hand were at most 0.54 apart, and two hands at least 1.26.
GATE: Final = 2.0  # a detection farther from a predicted position is another hand
GATE_PER_SECOND: Final = 3.0  # added for the time between two frames, because hands move farther
MAX_GATE: Final = 4.0
EXPECTED: Final = 0.5  # a detection closer to a predicted position is certainly that hand
SAME_HAND: Final = 0.6  # two detections whose 21 landmarks are closer are of one hand
SMALL_STEP: Final = 0.25  # a hand that moved less, and is apart from others, needs no assignment
SINGLE_HAND_STEP: Final = 1.0  # the same for a single hand: its palm is within the gate, even if it turns
APART: Final = 1.0

MEMORY_SECONDS: Final = 2.0  # default time for which a missing hand keeps its number
MARK_SECONDS: Final = 0.1  # between the two positions that give the velocity
MIN_STEP_SECONDS: Final = 0.001  # between two positions for a velocity; a client's timestamps may be closer
PREDICTED_SECONDS: Final = 0.2  # a missing hand is expected to keep its velocity for this time
CONFIRMED_SECONDS: Final = 0.25  # a younger hand that meets an older one was a false detection

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
_LENGTH_TO_WIDTH: Final = 1.3  # of a palm: wrist to middle knuckle, divided by index to pinky knuckle


@dataclass(slots=True)
class _Track:
    """A hand over time."""

    number: int
    size: float  # of the palm, up to MARK_SECONDS old
    hand: NDArray[np.float64]
    x: float  # of the middle finger's knuckle
    y: float
    last_seen: float
    first_seen: float
    # Earlier x, y and time, at least MARK_SECONDS apart: the step of a single frame is too noisy for a velocity
    mark: tuple[float, float, float]
    older_mark: tuple[float, float, float]

    def move(self, hand: NDArray[np.float64], x: float, y: float, time: float) -> None:
        """Update the track with a detection."""
        self.hand, self.x, self.y, self.last_seen = hand, x, y, time
        if time - self.mark[2] >= MARK_SECONDS:
            self.older_mark, self.mark = self.mark, (x, y, time)
            self.size = _size(hand.take(_PALM).tolist())

    def predict(self, time: float) -> list[float]:
        """The expected coordinates of the palm's landmarks: x1 y1 … x5 y5."""
        palm: list[float] = self.hand.take(_PALM).tolist()
        self.size = _size(palm)
        x, y, since = self.older_mark
        seconds = self.last_seen - since
        if seconds < MIN_STEP_SECONDS:
            return palm
        share = min(time - self.last_seen, PREDICTED_SECONDS) / seconds
        step = (self.x - x) * share, (self.y - y) * share
        return [value + step[index % 2] for index, value in enumerate(palm)]

    def is_new(self, time: float) -> bool:
        """Whether the hand is too new to be sure that it is not a false detection."""
        return time - self.first_seen <= CONFIRMED_SECONDS


@dataclass(slots=True)
class _Match:
    """A detection: its size, its track (None for a new hand) and its distance from the predicted position."""

    size: float
    track: _Track | None = None
    distance: float = math.inf


class Tracker:
    """Numbers the hands of one camera from 1. A number is never reused for another hand."""

    __slots__ = ("_count", "_last", "_memory_seconds", "_single", "_time", "_tracks")

    def __init__(self, memory_seconds: float = MEMORY_SECONDS) -> None:
        """Start without hands.

        Args:
            memory_seconds: time for which a missing hand keeps its number.
        """
        self._memory_seconds = memory_seconds
        self._tracks: dict[int, _Track] = {}
        self._last: list[int] = []  # result for the previous frame
        self._single: _Track | None = None  # the only hand, if it was in the previous frame
        self._time = -math.inf
        self._count = 0

    @property
    def known(self) -> Set[int]:
        """Numbers of the hands that are visible or may come back."""
        return self._tracks.keys()

    def update(self, hands: NDArray[np.float64], time: float) -> list[int]:
        """Update the tracks with the detections of a frame.

        Args:
            hands: shape (n, 63), in the same unit for all frames. The tracker keeps the array, so it must not change.
            time: of the frame in seconds; must not decrease.

        Returns:
            The number of each hand, in the order of ``hands``. A hand that was detected twice has its number twice.
        """
        single = self._single
        if single is not None and len(hands) == 1:  # most frames
            x, y = hands.item(_X), hands.item(_Y)
            if abs(x - single.x) + abs(y - single.y) < SINGLE_HAND_STEP * single.size:
                single.move(hands, x, y, time)
                self._time = time
                return self._last
        if len(self._tracks) > len({*self._last}):
            self._forget(time)
        if not self._update_unchanged(hands, time):
            self._last = self._assign(hands, time)
        self._time = time
        self._single = self._tracks[self._last[0]] if len(self._last) == len(self._tracks) == 1 else None
        return self._last

    def _forget(self, time: float) -> None:
        for track in [*self._tracks.values()]:
            # A hand of the previous frame was not missing, however long ago that frame was
            if track.last_seen < self._time and time - track.last_seen > self._memory_seconds:
                del self._tracks[track.number]

    def _update_unchanged(self, hands: NDArray[np.float64], time: float) -> bool:
        """Fast path: the same hands in the same order, which moved little and are apart from each other."""
        if len(hands) != len(self._last):
            return False
        steps: list[tuple[_Track, float, float]] = []
        for index, number in enumerate(self._last):
            track = self._tracks[number]
            x, y = hands.item(index, _X), hands.item(index, _Y)
            if abs(x - track.x) + abs(y - track.y) > SMALL_STEP * track.size:
                return False
            steps.append((track, x, y))
        if not self._are_apart(steps):
            return False
        for index, (track, x, y) in enumerate(steps):
            track.move(hands[index], x, y, time)
        return True

    def _are_apart(self, steps: list[tuple[_Track, float, float]]) -> bool:
        """Whether hands are too far from each other, and from missing hands, to be confused."""
        for index, (track, x, y) in enumerate(steps):
            for other, other_x, other_y in steps[:index]:
                if abs(x - other_x) + abs(y - other_y) < APART * max(track.size, other.size):
                    return False
        if len(steps) == len(self._tracks):
            return True
        missing = [track for track in self._tracks.values() if track.last_seen < self._time]
        return all(
            abs(x - track.x) + abs(y - track.y) > MAX_GATE * track.size for track in missing for _, x, y in steps
        )

    def _assign(self, hands: NDArray[np.float64], time: float) -> list[int]:
        matches = self._match(hands, time)
        duplicates = self._find_duplicates(hands, matches, time)
        for index in duplicates:
            if (track := matches[index].track) is not None and track.is_new(time):
                del self._tracks[track.number]
        for index, match in enumerate(matches):
            if index in duplicates:
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
        return [cast("_Track", matches[_original(index, duplicates)].track).number for index in range(len(matches))]

    def _match(self, hands: NDArray[np.float64], time: float) -> list[_Match]:
        """Assign the detections of a frame to tracks."""
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
        gate = min(GATE + GATE_PER_SECOND * (time - self._time), MAX_GATE)
        # Clipped, so that a hand outside the gate does not change the assignment of the others
        for row, column in zip(*linear_sum_assignment(np.minimum(distances, gate) ** 2), strict=True):
            if distances[row, column] < gate:
                matches[column].track = tracks[row]
                matches[column].distance = distances.item(row, column)
        return matches

    def _find_duplicates(self, hands: NDArray[np.float64], matches: list[_Match], time: float) -> dict[int, int]:
        """Find second detections of one hand: from the index of each to the index of the first detection.

        Hands that cross are at one place, too, but both were predicted there. Two hands that appear together are two.
        """
        duplicates: dict[int, int] = {}
        for index, match in enumerate(matches):
            is_expected = match.track is not None and match.distance < EXPECTED
            if is_expected and not cast("_Track", match.track).is_new(time):
                continue
            for other, other_match in enumerate(matches):
                if other_match.track is None or other == index or other in duplicates:
                    continue
                if is_expected:
                    is_original = other_match.track.first_seen < cast("_Track", match.track).first_seen
                else:
                    is_original = other_match.distance < match.distance
                distance = _distance(hands[index], hands[other])
                if is_original and distance < SAME_HAND * max(match.size, other_match.size):
                    duplicates[index] = other
                    break
        return duplicates


def _original(index: int, duplicates: dict[int, int]) -> int:
    while index in duplicates:
        index = duplicates[index]
    return index


def _distance(hand: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Root mean square distance of the 21 landmarks, in the unit of the hands."""
    difference = (hand - other).reshape(LANDMARK_COUNT, 3)[:, :2]
    return float(np.linalg.norm(difference)) / math.sqrt(LANDMARK_COUNT)


def _size(palm: list[float]) -> float:
    """Length of the palm; if it is foreshortened, the length of a palm of its width."""
    length = math.hypot(palm[4] - palm[0], palm[5] - palm[1])
    width = math.hypot(palm[8] - palm[2], palm[9] - palm[3])
    return max(length, _LENGTH_TO_WIDTH * width, MIN_DISTANCE)
