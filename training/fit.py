"""Trains the network.

The table holds only hands near the borders between gestures (they are support vectors), and a network that has seen
only borders does worse on plain hands. So each epoch is made anew: points on the way between two hands of a gesture,
mirrored, tilted, squeezed as a camera that is not square squeezes them, near or far from the camera.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Final

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import NearestNeighbors
from sklearn.neural_network import MLPClassifier

from hand_gesture.landmarks import LANDMARK_COUNT, to_features
from training.data import Floats, Hands, Ints, transform

HIDDEN_LAYERS: Final = (128, 64)
EPOCHS: Final = 40
HANDS_PER_EPOCH: Final = 40_000
FIRST_LEARNING_RATE: Final = 2e-3
LAST_LEARNING_RATE: Final = 2e-5
NEIGHBOURS: Final = 8
FAR_PARTNERS: Final = 0.3  # share of interpolations towards any hand of the gesture, not a near one
UNMIXED: Final = 0.25  # share of hands left as they are in the table
JITTER: Final = 0.01  # of the distance wrist-middle finger tip, about what MediaPipe trembles
MAX_TILT: Final = np.radians(25)
SQUEEZED: Final = 0.6  # share of hands squeezed
SQUEEZE: Final = (0.5, 1.35)  # portrait phones to wide cameras, and beyond
DEPTH: Final = 0.3  # z depends on how near the hand is: scaled by e**-0.3 .. e**0.3


def fit(hands: Hands, *, seed: int, on_epoch: Callable[[int], object] = lambda _: None) -> MLPClassifier:
    """Train a network; the same hands and seed give the same network.

    Args:
        hands: features and classes.
        seed: of everything random.
        on_epoch: told the number of each finished epoch.
    """
    random = np.random.default_rng(seed)
    neighbours = _neighbours(hands)
    # Fitting once an epoch on new data, starting from the weights so far
    network = MLPClassifier(
        HIDDEN_LAYERS, alpha=1e-2, batch_size=256, warm_start=True, max_iter=1, tol=0, random_state=seed
    )
    for epoch in range(EPOCHS):
        sample = augment(_interpolate(hands, neighbours, random), random)
        progress = 0.5 * (1 + np.cos(np.pi * epoch / EPOCHS))
        network.set_params(learning_rate_init=LAST_LEARNING_RATE + FIRST_LEARNING_RATE * progress)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # one iteration each is what is wanted
            network.fit(sample.values, sample.classes)
        on_epoch(epoch + 1)
    # The service's features have 32 bits; scikit-learn computes in that precision when the weights have it too
    network.coefs_ = [weights.astype(np.float32) for weights in network.coefs_]
    network.intercepts_ = [biases.astype(np.float32) for biases in network.intercepts_]
    return network


def augment(hands: Hands, random: np.random.Generator) -> Hands:
    """Show hands as another camera might have: same gesture, other side, tilt, squeeze and distance."""
    count = len(hands)
    values = hands.values + JITTER * random.standard_normal(hands.values.shape) * np.tile([1, 1, 0.2], LANDMARK_COUNT)
    values.reshape(-1, LANDMARK_COUNT, 3)[..., 2] *= np.exp(random.uniform(-DEPTH, DEPTH, count))[:, np.newaxis]
    mirrored = random.random(count) < 0.5
    tilt = random.uniform(-MAX_TILT, MAX_TILT, count)
    squeeze = np.exp(random.uniform(np.log(SQUEEZE[0]), np.log(SQUEEZE[1]), count))
    squeeze[random.random(count) >= SQUEEZED] = 1
    seen = transform(values, mirrored=mirrored, tilt=tilt, squeeze=squeeze)
    return Hands(to_features(seen).astype(np.float64), hands.classes)


def _neighbours(hands: Hands) -> Ints:
    """For each hand the rows of the nearest of the same gesture, shape (n, NEIGHBOURS)."""
    neighbours = np.empty((len(hands), NEIGHBOURS), dtype=np.int64)
    for label in np.unique(hands.classes):
        rows = np.flatnonzero(hands.classes == label)
        index = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(hands.values[rows])
        neighbours[rows] = rows[index.kneighbors(return_distance=False)]
    return neighbours


def _interpolate(hands: Hands, neighbours: Ints, random: np.random.Generator) -> Hands:
    rows = random.integers(len(hands), size=HANDS_PER_EPOCH)
    classes = hands.classes[rows]
    partners = neighbours[rows, random.integers(NEIGHBOURS, size=len(rows))]
    far = random.random(len(rows)) < FAR_PARTNERS
    partners[far] = _any_of_class(hands.classes, classes[far], random)
    weight: Floats = random.random(len(rows))[:, np.newaxis]
    weight[random.random(len(rows)) < UNMIXED] = 0
    return Hands((1 - weight) * hands.values[rows] + weight * hands.values[partners], classes)


def _any_of_class(classes: Ints, wanted: Ints, random: np.random.Generator) -> Ints:
    """A random row of the wanted class, for each."""
    by_class = np.argsort(classes, kind="stable")
    sizes = np.bincount(classes)
    first = np.cumsum(sizes) - sizes
    chosen: Ints = by_class[first[wanted] + (random.random(len(wanted)) * sizes[wanted]).astype(np.int64)]
    return chosen
