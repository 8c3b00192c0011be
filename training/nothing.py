"""Hands that make no gesture, put together from fingers of hands that do.

Real ones are few and of few kinds. Each finger, as it stands to the palm, may be any hand's; what comes out is kept
where no real gesture is near.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from sklearn.neighbors import NearestNeighbors

from hand_gesture.landmarks import COORDINATE_COUNT, LANDMARK_COUNT, PLANAR_COUNT, WRIST, wrist_rms
from training.data import Floats, transform
from training.depth import FINGERS, normalize

SWAPPED: Final = 0.5  # share of fingers that come from another hand
MIN_DISTANCE_TO_GESTURES: Final = 0.25  # rms of the features' differences
_INDEX_KNUCKLE, _MIDDLE_KNUCKLE, _PINKY_KNUCKLE = 5, 9, 17


def make_nothing(gestures: Floats, count: int, proportions: Floats, random: np.random.Generator) -> Floats:
    """Make hands that make no gesture.

    Args:
        gestures: hands that do, normalised, shape (n, 63).
        count: how many to make.
        proportions: of bones, see ``normalize``.
        random: where chance comes from.

    Returns:
        Shape (count, 63), normalised.
    """
    mirrored = transform(gestures, mirrored=True, tilt=0.0, squeeze=1.0)
    index = NearestNeighbors(n_neighbors=1).fit(wrist_rms(np.concatenate([gestures, mirrored])))
    made: list[Floats] = []
    while sum(map(len, made)) < count:
        hands, _ = normalize(_with_other_fingers(gestures, count, random), proportions)
        distance = index.kneighbors(wrist_rms(hands))[0][:, 0] / np.sqrt(PLANAR_COUNT)
        made.append(hands[distance > MIN_DISTANCE_TO_GESTURES])
    return np.concatenate(made)[:count]


def _with_other_fingers(hands: Floats, count: int, random: np.random.Generator) -> Floats:
    """Hands of which each finger may be another hand's, at this hand's knuckle, turned and sized as its palm is."""
    points = hands.reshape(-1, LANDMARK_COUNT, 3)
    own = points[random.integers(len(points), size=count)].copy()
    palm, side = _palm(own), _side(own)
    for finger in FINGERS:
        other = points[random.integers(len(points), size=count)]
        # In the palm's frame: along the palm, and across it towards the same side
        place = (_complex(other[:, finger]) - _complex(other[:, [WRIST]])) / _palm(other)[:, np.newaxis]
        place = np.where((side == _side(other))[:, np.newaxis], place, place.conj()) * palm[:, np.newaxis]
        place += _complex(own[:, finger[:1]]) - place[:, :1]
        swapped = random.random(count) < SWAPPED
        moved = np.stack([place.real, place.imag, other[:, finger, 2]], axis=-1)
        own[:, finger] = np.where(swapped[:, np.newaxis, np.newaxis], moved, own[:, finger])
    return own.reshape(count, COORDINATE_COUNT)


def _complex(points: Floats) -> np.ndarray:
    return points[..., 0] + 1j * points[..., 1]


def _palm(points: Floats) -> np.ndarray:
    """From the wrist to the middle finger's knuckle, as a complex number: its length and direction are the palm's."""
    palm = _complex(points[:, _MIDDLE_KNUCKLE]) - _complex(points[:, WRIST])
    return np.where(np.abs(palm) < 1e-3, 1e-3, palm)


def _side(points: Floats) -> Floats:
    """On which side of the palm the thumb is: 1 or -1."""
    to_index = _complex(points[:, _INDEX_KNUCKLE]) - _complex(points[:, WRIST])
    to_pinky = _complex(points[:, _PINKY_KNUCKLE]) - _complex(points[:, WRIST])
    side: Floats = np.sign((to_index.conj() * to_pinky).imag)
    return side
