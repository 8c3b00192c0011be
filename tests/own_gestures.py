"""Hands with custom gestures: shapes that the model does not know, combined from reference hands."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.hands import IMAGE_SIZE, REFERENCE

_THUMB, _INDEX, _PINKY = range(1, 5), range(5, 9), range(17, 21)


def _from(*parts: tuple[str, range]) -> np.ndarray:
    """A fist with fingers of other gestures, each at its place on the palm."""
    palm = np.array(REFERENCE.hands["fist"])[:, :2] * IMAGE_SIZE
    hand = palm.copy()
    for gesture, finger in parts:
        other = np.array(REFERENCE.hands[gesture])[:, :2] * IMAGE_SIZE
        if _is_mirrored(other) != _is_mirrored(palm):
            other[:, 0] = -other[:, 0]
        turn = _complex(palm[9] - palm[0]) / _complex(other[9] - other[0])
        moved = _complex(other[list(finger)] - other[0]) * turn
        moved += _complex(palm[finger[0]] - palm[0]) - moved[0]
        hand[list(finger)] = palm[0] + np.stack([moved.real, moved.imag], axis=-1)
    return hand


def _complex(points: np.ndarray) -> Any:
    return points[..., 0] + 1j * points[..., 1]


def _is_mirrored(points: np.ndarray) -> bool:
    index, pinky = points[5] - points[0], points[17] - points[0]
    return bool(index[0] * pinky[1] < index[1] * pinky[0])


SHAPES = {
    "L": _from(("like", _THUMB), ("one", _INDEX)),
    "pinky": _from(("call", _PINKY)),
}


def recording(shape: str, count: int = 10, *, seed: int = 0) -> list[list[list[float]]]:
    """Hands in pixels that show a shape, with random noise, tilt and rotation."""
    random = np.random.default_rng(seed)
    points = SHAPES[shape] - SHAPES[shape][0]
    angles = np.radians(random.uniform(-15, 15, count))
    hands = []
    for angle in angles:
        x, y = points[:, 0] * random.uniform(0.9, 1.05), points[:, 1]
        turned = np.stack([np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y], axis=-1)
        size = np.ptp(points[:, 1])
        hands.append((turned + random.normal(0, 0.01 * size, turned.shape) + (320, 400)).round(2).tolist())
    return hands


def gestures(*shapes: str, count: int = 10, seed: int = 0, **fields: Any) -> dict[str, Any]:
    """The body of POST /gestures, each gesture named after its shape."""
    return {"gestures": {shape: {"hands": recording(shape, count, seed=seed), **fields} for shape in shapes}}
