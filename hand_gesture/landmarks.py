"""The 21 points of a hand: their names, reading them from JSON, and the 63 features made of them.

Numbering and names are those of MediaPipe Hands:
https://ai.google.dev/edge/mediapipe/solutions/vision/hand_landmarker
"""

from __future__ import annotations

import math
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
MIDDLE_FINGER_TIP: Final = LANDMARK_NAMES.index("MIDDLE_FINGER_TIP")
FEATURE_COUNT: Final = 3 * LANDMARK_COUNT
FEATURE_CONTRACT: Final = "wrist_middle_tip_v1"

# Beyond any camera's resolution, yet small enough that no product of two overflows.
MAX_COORDINATE: Final = 1e6
MAX_IMAGE_SIDE: Final = 100_000
# MediaPipe's 0..1 coordinates overshoot a little where a hand leaves the frame; a hand in pixels never fits in 3 x 3.
MAX_NORMALIZED_COORDINATE: Final = 3.0
# Real hands stay within about 10. A degenerate one (wrist on the finger tip) would otherwise reach infinity.
MAX_FEATURE: Final = 1e3
# Shorter than any hand in any unit; dividing by less than this could overflow.
MIN_DISTANCE: Final = 1e-9


class MissingLandmarksError(ValueError):
    """Some of the 21 points are absent, null or not finite.

    ``count`` is how many.
    """

    def __init__(self, indices: list[int]) -> None:
        self.count = len(indices)
        verb = "has" if self.count == 1 else "have"
        super().__init__(f"{_name_points(indices)} {verb} no finite x, y, z.")


class MalformedLandmarksError(ValueError):
    """The value is not a hand in any of the three forms."""


def parse_hand(value: Any) -> NDArray[np.float64]:
    """Read one hand from decoded JSON.

    Accepts 21 ``[x, y, z]`` triples, 21 ``{"x": …, "y": …, "z": …}`` objects (other keys are ignored), or 63 numbers.

    Returns:
        The coordinates in the order x1 y1 z1 … x21 y21 z21, shape (63,), in the unit they came in.

    Raises:
        MissingLandmarksError: points are absent, null or not finite.
        MalformedLandmarksError: anything else is wrong.
    """
    hands = read_hands([value])
    if hands is None:
        raise _diagnose(value)
    return hands.reshape(FEATURE_COUNT)


def read_hands(values: list[Any]) -> NDArray[np.float64] | None:
    """Read hands, each in one of the forms that ``parse_hand`` accepts, in one pass.

    Returns:
        The coordinates, shape (n, 63); None if something is wrong with one of them, which ``parse_hand`` then names.
    """
    try:
        flattened = [_flatten(value) for value in values]
        numbers = [*chain.from_iterable(flattened)]
        # bool is a subclass of int, and numpy reads "1.5" as a number: only the exact types will do
        if {*map(len, flattened)} == {FEATURE_COUNT} and {*map(type, numbers)} <= {float, int}:
            hands = np.array(numbers, dtype=np.float64)
            # False for NaN and infinity too
            if bool((np.abs(hands) <= MAX_COORDINATE).all()):
                return hands.reshape(-1, FEATURE_COUNT)
    except (TypeError, KeyError, IndexError, OverflowError):
        pass  # one is in none of the three forms
    return None


def scale_to_pixels(hands: NDArray[np.float64], image_size: tuple[float, float]) -> None:
    """Restore the frame's aspect ratio in place.

    MediaPipe divides x by the width and y by the height, which squeezes the hand on every frame that is not square.
    A hand that is in pixels already (told by its coordinates, see ``MAX_NORMALIZED_COORDINATE``) is left as it is.

    Args:
        hands: shape (n, 63).
        image_size: width and height of the frame in pixels.
    """
    points = hands.reshape(-1, LANDMARK_COUNT, 3)
    xy = points[..., :2]
    normalized = np.abs(xy).max(axis=(1, 2), keepdims=True) <= MAX_NORMALIZED_COORDINATE
    np.multiply(xy, image_size, out=xy, where=normalized)


def to_features(hands: NDArray[np.float64]) -> NDArray[np.float32]:
    """Make the features of contract ``wrist_middle_tip_v1``.

    x and y relative to the wrist, divided by the distance from wrist to middle finger tip (a distance of 0 counts as
    1); z as it came.

    Args:
        hands: shape (n, 63), every value finite and at most ``MAX_COORDINATE`` times a frame's size.

    Returns:
        Shape (n, 63), every value finite. 32 bits are more than a camera resolves, and halve the arithmetic.
    """
    points = hands.reshape(-1, LANDMARK_COUNT, 3)
    relative = points - points[:, WRIST : WRIST + 1]
    relative[..., 2] = points[..., 2]
    tip = relative[:, MIDDLE_FINGER_TIP]
    distance = np.hypot(tip[:, 0], tip[:, 1])
    distance[distance < MIN_DISTANCE] = 1
    scale = np.ones((len(points), 1, 3))
    scale[:, 0, :2] /= distance[:, np.newaxis]
    relative *= scale
    features = relative.reshape(-1, FEATURE_COUNT)
    return np.minimum(np.maximum(features, -MAX_FEATURE), MAX_FEATURE).astype(np.float32)


def _flatten(value: Any) -> list[Any]:
    """The 63 values of a hand in one of the three forms; for anything else it fails or returns another number."""
    first = value[0]
    if len(value) > FEATURE_COUNT:
        return []
    if type(first) is list:
        return list(chain.from_iterable(value)) if {*map(len, value)} == {3} else []
    if type(first) is dict:
        return [point[axis] for point in value for axis in ("x", "y", "z")]
    return value if type(value) is list else []


def _diagnose(value: Any) -> MissingLandmarksError | MalformedLandmarksError:
    """Say what keeps a value from being a hand."""
    if value is None:
        value = []
    if not isinstance(value, list):
        return MalformedLandmarksError(
            "landmarks must be a list of 21 points, each [x, y, z] or {x, y, z}, or of 63 numbers."
        )
    if len(value) > FEATURE_COUNT:
        return MalformedLandmarksError(
            f"landmarks must hold 21 points or 63 numbers, but there are {len(value)}; send several hands to "
            "/predict_batch."
        )
    if any(isinstance(item, list | dict) for item in value):
        points = value
    elif len(value) > LANDMARK_COUNT or any(item is not None for item in value):
        points = [value[start : start + 3] for start in range(0, len(value), 3)]
    else:
        points = value
    if len(points) > LANDMARK_COUNT:
        return MalformedLandmarksError(
            f"landmarks must hold the 21 points of one hand, but there are {len(points)}; "
            "send several hands to /predict_batch."
        )
    points = points + [None] * (LANDMARK_COUNT - len(points))
    if malformed := [index for index, point in enumerate(points) if _is_malformed(point)]:
        verb = "is" if len(malformed) == 1 else "are"
        return MalformedLandmarksError(
            f"{_name_points(malformed)} {verb} not three numbers x, y, z between -1e6 and 1e6."
        )
    if missing := [index for index, point in enumerate(points) if _is_missing(point)]:
        return MissingLandmarksError(missing)
    return MalformedLandmarksError("landmarks must hold its points in one form: all as lists or all as objects.")


def _coordinates(point: Any) -> list[Any] | None:
    if isinstance(point, dict):
        return [point.get(axis) for axis in ("x", "y", "z")]
    return point if isinstance(point, list) else None


def _is_missing(point: Any) -> bool:
    coordinates = _coordinates(point) or []
    return len(coordinates) < 3 or any(value is None or not math.isfinite(value) for value in coordinates)


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
