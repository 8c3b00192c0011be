"""The forward pass in two parts equals scikit-learn's, bit for bit."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from hand_gesture.model.network import Network
from tests.hands import ARTIFACTS, CLASSIFIER, REFERENCE

BUNDLED = pickle.loads((ARTIFACTS / "model.pkl").read_bytes())  # noqa: S301 (committed here)
FEATURES = np.random.default_rng(0).normal(size=(200, 42)).astype(np.float32)


@pytest.mark.parametrize("count", [1, 2, 7, 128])
def test_probabilities_equal_those_of_scikit_learn(count: int) -> None:
    network = Network.of(BUNDLED)
    assert network is not None
    hidden = network.hidden(FEATURES[:count])
    assert hidden.shape == (count, network.units)
    assert np.array_equal(network.probabilities(hidden), BUNDLED.predict_proba(FEATURES[:count]))


@pytest.mark.parametrize(
    ("parameters", "classes"),
    [({"activation": "tanh"}, 3), ({"activation": "logistic"}, 3), ({"hidden_layer_sizes": ()}, 3), ({}, 2)],
)
def test_other_networks_use_scikit_learn(parameters: dict[str, object], classes: int) -> None:
    model = MLPClassifier(**{"hidden_layer_sizes": (8,), "max_iter": 1000, "tol": 0.1} | parameters)
    model.fit(FEATURES, np.arange(len(FEATURES)) % classes)
    assert Network.of(model) is None


def test_one_hidden_layer_is_enough() -> None:
    model = MLPClassifier(hidden_layer_sizes=(8,), max_iter=1000, tol=0.1).fit(FEATURES, np.arange(len(FEATURES)) % 3)
    network = Network.of(model)
    assert network is not None
    assert np.array_equal(network.probabilities(network.hidden(FEATURES)), model.predict_proba(FEATURES))


def test_other_classifiers_have_no_network() -> None:
    assert Network.of(object()) is None


def test_predictions_carry_the_hidden_layer_of_their_batch() -> None:
    assert CLASSIFIER.network is not None
    hands = np.array([np.ravel(hand) for hand in REFERENCE.hands.values()])
    answers = CLASSIFIER.predict(hands)
    assert answers.hidden is not None
    assert np.array_equal(answers.hidden, CLASSIFIER.network.hidden(CLASSIFIER.features.make(hands)))
