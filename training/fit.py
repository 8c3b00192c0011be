"""Trains the networks, with new augmented data in each epoch.

The table has only hands near the decision boundaries (support vectors), and a network trained on these alone is worse
on typical hands. Each epoch therefore consists of interpolations between hands of the same gesture, hands of other
sources, and hands without a gesture, all augmented: tilted, rotated in 3D, and squeezed as by frames that are not
square.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.linalg import block_diag
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import NearestNeighbors
from sklearn.neural_network import MLPClassifier

from hand_gesture.landmarks import LANDMARK_COUNT
from hand_gesture.model.features import wrist_rms
from training.data import Floats, Hands, Ints, OpenHands, transform
from training.depth import normalize, rotate
from training.negatives import make_negatives

NETWORKS: Final = 2  # in the ensemble
HIDDEN_LAYERS: Final = (192, 64)  # units of each network
EPOCHS: Final = 80
HANDS_PER_EPOCH: Final = 50_000
NONE_SHARE: Final = 0.25  # share of hands without a gesture
OPEN_SHARE: Final = 0.3  # among hands with a gesture: from other sources than the table
MADE_SHARE: Final = 0.5  # among hands without a gesture: synthetic ones
MADE_HANDS: Final = 20_000
FIRST_LEARNING_RATE: Final = 2e-3
LAST_LEARNING_RATE: Final = 2e-5
NEIGHBOURS: Final = 8
FAR_PARTNERS: Final = 0.3  # share of interpolations with any hand of the gesture instead of a neighbour
UNMIXED: Final = 0.25  # share of table hands that are not interpolated
JITTER: Final = 0.01  # relative to the hand's size, about the noise of MediaPipe
MAX_TILT: Final = np.radians(30)
TURN: Final = np.radians(20)  # standard deviation of the rotation about each of the two other axes
# The same for gestures whose meaning does not depend on orientation
TILT_FREELY: Final = np.radians(60)
TURN_FREELY: Final = np.radians(25)
FREELY_WEIGHT: Final = 2.5  # sample their hands of other sources more often: they have more views
SQUEEZED: Final = 0.6  # share of hands squeezed
SQUEEZE: Final = (0.5, 1.35)  # from portrait phones to wide cameras, with a margin


@dataclass(frozen=True)
class Material:
    """The training data: hands normalized by ``depth.normalize``.

    ``open_hands`` come from many sources and are sampled with ``open_weights``; ``none`` is the class of hands without
    a gesture; ``any_way_up`` are the classes whose meaning does not depend on orientation.
    """

    table: Hands
    open_hands: Hands
    open_weights: Floats
    proportions: Floats
    none: int
    any_way_up: Ints
    donors: Floats | None = None  # additional hands whose fingers are used for synthetic hands


def make_material(table: Hands, open_hands: OpenHands, none: int, any_way_up: Ints) -> Material:
    """Prepare the training data, without the open hands marked as near.

    Args:
        table: hands with a gesture, with classes below ``none``.
        open_hands: hands from many sources; may be empty.
        none: the class of hands without a gesture.
        any_way_up: classes whose meaning does not depend on orientation.
    """
    known = open_hands.take(~open_hands.near)
    # Many hands of one class from one source are mostly of one person, so weight them less
    _, source = np.unique(known.sources, return_inverse=True)
    _, kind, count = np.unique(np.stack([known.hands.classes, source]), axis=1, return_inverse=True, return_counts=True)
    weights = np.where(np.isin(known.hands.classes, any_way_up), FREELY_WEIGHT, 1) / np.sqrt(count[kind.ravel()])
    values, proportions = normalize(table.values)
    return Material(
        Hands(values, table.classes),
        Hands(normalize(known.hands.values, proportions)[0], known.hands.classes),
        weights,
        proportions,
        none,
        any_way_up,
    )


def fit(
    material: Material,
    *,
    seed: int,
    networks: int = NETWORKS,
    epochs: int = EPOCHS,
    on_epoch: Callable[[], object] = lambda: None,
) -> list[MLPClassifier]:
    """Train the networks of an ensemble; deterministic for the same data and seed.

    Args:
        material: the training data.
        seed: of the random number generator.
        networks: number of networks.
        epochs: number of epochs with ``HANDS_PER_EPOCH`` hands each.
        on_epoch: called after each epoch.
    """
    random = np.random.default_rng(seed)
    gestures = material.open_hands.classes != material.none
    seen = np.concatenate([material.table.values, material.open_hands.values[gestures]])
    made = make_negatives(seen, MADE_HANDS, material.proportions, random, material.donors)
    neighbours = _neighbours(material.table)
    # warm_start: fit once per epoch on new data, keeping the weights
    trained = [
        MLPClassifier(HIDDEN_LAYERS, alpha=3e-3, batch_size=256, warm_start=True, max_iter=1, tol=0, random_state=state)
        for state in random.integers(2**31, size=networks).tolist()
    ]
    for epoch in range(epochs):
        rate = LAST_LEARNING_RATE + FIRST_LEARNING_RATE * 0.5 * (1 + np.cos(np.pi * epoch / epochs))
        for network in trained:
            sample = _sample(material, neighbours, made, random)
            features = wrist_rms(augment(sample, material, random))
            network.set_params(learning_rate_init=rate)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # one iteration per call is intended
                network.fit(features, sample.classes)
        on_epoch()
    return trained


def join(networks: list[MLPClassifier]) -> MLPClassifier:
    """Combine networks of the same shape into one that returns the geometric mean of their probabilities.

    Its hidden layers have the units of all networks, with block-diagonal weights.
    """
    joined = MLPClassifier([len(networks) * units for units in HIDDEN_LAYERS])
    first = networks[0]
    for learned in ("n_features_in_", "n_outputs_", "n_layers_", "out_activation_", "classes_", "_label_binarizer"):
        setattr(joined, learned, getattr(first, learned))
    layers = [*zip(*(network.coefs_ for network in networks), strict=True)]
    biases = [*zip(*(network.intercepts_ for network in networks), strict=True)]
    weights = [
        np.hstack(layers[0]),
        *(block_diag(*layer) for layer in layers[1:-1]),
        np.vstack(layers[-1]) / len(networks),
    ]
    # float32 as the service's features: scikit-learn then computes in float32
    joined.coefs_ = [layer.astype(np.float32) for layer in weights]
    joined.intercepts_ = [
        layer.astype(np.float32) for layer in (*map(np.concatenate, biases[:-1]), np.mean(biases[-1], axis=0))
    ]
    return joined


def augment(hands: Hands, material: Material, random: np.random.Generator) -> Floats:
    """Augment normalized hands: noise, 3D rotation, tilt and squeeze."""
    count = len(hands)
    values = hands.values + JITTER * random.standard_normal(hands.values.shape) * np.tile([1, 1, 0.2], LANDMARK_COUNT)
    freely = np.isin(hands.classes, material.any_way_up)
    turn = TURN + (TURN_FREELY - TURN) * freely
    values = rotate(values, *(turn * random.standard_normal((2, count))))
    squeeze = np.exp(random.uniform(np.log(SQUEEZE[0]), np.log(SQUEEZE[1]), count))
    squeeze[random.random(count) >= SQUEEZED] = 1
    tilt = (MAX_TILT + (TILT_FREELY - MAX_TILT) * freely) * random.uniform(-1, 1, count)
    return transform(values, tilt=tilt, squeeze=squeeze)


def _sample(material: Material, neighbours: Ints, made: Floats, random: np.random.Generator) -> Hands:
    """Sample the hands of one epoch."""
    none_count = int(HANDS_PER_EPOCH * NONE_SHARE)
    is_none = material.open_hands.classes == material.none
    # Without open hands (with or without a gesture), use table hands and synthetic hands instead
    open_count = int((HANDS_PER_EPOCH - none_count) * OPEN_SHARE) if not is_none.all() else 0
    made_count = int(none_count * MADE_SHARE) if is_none.any() else none_count
    parts = [
        _interpolate(material.table, neighbours, HANDS_PER_EPOCH - none_count - open_count, random),
        _draw(material, ~is_none, open_count, random),
        _draw(material, is_none, none_count - made_count, random),
        Hands(made[random.integers(len(made), size=made_count)], np.full(made_count, material.none)),
    ]
    return Hands(np.concatenate([part.values for part in parts]), np.concatenate([part.classes for part in parts]))


def _draw(material: Material, which: np.ndarray, count: int, random: np.random.Generator) -> Hands:
    if not count:
        return material.open_hands.take(np.zeros(len(which), dtype=bool))
    weights = material.open_weights * which
    return material.open_hands.take(random.choice(len(weights), count, p=weights / weights.sum()))


def _neighbours(hands: Hands) -> Ints:
    """Indices of the nearest hands of the same gesture, shape (n, NEIGHBOURS)."""
    neighbours = np.empty((len(hands), NEIGHBOURS), dtype=np.int64)
    for label in np.unique(hands.classes):
        rows = np.flatnonzero(hands.classes == label)
        count = min(NEIGHBOURS, len(rows) - 1)
        if not count:
            neighbours[rows] = rows
            continue
        nearest = NearestNeighbors(n_neighbors=count).fit(hands.values[rows]).kneighbors(return_distance=False)
        neighbours[rows] = rows[nearest[:, np.arange(NEIGHBOURS) % count]]
    return neighbours


def _interpolate(hands: Hands, neighbours: Ints, count: int, random: np.random.Generator) -> Hands:
    """Interpolations between two hands of the same gesture, balanced over the gestures."""
    rows = _any_of_class(hands.classes, random.integers(hands.classes.max() + 1, size=count), random)
    classes = hands.classes[rows]
    partners = neighbours[rows, random.integers(NEIGHBOURS, size=count)]
    far = random.random(count) < FAR_PARTNERS
    partners[far] = _any_of_class(hands.classes, classes[far], random)
    weight: Floats = random.random(count)[:, np.newaxis]
    weight[random.random(count) < UNMIXED] = 0
    return Hands((1 - weight) * hands.values[rows] + weight * hands.values[partners], classes)


def _any_of_class(classes: Ints, wanted: Ints, random: np.random.Generator) -> Ints:
    """A random row of each wanted class, with the shape of ``wanted``."""
    by_class = np.argsort(classes, kind="stable")
    sizes = np.bincount(classes)
    first = np.cumsum(sizes) - sizes
    chosen: Ints = by_class[first[wanted] + (random.random(len(wanted)) * sizes[wanted]).astype(np.int64)]
    return chosen
