"""Feature extraction: the preprocessing from landmarks to the input of a classifier, described by data.

A description says what is subtracted from the coordinates, what they are divided by, and which are kept.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from hand_gesture.landmarks import (
    LANDMARK_COUNT,
    MIDDLE_FINGER_TIP,
    MIN_DISTANCE,
    PLANAR_COUNT,
    WRIST,
    Unit,
    turn_to_one_side,
)

# Features of real hands stay below 10; a degenerate hand (all points in one place) would otherwise overflow.
MAX_FEATURE: Final = 1e3

Hands = NDArray[np.float64]
Origin = Literal["none", "wrist", "least", "centre"]
Measure = Literal["none", "rms", "largest", "largest_distance", "mean_distance", "box", "box_side"]
Depth = Literal["absent", "as_is", "relative", "scaled"]


class Features(BaseModel):
    """Describes how hands, shape (n, 63), become features, shape (n, ``count``), float32.

    The coordinates must be finite and at most ``MAX_COORDINATE`` times a frame's size; then the features are finite.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: Unit = Unit.PIXELS
    """Unit of x and y: pixels, or ``image`` for MediaPipe's 0..1, which is distorted on frames that are not square."""
    origin: Origin = "wrist"
    """What is subtracted: nothing, the wrist, the minimum of x and of y, or the mean of the points."""
    one_side: bool = False
    """Whether left and right hands are mirrored to the same side."""
    upright: int | None = None
    """The landmark that is rotated to straight above the origin, if any."""
    scale: Measure | tuple[tuple[int, int], ...] = "none"
    """What the coordinates are divided by: a measure, or the mean distance of pairs of landmarks.

    ``rms`` is the root mean square of the coordinates, ``largest`` their maximum absolute value, ``largest_distance``
    and ``mean_distance`` the maximum and mean distance of the points from the origin, ``box`` the width for x and the
    height for y, ``box_side`` the larger of both.
    """
    scale_dimensions: Literal[2, 3] = 2
    """Whether the divisor is computed from x and y, or from x, y and z."""
    z: Depth = "absent"
    """Left out, as from MediaPipe, relative to the origin, or relative and divided like x and y."""
    wrist: bool = True
    """Whether the features include the wrist."""
    grouped: bool = False
    """Order: all x, then all y, then all z; otherwise point by point."""

    @property
    def count(self) -> int:
        """Number of features."""
        return (LANDMARK_COUNT - (not self.wrist)) * self._dimensions

    @property
    def name(self) -> str:
        """The name in ``NAMED``, or else the description as text; ``parse`` reads both."""
        return _NAMES.get(self) or _format(self)

    @property
    def is_common(self) -> bool:
        """Whether it is neither grouped nor upright, which few projects use."""
        return not self.grouped and self.upright is None

    @property
    def _dimensions(self) -> int:
        return 2 if self.z == "absent" else 3

    @functools.cached_property
    def make(self) -> Callable[[Hands], NDArray[np.float32]]:
        """Function from hands, shape (n, 63), in ``unit``, to features, shape (n, ``count``), float32.

        The description is evaluated once, because the function runs for every frame of a stream. float32 is more
        precise than a camera, and halves the time of the model's arithmetic.
        """
        is_planar = self._dimensions == 2 and self.scale_dimensions == 2
        is_bounded = self.scale == "rms" and is_planar
        dimensions, count, one_side, upright = self._dimensions, self.count, self.one_side, self.upright
        subtract, divide = self._subtraction(), self._division()

        def make(hands: Hands) -> NDArray[np.float32]:
            points = hands.reshape(-1, LANDMARK_COUNT, 3)
            relative = subtract(points[..., :2] if is_planar else points)
            if one_side:
                turn_to_one_side(relative)
            if upright is not None:
                _turn_upright(relative, upright)
            if divide:
                divide(relative)
            if not (is_planar or dimensions == 3):
                relative = relative[..., :2]
            if not self.wrist:
                relative = relative[:, 1:]
            if self.grouped:
                relative = relative.transpose(0, 2, 1)
            features = relative.reshape(-1, count)
            if not is_bounded:
                features = np.minimum(np.maximum(features, -MAX_FEATURE), MAX_FEATURE)
            return features.astype(np.float32)

        return make

    def _subtraction(self) -> Callable[[Hands], Hands]:
        origins: dict[Origin, Callable[[Hands], Hands]] = {
            "wrist": lambda points: points - points[:, WRIST : WRIST + 1],
            "least": lambda points: points - points.min(axis=1, keepdims=True),
            "centre": lambda points: points - points.mean(axis=1, keepdims=True),
            "none": lambda points: points.copy(),
        }
        subtract = origins[self.origin]
        if self.z != "as_is":
            return subtract

        def subtract_from_xy(points: Hands) -> Hands:
            relative = subtract(points)
            relative[..., 2] = points[..., 2]
            return relative

        return subtract_from_xy

    def _division(self) -> Callable[[Hands], None] | None:
        if self.scale == "none":
            return None
        if self.scale == "rms" and self._dimensions == self.scale_dimensions == 2:
            return _divide_by_rms
        measure, dimensions, is_scaled = _measure(self.scale), self.scale_dimensions, self.z == "scaled"

        def divide(relative: Hands) -> None:
            size = measure(relative[..., :dimensions])
            size[size < MIN_DISTANCE] = 1
            relative[..., :2] /= size
            if is_scaled:
                relative[..., 2:] /= size[..., :1]

        return divide


def _divide_by_rms(relative: Hands) -> None:
    """Divide planar coordinates by their root mean square in place, with as few NumPy calls as possible."""
    flat = relative.reshape(-1, PLANAR_COUNT)
    size = np.sqrt(np.einsum("ij,ij->i", flat, flat) / PLANAR_COUNT)
    size[size < MIN_DISTANCE] = 1
    flat /= size[:, np.newaxis]


def _measure(scale: Measure | tuple[tuple[int, int], ...]) -> Callable[[Hands], Hands]:
    """Function from points to the divisor, shape (n, 1, 1), or (n, 1, 2) if x and y have different ones."""
    if isinstance(scale, tuple):
        pairs = scale

        def mean_length(points: Hands) -> Hands:
            total = _length(points, *pairs[0])
            for pair in pairs[1:]:
                total = total + _length(points, *pair)
            return (total / len(pairs))[:, np.newaxis, np.newaxis]

        return mean_length
    measures: dict[str, Callable[[Hands], Hands]] = {
        "rms": lambda points: np.sqrt((points**2).mean(axis=(1, 2), keepdims=True)),
        "largest": lambda points: np.abs(points).max(axis=(1, 2), keepdims=True),
        "largest_distance": lambda points: np.sqrt((points**2).sum(axis=2, keepdims=True)).max(axis=1, keepdims=True),
        "mean_distance": lambda points: np.sqrt((points**2).sum(axis=2, keepdims=True)).mean(axis=1, keepdims=True),
        "box": lambda points: np.ptp(points[..., :2], axis=1)[:, np.newaxis],
        "box_side": lambda points: np.ptp(points[..., :2], axis=1).max(axis=1)[:, np.newaxis, np.newaxis],
    }
    return measures[scale]


def _length(points: Hands, start: int, end: int) -> Hands:
    """Distances between two landmarks, shape (n,)."""
    vectors = points[:, end] - points[:, start]
    lengths: Hands = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    return lengths


def _turn_upright(relative: Hands, landmark: int) -> None:
    x, y = relative[:, landmark, 0].copy(), relative[:, landmark, 1].copy()
    length = np.hypot(x, y)
    length[length < MIN_DISTANCE] = 1
    cos, sin = (-y / length)[:, np.newaxis], (-x / length)[:, np.newaxis]
    turned_x = cos * relative[..., 0] - sin * relative[..., 1]
    relative[..., 1] = sin * relative[..., 0] + cos * relative[..., 1]
    relative[..., 0] = turned_x


def _image(**description: Any) -> Features:
    return Features(unit=Unit.IMAGE, **description)


def _to_tip(**description: Any) -> Features:
    return Features(scale=((WRIST, MIDDLE_FINGER_TIP),), **description)


WRIST_RMS: Final = Features(scale="rms", one_side=True)
WRIST_MIDDLE_TIP: Final = _to_tip(z="as_is")
NAMED: Final = {
    "wrist_middle_tip_v1": WRIST_MIDDLE_TIP,
    "wrist_rms_v3": WRIST_RMS,
    "raw_xy": _image(origin="none"),
    "raw_xyz": _image(origin="none", z="as_is"),
    "min_xy": _image(origin="least"),
    "min_xyz": _image(origin="least", z="relative"),
    "minmax_xy": _image(origin="least", scale="box"),
    "wrist_xy": _image(),
    "wrist_xyz": _image(z="relative"),
}
_NAMES: Final = {features: name for name, features in NAMED.items()}
wrist_rms: Final = WRIST_RMS.make
wrist_middle_tip: Final = WRIST_MIDDLE_TIP.make


class UnknownFeaturesError(ValueError):
    """The text does not describe features; the message says what is possible."""


def parse(text: str) -> Features:
    """Parse a name such as ``min_xy``, or a description such as ``unit=pixels,origin=wrist,scale=0-9,z=scaled``.

    Omitted fields have the defaults of ``Features``. The mean of several distances is written ``scale=0-5+0-17``.

    Raises:
        UnknownFeaturesError: the text is neither.
    """
    if text in NAMED:
        return NAMED[text]
    values: dict[str, object] = {}
    for part in text.replace(" ", "").split(","):
        key, separator, value = part.partition("=")
        if not separator:
            names = ", ".join(NAMED)
            raise UnknownFeaturesError(
                f"The features {text!r} are unknown; use a description (docs/models.md) or one of {names}."
            )
        is_pairs = key == "scale" and value[:1].isdigit()
        values[key] = [pair.split("-") for pair in value.split("+")] if is_pairs else value
    if values.get("scale_dimensions"):
        values["scale_dimensions"] = {"2": 2, "3": 3}.get(str(values["scale_dimensions"]), 0)
    try:
        features = Features.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise UnknownFeaturesError(
            f"{text!r} is not a description of features: {first['loc'][0]}: {first['msg']}."
        ) from None
    landmarks = [landmark for pair in features.scale for landmark in pair] if isinstance(features.scale, tuple) else []
    if not all(0 <= landmark < LANDMARK_COUNT for landmark in (*landmarks, features.upright or 0)):
        raise UnknownFeaturesError(f"{text!r} has a landmark outside 0 to {LANDMARK_COUNT - 1}.")
    return features


def _format(features: Features) -> str:
    parts = []
    for key, value in features.model_dump(exclude_defaults=True).items():
        is_pairs = key == "scale" and not isinstance(value, str)
        spelt = "+".join(f"{a}-{b}" for a, b in value) if is_pairs else str(value).lower()
        parts.append(f"{key}={spelt}")
    return ",".join(parts) or "origin=wrist"


_LENGTHS: Final = tuple(((WRIST, tip),) for tip in (12, 9, 5, 17, 13, 10, 11, 8, 4, 16, 20))
_SCALES: Final[tuple[Measure | tuple[tuple[int, int], ...], ...]] = (
    *("none", "largest", "largest_distance", "mean_distance", "rms", "box", "box_side"),
    *_LENGTHS,
    ((5, 17),),
    ((WRIST, 5), (WRIST, 17)),
    ((WRIST, 5), (WRIST, 9), (WRIST, 13), (WRIST, 17)),
    ((WRIST, 4), (WRIST, 8), (WRIST, 12), (WRIST, 16), (WRIST, 20)),
)


def candidate_features(count: int) -> Iterator[Features]:
    """All plausible descriptions with this number of features, the most common first."""
    yield from (features for features in NAMED.values() if features.count == count)
    yield from (features for features in _combinations() if features.count == count and features not in _NAMES)


def _combinations() -> Iterator[Features]:
    origins: tuple[Origin, ...] = ("wrist", "least", "none", "centre")
    depths: tuple[Depth, ...] = ("absent", "as_is", "relative", "scaled")
    for origin in origins:
        for scale in _SCALES if origin != "none" else ("none",):
            if origin == "least" and scale not in {"none", "largest", "box", "box_side"}:
                continue  # relative to a bounding box's corner, distances are not used as scale
            for z in depths if scale != "none" else depths[:3]:
                for dimensions in (2, 3) if z == "scaled" and scale not in {"box", "box_side"} else (2,):
                    for unit in Unit:
                        for one_side, upright in ((False, None), (True, None), (False, 9), (True, 9)):
                            if (one_side or upright) and (origin not in {"wrist", "centre"} or z != "absent"):
                                continue
                            for wrist, grouped in ((True, False), (False, False), (True, True), (False, True)):
                                yield Features(
                                    unit=unit,
                                    origin=origin,
                                    one_side=one_side,
                                    upright=upright,
                                    scale=scale,
                                    scale_dimensions=dimensions,
                                    z=z,
                                    wrist=wrist,
                                    grouped=grouped,
                                )
