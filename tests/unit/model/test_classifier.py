"""When the classifier predicts none."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hand_gesture.model.classifier import GestureClassifier, Prediction, Predictions, probabilities_of
from hand_gesture.model.features import WRIST_MIDDLE_TIP

HANDS = np.zeros((1, 63))
COMMANDS = {"like": "up", "none": "jump"}


class Given:
    """A model with given probabilities, one row for each hand."""

    def __init__(self, *rows: list[float]) -> None:
        self._rows = np.array(rows)

    def predict_proba(self, _: NDArray[np.float32]) -> NDArray[Any]:
        return self._rows.copy()


class Fixed:
    """A model with the same probabilities for every hand."""

    def __init__(self, *probabilities: float) -> None:
        self.classes_ = np.arange(len(probabilities))
        self._probabilities = np.array(probabilities, dtype=np.float32)

    def predict_proba(self, X: NDArray[np.float32]) -> NDArray[Any]:  # noqa: N803
        return np.tile(self._probabilities, (len(X), 1))


def answer(classes: list[str], probabilities: list[float], min_confidence: float) -> Prediction:
    (prediction,) = GestureClassifier(
        Fixed(*probabilities), classes, COMMANDS, min_confidence, WRIST_MIDDLE_TIP
    ).predict(HANDS)
    return prediction


@pytest.mark.parametrize(
    ("probabilities", "min_confidence", "expected"),
    [
        ([0.7, 0.3], 0.0, Prediction("like", 0.7, "up")),
        ([0.7, 0.3], 0.7, Prediction("like", 0.7, "up")),
        ([0.7, 0.3], 0.71, Prediction("none", 0.3, None)),
        ([0.2, 0.8], 0.5, Prediction("rock", 0.8, None)),
        ([0.5, 0.5], 1.0, Prediction("none", 0.5, None)),
    ],
)
def test_a_classifier_without_the_class(
    probabilities: list[float], min_confidence: float, expected: Prediction
) -> None:
    # float32 probabilities are compared with a double: the threshold itself counts as reached
    assert answer(["like", "rock"], probabilities, np.float32(min_confidence).item()) == expected


@pytest.mark.parametrize(
    ("probabilities", "min_confidence", "expected"),
    [
        ([0.6, 0.3, 0.1], 0.5, Prediction("like", 0.6, "up")),
        ([0.4, 0.5, 0.1], 0.0, Prediction("none", 0.5, None)),
        ([0.4, 0.3, 0.3], 0.0, Prediction("like", 0.4, "up")),
        ([0.4, 0.3, 0.3], 0.5, Prediction("none", 0.3, None)),
        ([0.1, 0.1, 0.8], 0.5, Prediction("rock", 0.8, None)),
    ],
)
def test_a_classifier_with_the_class(probabilities: list[float], min_confidence: float, expected: Prediction) -> None:
    assert answer(["like", "none", "rock"], probabilities, min_confidence) == expected


def test_each_hand_of_a_batch_gets_its_own_answer() -> None:
    model = Given([0.7, 0.3], [0.41, 0.42], [0.1, 0.9], [0.123456, 0.876544])
    classifier = GestureClassifier(model, ["like", "rock"], COMMANDS, 0.5, WRIST_MIDDLE_TIP)
    assert classifier.predict(np.zeros((4, 63))) == [
        Prediction("like", 0.7, "up"),
        Prediction("none", 0.58, None),
        Prediction("rock", 0.9, None),
        Prediction("rock", 0.8765, None),
    ]
    model = Given([0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.0, 0.9], [0.3, 0.2, 0.5])
    classifier = GestureClassifier(model, ["like", "none", "rock"], COMMANDS, 0.55, WRIST_MIDDLE_TIP)
    assert classifier.predict(np.zeros((4, 63))) == [
        Prediction("like", 0.6, "up"),
        Prediction("none", 0.5, None),
        Prediction("rock", 0.9, None),
        Prediction("none", 0.2, None),
    ]


def test_the_kind_is_that_of_the_classifier_in_a_pipeline() -> None:
    inner = make_pipeline(StandardScaler(), ExtraTreesClassifier(2))
    model = make_pipeline(StandardScaler(), inner).fit(np.eye(4), [0, 1, 0, 1])
    assert GestureClassifier(model, ["like", "rock"], {}, 0, WRIST_MIDDLE_TIP).kind == "ExtraTreesClassifier"


def test_batches_can_be_concatenated() -> None:
    first, second = (Predictions([Prediction(name, 1, None)], np.full((1, 2), 7)) for name in ("like", "rock"))
    both = first + second
    assert [prediction.gesture for prediction in both] == ["like", "rock"]
    assert both.hidden.shape == (2, 2)
    without = Predictions(second, None)
    for some in (first + without, without + first):
        assert isinstance(some, Predictions)
        assert len(some) == 2
        assert some.hidden is None
    assert type(first + list(second)) is list


def test_gestures_are_the_classes_but_for_none() -> None:
    classifier = GestureClassifier(Fixed(0.5, 0.25, 0.25), ["like", "none", "rock"], COMMANDS, 0, WRIST_MIDDLE_TIP)
    assert classifier.gestures == ("like", "rock")
    assert classifier.classes == ("like", "none", "rock")


@pytest.mark.parametrize(
    "model", [MLPClassifier((8,), max_iter=20), RandomForestClassifier(5), ExtraTreesClassifier(5)], ids=type
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_private_methods_of_scikit_learn_give_the_same_probabilities(model: Any) -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(60, 4)).astype(np.float32)
    model.set_params(random_state=0).fit(features, random.integers(0, 3, 60))
    probabilities = probabilities_of(model, "probability")
    assert isinstance(probabilities, functools.partial)  # not predict_proba, which validates its input
    assert probabilities(features) == pytest.approx(model.predict_proba(features), abs=1e-6)
