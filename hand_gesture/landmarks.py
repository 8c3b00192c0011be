"""The 21 landmarks of a hand: names, parsing from JSON, and conversion of coordinates.

Numbers and names are those of MediaPipe Hands:
https://ai.google.dev/edge/mediapipe/solutions/vision/hand_landmarker
"""

from __future__ import annotations

import math
from enum import StrEnum
from functools import lru_cache
from itertools import chain
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

LANDMARK_NAMES: Final = (
    "WRIST",
    *(f"THUMB_{joint}" for joint in ("CMC", "MCP", "IP", "TIP")),
    *(f"{finger}_FINGER_{joint}" for finger in ("INDEX", "MIDDLE", "RING") for joint in ("MCP", "PIP", "DIP", "TIP")),
    *(f"PINKY_{joint}" for joint in ("MCP", "PIP", "DIP", "TIP")),
)
LANDMARK_COUNT: Final = len(LANDMARK_NAMES)
WRIST: Final = LANDMARK_NAMES.index("WRIST")
INDEX_FINGER_MCP: Final = LANDMARK_NAMES.index("INDEX_FINGER_MCP")
MIDDLE_FINGER_MCP: Final = LANDMARK_NAMES.index("MIDDLE_FINGER_MCP")
MIDDLE_FINGER_TIP: Final = LANDMARK_NAMES.index("MIDDLE_FINGER_TIP")
RING_FINGER_MCP: Final = LANDMARK_NAMES.index("RING_FINGER_MCP")
PINKY_MCP: Final = LANDMARK_NAMES.index("PINKY_MCP")
COORDINATE_COUNT: Final = 3 * LANDMARK_COUNT
PLANAR_COUNT: Final = 2 * LANDMARK_COUNT  # x and y only

# Larger than any camera's resolution, but products cannot overflow.
MAX_COORDINATE: Final = 1e6
MAX_IMAGE_SIDE: Final = 100_000
# MediaPipe's 0..1 coordinates slightly exceed 1 at the frame's edge; a hand in pixels is larger than 3 x 3.
MAX_NORMALIZED_COORDINATE: Final = 3.0
# MediaPipe's z is at most about 1; z in pixels, as cvzone returns it (times the frame's width), is far larger.
MAX_NORMALIZED_DEPTH: Final = 2.0
# Smaller than any hand in any unit; dividing by a smaller number could overflow.
MIN_DISTANCE: Final = 1e-9


class MissingLandmarksError(ValueError):
    """``count`` of the 21 landmarks are absent, null or not finite."""

    def __init__(self, indices: list[int]) -> None:
        self.count = len(indices)
        verb = "has" if self.count == 1 else "have"
        super().__init__(f"{_name_points(indices)} {verb} no finite x, y, z.")


class MalformedLandmarksError(ValueError):
    """The value is not a hand in any of the formats that ``parse_hand`` accepts."""


def parse_hand(value: Any) -> NDArray[np.float64]:
    """Parse one hand from decoded JSON.

    Accepts 21 lists ``[x, y, z]`` or ``[x, y]``, 21 objects ``{"x": …, "y": …, "z": …}`` (z may be absent, other keys
    are ignored), 63 or 42 numbers, or a list that holds one such hand, as MediaPipe's ``result.landmarks`` does.

    Returns:
        The coordinates x1 y1 z1 … x21 y21 z21, shape (63,), in their original unit; a missing z is 0.

    Raises:
        MissingLandmarksError: landmarks are absent, null or not finite.
        MalformedLandmarksError: any other error.
    """
    hands = read_hands([value])
    if hands is None:
        raise _diagnose(value)
    return hands.reshape(COORDINATE_COUNT)


def read_hands(values: list[Any]) -> NDArray[np.float64] | None:
    """Parse several hands at once; faster than ``parse_hand``, but without its errors.

    Returns:
        The coordinates, shape (n, 63), or None if one of the hands is invalid.
    """
    try:
        flattened = [_flatten(value) for value in values]
        numbers = [*chain.from_iterable(flattened)]
        if {*map(len, flattened)} != {COORDINATE_COUNT}:
            return None
        # Exact types, because bool is a subclass of int, and numpy parses strings such as "1.5"
        if {*map(type, numbers)} <= {float, int}:
            hands = np.array(numbers, dtype=np.float64).reshape(-1, COORDINATE_COUNT)
            if largest_coordinate(hands) <= MAX_COORDINATE:  # false for NaN and infinity too
                return hands
    except (TypeError, KeyError, IndexError, OverflowError):
        pass  # one of the values is not a hand
    return None


def largest_coordinate(hands: NDArray[np.float64]) -> float:
    """The largest magnitude of the coordinates; NaN if one of them is."""
    magnitudes = np.abs(hands)
    return float(magnitudes.item(magnitudes.argmax()))  # faster than max() for small arrays


class Unit(StrEnum):
    """The unit of x and y."""

    PIXELS = "pixels"  # or any other that keeps the aspect ratio
    IMAGE = "image"  # MediaPipe's: 0..1 of the frame's width and height


def convert(
    hands: NDArray[np.float64], image_size: tuple[float, float] | None, unit: Unit, largest: float | None = None
) -> None:
    """Convert hands in pixels or in 0..1 to the unit that a classifier was trained on, in place.

    Without ``image_size``, hands in pixels are left as they are. See ``restore_shape`` for the arguments.
    """
    restore_shape(hands, image_size, largest)
    if unit is Unit.IMAGE and image_size is not None:
        hands /= _factors(image_size[0], image_size[1])


def restore_shape(
    hands: NDArray[np.float64], image_size: tuple[float, float] | None, largest: float | None = None
) -> None:
    """Restore the aspect ratio of hands, in place.

    MediaPipe divides x by the frame's width and y by its height, which distorts hands unless the frame is square. x and
    y of a hand in pixels (see ``MAX_NORMALIZED_COORDINATE``) are not changed; z in pixels is divided by the width, as
    in MediaPipe's results, or set to 0 without ``image_size``.

    Args:
        hands: shape (n, 63).
        image_size: width and height of the frame in pixels, if known.
        largest: ``largest_coordinate(hands)``, if known.
    """
    if largest is None:
        largest = largest_coordinate(hands)
    if largest <= MAX_NORMALIZED_DEPTH:  # the most frequent case: all in 0..1
        if image_size is not None:
            hands *= _factors(image_size[0], image_size[1])
        return
    points = hands.reshape(-1, LANDMARK_COUNT, 3)
    if image_size is not None:
        xy = points[..., :2]
        normalized = np.abs(xy).max(axis=(1, 2), keepdims=True) <= MAX_NORMALIZED_COORDINATE
        np.multiply(xy, image_size, out=xy, where=normalized)
    z = points[..., 2]
    if np.abs(z).max() > MAX_NORMALIZED_DEPTH:
        in_pixels = np.abs(z).max(axis=1, keepdims=True) > MAX_NORMALIZED_DEPTH
        np.multiply(z, 1 / max(image_size[0], 1) if image_size else 0, out=z, where=in_pixels)


@lru_cache(maxsize=256)
def _factors(width: float, height: float) -> NDArray[np.float64]:
    """Factors from 0..1 to pixels, shape (1, 63): for a single hand NumPy needs no broadcasting."""
    return np.tile([width, height, 1.0], (1, LANDMARK_COUNT))


def turn_to_one_side(relative: NDArray[np.float64]) -> None:
    """Mirror hands whose index finger is to the right of the pinky, seen from the wrist, in place.

    Args:
        relative: points relative to the wrist, shape (n, 21, 2 or 3).
    """
    relative[..., 0] *= np.where(points_right(relative), -1.0, 1.0)[:, np.newaxis]


def points_right(relative: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which hands have the index finger to the right of the pinky, seen from the wrist, shape (n,).

    Args:
        relative: points relative to the wrist, shape (n, 21, 2 or 3).
    """
    index, pinky = relative[:, INDEX_FINGER_MCP], relative[:, PINKY_MCP]
    right: NDArray[np.bool_] = index[:, 0] * pinky[:, 1] < index[:, 1] * pinky[:, 0]
    return right


def _flatten(value: Any) -> list[Any]:  # noqa: PLR0911 (one for each format)
    """The 63 values of a hand in an accepted format; for others it raises, or returns another number of values."""
    count, first = len(value), value[0]
    if count > COORDINATE_COUNT:
        return []
    if type(first) is list:
        lengths = {*map(len, value)}
        if lengths == {3}:
            return list(chain.from_iterable(value))
        if count == 1:  # [hand], but not [[hand]]
            return [] if lengths == {1} else _flatten(first)
        return [c for point in value for c in (*point, 0)[:3]] if lengths <= {2, 3} else []
    if type(first) is dict:
        try:
            return [point[axis] for point in value for axis in ("x", "y", "z")]
        except KeyError:
            return [c for point in value for c in (point["x"], point["y"], point.get("z", 0))]
    if type(value) is not list:
        return []
    return [c for i in range(0, count, 2) for c in (value[i], value[i + 1], 0)] if count == PLANAR_COUNT else value


def _diagnose(value: Any) -> MissingLandmarksError | MalformedLandmarksError:  # noqa: PLR0911 (one for each error)
    """Find out why a value is not a hand."""
    if value is None:
        value = []
    if not isinstance(value, list):
        return MalformedLandmarksError(
            "landmarks must be a list of 21 points, each [x, y, z], [x, y] or {x, y, z}, or of 63 or 42 numbers."
        )
    if hands := _hands_within(value):
        if len(hands) > 1:
            return MalformedLandmarksError(
                f"landmarks must hold one hand, but there are {len(hands)}; send them as hands to /predict_batch."
            )
        if not _hands_within(hands[0]):
            return _diagnose(hands[0])
        return MalformedLandmarksError("landmarks must hold one hand, but it holds lists of hands.")
    if len(value) > COORDINATE_COUNT:
        return MalformedLandmarksError(
            f"landmarks must hold 21 points or 63 numbers, but there are {len(value)}; send several hands to "
            "/predict_batch."
        )
    points = _points(value)
    if len(points) > LANDMARK_COUNT:
        return MalformedLandmarksError(
            f"landmarks must hold the 21 points of one hand, but there are {len(points)}; "
            "send several hands to /predict_batch."
        )
    points = points + [None] * (LANDMARK_COUNT - len(points))
    if malformed := [index for index, point in enumerate(points) if _is_malformed(point)]:
        verb = "is" if len(malformed) == 1 else "are"
        return MalformedLandmarksError(
            f"{_name_points(malformed)} {verb} not numbers x, y and z between -1e6 and 1e6 (z may be left out)."
        )
    if missing := [index for index, point in enumerate(points) if _is_missing(point)]:
        return MissingLandmarksError(missing)
    return MalformedLandmarksError("landmarks must hold its points in one format: all as lists or all as objects.")


def _hands_within(value: list[Any]) -> list[Any]:
    """The items of a list of hands; empty if the items are points or numbers.

    Only the first items are checked, because there may be hundreds of thousands.
    """
    some = value[:COORDINATE_COUNT]
    if not some or not all(isinstance(item, list) for item in some):
        return []
    has_points = any(isinstance(point, list | dict) for hand in some for point in hand[:COORDINATE_COUNT])
    return value if has_points or all(len(hand) >= PLANAR_COUNT for hand in some) else []


def _points(value: list[Any]) -> list[Any]:
    if any(isinstance(item, list | dict) for item in value):
        return value
    if len(value) <= LANDMARK_COUNT and all(item is None for item in value):
        return value
    size = 3
    if len(value) == PLANAR_COUNT:
        size = 2
    elif len(value) < COORDINATE_COUNT:
        value = value + [None] * (-len(value) % size)
    return [value[start : start + size] for start in range(0, len(value), size)]


def _coordinates(point: Any) -> list[Any] | None:
    if isinstance(point, dict):
        return [point.get("x"), point.get("y"), *([point["z"]] if "z" in point else [])]
    return point if isinstance(point, list) else None


def _is_missing(point: Any) -> bool:
    """Whether x or y is absent, or x, y or z is null or not finite."""
    coordinates = _coordinates(point) or []
    return len(coordinates) < 2 or any(value is None or not math.isfinite(value) for value in coordinates)


def _is_malformed(point: Any) -> bool:
    if point is None:
        return False
    coordinates = _coordinates(point)
    if coordinates is None or len(coordinates) > 3:
        return True
    return any(
        value is not None and (type(value) not in (int, float) or MAX_COORDINATE < abs(value) < math.inf)
        for value in coordinates
    )


def _name_points(indices: list[int]) -> str:
    if len(indices) == LANDMARK_COUNT:
        return "all 21 landmarks"
    names = [f"{index} {LANDMARK_NAMES[index]}" for index in indices]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{'landmark' if len(names) == 1 else 'landmarks'} {listed}"
