"""Makes the stored hands, the negative examples for custom gestures (hand_gesture/model/taught.py).

They are made and not copied, so that the service can carry them: each is a point between two hands of a kind, or put
together from fingers of several, seen by another camera. They depend on the data alone and not on the network.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from sklearn.neighbors import NearestNeighbors

from hand_gesture.landmarks import LANDMARK_COUNT
from hand_gesture.model.features import wrist_rms
from hand_gesture.model.stored_hands import StoredHands
from training.data import Floats, Hands, transform
from training.depth import normalize, rotate
from training.negatives import make_negatives

SEED: Final = 0
HANDS_OF_A_GESTURE: Final = 100
OPEN_SHARE: Final = 0.8  # of them: between hands of other sources than the table, where there are enough
LEAST_OPEN_HANDS: Final = 12
NONE_BETWEEN: Final = 350  # between hands of no gesture
NONE_OF_FINGERS: Final = 850  # put together from fingers
NEIGHBOURS: Final = 4
MIX: Final = (0.2, 0.8)  # never one of the two hands itself
TURN: Final = np.radians(10)  # standard deviation, about each of the two axes in the picture
MAX_TILT: Final = np.radians(10)
SQUEEZED: Final = 0.2  # share of hands that are squeezed, as on a frame of another shape
SQUEEZE: Final = (0.6, 1.3)


def make_stored_hands(table: Hands, others: Hands, classes: list[str], donors: Floats | None = None) -> StoredHands:
    """Make hands of each gesture and hands of none.

    Args:
        table: hands of gestures, two or more of each.
        others: hands of other sources, of gestures and of none; may be empty.
        classes: the gestures' names and, last, that of none.
        donors: more hands whose fingers are used, for gestures so few or alike that theirs give nothing new.
    """
    random = np.random.default_rng(SEED)
    none = len(classes) - 1
    from_table, proportions = normalize(table.values)
    from_others, _ = normalize(others.values, proportions)
    made: list[Floats] = []
    for label in range(none):
        hands = from_others[others.classes == label]
        count = int(HANDS_OF_A_GESTURE * OPEN_SHARE) if len(hands) > LEAST_OPEN_HANDS else 0
        made.append(_between(from_table[table.classes == label], HANDS_OF_A_GESTURE - count, random))
        if count:
            made.append(_between(hands, count, random))
    nothing = from_others[others.classes == none]
    between = NONE_BETWEEN if len(nothing) > 1 else 0
    if between:
        made.append(_between(nothing, between, random))
    gestures = np.concatenate([from_table, from_others[others.classes != none]])
    more = None if donors is None else normalize(donors, proportions)[0]
    made.append(make_negatives(gestures, NONE_BETWEEN + NONE_OF_FINGERS - between, proportions, random, more))
    counts = [HANDS_OF_A_GESTURE] * none + [NONE_BETWEEN + NONE_OF_FINGERS]
    hands = _seen_by_another_camera(np.concatenate(made), random)
    # wrist at the origin, turned to one side, of size 1: 16 bits then suffice
    planar = wrist_rms(hands).reshape(-1, LANDMARK_COUNT, 2)
    hands = np.pad(planar, ((0, 0), (0, 0), (0, 1))).reshape(len(planar), -1).astype(np.float64)
    return StoredHands(hands, np.repeat(classes, counts))


def _between(hands: Floats, count: int, random: np.random.Generator) -> Floats:
    """Points on the way from hands to one of their nearest neighbours."""
    nearest = min(NEIGHBOURS, len(hands) - 1)
    index = NearestNeighbors(n_neighbors=nearest).fit(wrist_rms(hands))
    neighbours = index.kneighbors(return_distance=False)  # of each hand, without itself
    rows = random.integers(len(hands), size=count)
    partners = neighbours[rows, random.integers(nearest, size=count)]
    share = random.uniform(*MIX, count)[:, np.newaxis]
    between: Floats = (1 - share) * hands[rows] + share * hands[partners]
    return between


def _seen_by_another_camera(hands: Floats, random: np.random.Generator) -> Floats:
    count = len(hands)
    turned = rotate(hands, *(TURN * random.standard_normal((2, count))))
    squeeze = np.exp(random.uniform(np.log(SQUEEZE[0]), np.log(SQUEEZE[1]), count))
    squeeze[random.random(count) >= SQUEEZED] = 1
    return transform(turned, tilt=random.uniform(-MAX_TILT, MAX_TILT, count), squeeze=squeeze)
