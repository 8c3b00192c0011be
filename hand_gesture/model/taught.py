"""Gestures of a client's own, told from a few examples by the network's last hidden layer.

Each gesture gets a logistic regression on the direction of the hidden layer's activations: relative to their mean over
the stored hands, at unit length. Its other side are the stored hands and the examples of the other taught gestures. A
hand makes the taught gesture whose score exceeds its threshold by most; where none does, the classifier's own
prediction stands. docs/teach.md has the figures, bench/taught.py measures them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hand_gesture.model.classifier import NONE, GestureClassifier, Prediction, Predictions
from hand_gesture.model.stored_hands import StoredHands

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MAX_GESTURES: Final = 16
MAX_EXAMPLES: Final = 64  # of one gesture
FEATURES: Final = "wrist_rms_v3"  # stored hands have no z
INVERSE_REGULARIZATION: Final = 0.003  # scikit-learn's C
NEAR: Final = (
    0.3  # rms of features' differences; a stored hand of no gesture nearer than this may well be the same shape
)
MOST_TAKEN: Final = 0.005  # share of the stored hands
MOST_OF_A_GESTURE_TAKEN: Final = 0.05  # share of the stored hands of any known gesture
# Fitted by bench/taught.py on people other than the teachers. A confidence is the share of right answers where one hand
# in RARENESS makes the taught gesture
MARGIN_SCALE: Final = 0.095
RARENESS: Final = 7
_TOLERANCE: Final = 1e-6
_MAX_STEPS: Final = 200
_LEAST_LENGTH: Final = 1e-6  # of activations less their mean


@dataclass(frozen=True, slots=True)
class OwnGesture:
    """Examples of a gesture, shape (n, 63), x and y in one unit, and what it means to the game."""

    examples: Floats
    command: str | None = None


class TaughtGestures:
    """Tells taught gestures in batches that the classifier has answered."""

    def __init__(
        self,
        names: Sequence[str],
        commands: Sequence[str | None],
        heads: Floats,
        mean: NDArray[np.floating[Any]],
        min_confidence: float,
    ) -> None:
        """Take what ``Teacher.teach`` has found.

        Args:
            names: of the gestures.
            commands: what they mean to the game.
            heads: shape (gestures, units + 1): weights of the directions, and the intercept less the threshold.
            mean: of the hidden layer's activations, shape (units,).
            min_confidence: least confidence at which a gesture is named.
        """
        self.names = tuple(names)
        self._commands = tuple(commands)
        self._weights = np.ascontiguousarray(heads[:, :-1].T, dtype=np.float32)
        self._offsets = heads[:, -1].astype(np.float32)
        self._mean = mean.astype(np.float32)
        self._min_confidence = min_confidence

    def margins(self, hidden: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """How far each score exceeds its threshold, shape (n, gestures), for activations of shape (n, units)."""
        relative = hidden - self._mean
        lengths = np.maximum(np.sqrt(np.einsum("ij,ij->i", relative, relative)), _LEAST_LENGTH)
        margins: NDArray[np.float32] = relative @ self._weights / lengths[:, np.newaxis] + self._offsets
        return margins

    def predict(self, answers: Predictions, index: int) -> Prediction:
        """The prediction for one hand of a batch: that of a taught gesture, or else the classifier's."""
        if answers.hidden is None:
            return answers[index]
        relative = answers.hidden[index] - self._mean
        length = max(math.sqrt(relative.dot(relative)), _LEAST_LENGTH)
        margins = relative.dot(self._weights) / length + self._offsets
        best = int(margins.argmax())
        margin = float(margins[best])
        if margin <= 0 or (confidence := confidence_of(margin)) < self._min_confidence:
            return answers[index]
        return Prediction(self.names[best], confidence, self._commands[best])


def confidence_of(margin: float) -> float:
    """The confidence of an answer: 0.5 at the threshold, rounded to four digits."""
    return round(1 / (1 + math.exp(-margin / MARGIN_SCALE)), 4)


class Teacher:
    """Teaches gestures to a classifier; the same examples always give the same answers."""

    def __init__(self, classifier: GestureClassifier, stored: StoredHands) -> None:
        """Prepare what all taught gestures are told apart from.

        Raises:
            ValueError: the classifier is none that gestures can be taught to; the message is a sentence.
        """
        if classifier.network is None or classifier.features.name != FEATURES:
            raise ValueError(
                "Gestures can be taught to neural networks only (MLPClassifier with rectified linear units and a "
                f"softmax) that take the features {FEATURES}, such as the bundled one; train this one on them."
            )
        self.classifier = classifier
        self.network = classifier.network
        self.stored = stored
        features = classifier.features.make(stored.hands)
        hidden = self.network.hidden(features)
        self._mean = hidden.mean(axis=0, dtype=np.float64)
        self.rows = self._rows_of(hidden)
        self._gram = self.rows.T @ self.rows
        self._is_none = np.asarray(stored.gestures == NONE)
        self._none_features = features[self._is_none]
        self.members = {name: np.flatnonzero(stored.gestures == name) for name in np.unique(stored.gestures).tolist()}

    def rows_of(self, hands: Floats) -> Floats:
        """What the heads see of hands, shape (n, 63): their directions in the hidden layer and a 1, (n, units + 1)."""
        return self._rows_of(self.network.hidden(self.classifier.features.make(hands)))

    def _rows_of(self, hidden: NDArray[np.floating[Any]]) -> Floats:
        relative = hidden - self._mean
        lengths = np.sqrt(np.einsum("ij,ij->i", relative, relative))
        relative /= np.maximum(lengths, _LEAST_LENGTH)[:, np.newaxis]
        return np.hstack([relative, np.ones((len(relative), 1))])

    def teach(self, gestures: Mapping[str, OwnGesture]) -> TaughtGestures:
        """Make a head for each gesture.

        Args:
            gestures: by their names, at least one, each with at least one example.
        """
        rows = {name: self.rows_of(gesture.examples) for name, gesture in gestures.items()}
        heads = [
            self.fit(rows[name], self.far_from(gesture.examples), others_of(rows, name))
            for name, gesture in gestures.items()
        ]
        commands = [gesture.command for gesture in gestures.values()]
        return TaughtGestures(list(gestures), commands, np.array(heads), self._mean, self.classifier.min_confidence)

    def far_from(self, examples: Floats) -> Bools:
        """Which stored hands are to be told from the examples, shape (n,): not those of no gesture that are near one.

        Such a hand may make the very shape that is taught.
        """
        features = self.classifier.features.make(examples)
        squares = (
            np.einsum("ij,ij->i", self._none_features, self._none_features)[:, np.newaxis]
            - 2 * self._none_features @ features.T
            + np.einsum("ij,ij->i", features, features)
        )
        far = np.ones(len(self._is_none), dtype=bool)
        far[self._is_none] = squares.min(axis=1) >= NEAR**2 * features.shape[1]
        return far

    def fit(self, own: Floats, kept: Bools, others: Floats) -> Floats:
        """Fit one head.

        Args:
            own: the gesture's examples as ``rows_of`` gives them.
            kept: which stored hands are on the other side.
            others: examples that are on the other side, too.

        Returns:
            The weights and, last, the intercept less the threshold, shape (units + 1,).
        """
        head = self._regress(own, kept, others)
        scores = self.rows @ head
        threshold = _exceeded_by(scores[kept], MOST_TAKEN)
        for name, members in self.members.items():
            if name != NONE:
                threshold = max(threshold, _exceeded_by(scores[members], MOST_OF_A_GESTURE_TAKEN))
        head[-1] -= threshold
        return head

    def _regress(self, own: Floats, kept: Bools, others: Floats) -> Floats:
        """Logistic regression with an L2 penalty, both sides weighted alike.

        Each step uses the same bound of the curvature, which holds wherever the weights are, so that it has to be
        inverted only once and every step lowers the loss (Böhning and Lindsay 1988, https://doi.org/10.1007/BF00049423).
        """
        count = len(own) + np.count_nonzero(kept) + len(others)
        own_weight = INVERSE_REGULARIZATION * count / (2 * len(own))
        other_weight = INVERSE_REGULARIZATION * count / (2 * (count - len(own)))
        left_out = self.rows[~kept]
        penalty = np.ones(self.rows.shape[1])
        penalty[-1] = 0  # the intercept is free
        bound = other_weight * (self._gram - left_out.T @ left_out + others.T @ others) + own_weight * own.T @ own
        inverse = np.linalg.inv(bound / 4 + np.diag(penalty))
        stored_weights = other_weight * kept
        head = np.zeros(len(penalty))
        for _ in range(_MAX_STEPS):
            gradient = penalty * head
            gradient += (stored_weights * _logistic(self.rows @ head)) @ self.rows
            gradient += other_weight * _logistic(others @ head) @ others
            gradient -= own_weight * _logistic(-(own @ head)) @ own
            step = inverse @ gradient
            head -= step
            if np.abs(step).max() < _TOLERANCE:
                break
        return head


def others_of(rows: Mapping[str, Floats], name: str) -> Floats:
    """The rows of all gestures but one."""
    others = [values for other, values in rows.items() if other != name]
    return np.concatenate(others) if others else np.empty((0, rows[name].shape[1]))


def _exceeded_by(scores: Floats, most: float) -> float:
    """The least score that at most this share of the scores exceeds."""
    place = len(scores) - 1 - int(most * len(scores))
    return float(np.partition(scores, place)[place])


def _logistic(scores: Floats) -> Floats:
    return 1 / (1 + np.exp(-scores))
