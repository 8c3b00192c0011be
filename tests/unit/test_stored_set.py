"""Hands that are made for telling custom gestures apart, from as few examples as the model's owner has."""

from __future__ import annotations

import numpy as np
import pytest

from tests.hands import IMAGE_SIZE, REFERENCE
from training.data import Hands
from training.stored_set import HANDS_OF_A_GESTURE, NONE_BETWEEN, NONE_OF_FINGERS, make_stored_hands

GESTURES = ["like", "fist", "palm"]


def some_hands(of_each: int) -> Hands:
    """Noisy copies of reference hands."""
    random = np.random.default_rng(0)
    shapes = [(np.array(REFERENCE.hands[name]) * [*IMAGE_SIZE, 1]).reshape(63) for name in GESTURES]
    values = np.repeat(shapes, of_each, axis=0)
    return Hands(values + random.normal(0, 5, values.shape), np.repeat(np.arange(len(GESTURES)), of_each))


@pytest.mark.parametrize("of_each", [2, 3, 5])
def test_a_few_hands_of_each_gesture_are_enough(of_each: int) -> None:
    nobody = Hands(np.empty((0, 63)), np.empty(0, dtype=np.int64))
    stored = make_stored_hands(some_hands(of_each), nobody, [*GESTURES, "none"])
    names, counts = np.unique(stored.gestures, return_counts=True)
    expected = dict.fromkeys(GESTURES, HANDS_OF_A_GESTURE) | {"none": NONE_BETWEEN + NONE_OF_FINGERS}
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == expected
    assert np.isfinite(stored.hands).all()
    assert len(np.unique(stored.hands, axis=0)) == len(stored.hands)
