"""Generates synthetic hands without a gesture, by combining fingers of different hands.

Real ones are few and lack variety. Each finger may come from another hand, placed relative to the palm; results that
are close to a real gesture are discarded.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from sklearn.neighbors import NearestNeighbors

from hand_gesture.landmarks import COORDINATE_COUNT, LANDMARK_COUNT, PLANAR_COUNT, WRIST
from hand_gesture.model.features import wrist_rms
from training.data import Floats
from training.depth import FINGERS, normalize

SWAPPED: Final = 0.5  # share of fingers that come from another hand
MIN_DISTANCE_TO_GESTURES: Final = 0.25  # rms of the features' differences
_MIDDLE_KNUCKLE: Final = 9


def make_negatives(
    gestures: Floats,
    count: int,
    proportions: Floats,
    random: np.random.Generator,
    donors: Floats | None = None,
) -> Floats:
    """Generate synthetic hands without a gesture.

    Args:
        gestures: normalized hands with a gesture, shape (n, 63).
        count: number of hands to generate.
        proportions: of the bones, see ``normalize``.
        random: random number generator.
        donors: additional hands whose fingers are used, for when there are few or similar gestures.

    Returns:
        Normalized hands, shape (count, 63).
    """
    index = NearestNeighbors(n_neighbors=1).fit(wrist_rms(gestures))
    hands_with_fingers = gestures if donors is None else np.concatenate([gestures, donors])
    made: list[Floats] = []
    while sum(map(len, made)) < count:
        hands = _with_other_fingers(hands_with_fingers, count, random)
        distance = index.kneighbors(wrist_rms(hands))[0][:, 0] / np.sqrt(PLANAR_COUNT)
        made.append(normalize(hands[distance > MIN_DISTANCE_TO_GESTURES], proportions)[0])
    return np.concatenate(made)[:count]


def _with_other_fingers(hands: Floats, count: int, random: np.random.Generator) -> Floats:
    """Replace random fingers with those of other hands, moved to the knuckle, rotated and scaled to the palm."""
    points = hands.reshape(-1, LANDMARK_COUNT, 3)
    own = points[random.integers(len(points), size=count)].copy()
    palm = _palm(own)
    for finger in FINGERS:
        other = points[random.integers(len(points), size=count)]
        place = (_complex(other[:, finger]) - _complex(other[:, [WRIST]])) * (palm / _palm(other))[:, np.newaxis]
        place += _complex(own[:, finger[:1]]) - place[:, :1]
        swapped = random.random(count) < SWAPPED
        moved = np.stack([place.real, place.imag, other[:, finger, 2]], axis=-1)
        own[:, finger] = np.where(swapped[:, np.newaxis, np.newaxis], moved, own[:, finger])
    return own.reshape(count, COORDINATE_COUNT)


def _complex(points: Floats) -> np.ndarray:
    return points[..., 0] + 1j * points[..., 1]


def _palm(points: Floats) -> np.ndarray:
    """Vector from the wrist to the middle finger's knuckle as a complex number: size and direction of the palm."""
    palm = _complex(points[:, _MIDDLE_KNUCKLE]) - _complex(points[:, WRIST])
    return np.where(np.abs(palm) < 1e-3, 1e-3, palm)
