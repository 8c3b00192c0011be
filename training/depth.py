"""Rescales z to the unit of x and y, so that hands can be rotated in 3D.

Sources scale z differently. Because the bones of all hands have similar proportions, the scale is chosen for each hand
with which the lengths of its bones are closest to these proportions.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from hand_gesture.landmarks import LANDMARK_COUNT, MIN_DISTANCE, WRIST, turn_to_one_side
from training.data import Floats

FINGERS: Final = np.array([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16], [17, 18, 19, 20]])
_BONES: Final = np.array(
    [(a, b) for finger in FINGERS for a, b in zip([WRIST, *finger], finger, strict=False)] + [(5, 9), (9, 13), (13, 17)]
)
_SCALES: Final = np.concatenate(
    [[0.0], np.geomspace(0.03, 3, 40)]
)  # candidates for the ratio of the rms of z to that of x and y
_START: Final = 0.5
_ROUNDS: Final = 6
_LARGEST_ERROR: Final = 0.7  # clips the error of a bone's log length, for robustness against outliers


def normalize(hands: Floats, proportions: Floats | None = None) -> tuple[Floats, Floats]:
    """Normalize hands: wrist at the origin, mirrored to one side, rms distance of x and y 1, and z scaled to match.

    Args:
        hands: shape (n, 63).
        proportions: log lengths of the bones minus their mean, shape (bones,); estimated from these hands if None.

    Returns:
        The hands and the proportions.
    """
    points = hands.reshape(-1, LANDMARK_COUNT, 3) - hands.reshape(-1, LANDMARK_COUNT, 3)[:, :1]
    turn_to_one_side(points)
    points[..., :2] /= _rms((points[..., :2] ** 2).sum(axis=-1))[:, np.newaxis, np.newaxis]
    points[..., 2] /= _rms(points[..., 2] ** 2)[:, np.newaxis]
    bones = points[:, _BONES[:, 1]] - points[:, _BONES[:, 0]]
    across, depth = (bones[..., :2] ** 2).sum(axis=-1)[:, np.newaxis], bones[..., 2][:, np.newaxis] ** 2
    # Shape (hands, scales, bones)
    lengths = np.log(np.maximum(np.sqrt(across + (_SCALES**2)[np.newaxis, :, np.newaxis] * depth), 1e-4))
    lengths -= lengths.mean(axis=2, keepdims=True)
    wanted = proportions if proportions is not None else np.zeros(len(_BONES))
    best = np.full(len(points), np.abs(_SCALES - _START).argmin())
    for _ in range(_ROUNDS if proportions is None else 1):
        if proportions is None:
            found = np.median(lengths[np.arange(len(points)), best], axis=0)
            wanted = found - found.mean()
        best = np.minimum(np.abs(lengths - wanted), _LARGEST_ERROR).mean(axis=2).argmin(axis=1)
    points[..., 2] *= _SCALES[best][:, np.newaxis]
    return points.reshape(hands.shape), wanted


def _rms(squares: Floats) -> Floats:
    rms: Floats = np.sqrt(squares.mean(axis=-1))
    rms[rms < MIN_DISTANCE] = 1
    return rms


def rotate(hands: Floats, around_y: Floats, around_x: Floats) -> Floats:
    """Rotate hands in 3D about the wrist: ``around_y`` radians about the y axis, then ``around_x`` about the x axis."""
    points = hands.reshape(-1, LANDMARK_COUNT, 3)
    points = points - points[:, :1]
    a, b = around_y[:, np.newaxis], around_x[:, np.newaxis]
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    x, z = np.cos(a) * x + np.sin(a) * z, np.cos(a) * z - np.sin(a) * x
    y, z = np.cos(b) * y + np.sin(b) * z, np.cos(b) * z - np.sin(b) * y
    return np.stack([x, y, z], axis=-1).reshape(hands.shape)
