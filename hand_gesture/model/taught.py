"""Custom gestures: recognized from a few examples, by transfer learning on the network's last hidden layer.

Each custom gesture gets a classification head: a logistic regression on the activations of the hidden layer, centered
on their mean over the stored hands and scaled to unit length. The negatives are the stored hands and the examples of
the other custom gestures. A hand is recognized as the custom gesture whose score exceeds its threshold by most; if none
does, the classifier's prediction stands. bench/taught.py measures the accuracy, docs/teach.md reports it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hand_gesture.model.classifier import NONE, GestureClassifier, Prediction, Predictions
from hand_gesture.model.features import WRIST_RMS
from hand_gesture.model.network import Network
from hand_gesture.model.stored_hands import STORED_HANDS_FILE, StoredHands, read_stored_hands

Floats = NDArray[np.float64]
Rows = NDArray[np.float32]
Bools = NDArray[np.bool_]

MAX_GESTURES: Final = 16
MAX_EXAMPLES: Final = 64  # of one gesture
FEATURES: Final = WRIST_RMS  # stored hands have no z
INVERSE_REGULARIZATION: Final = 0.1  # scikit-learn's C
NEAR: Final = 0.3  # rms difference of features; a stored hand without a gesture that is nearer may have the same shape
MAX_FALSE_POSITIVES: Final = 0.0045  # share of the stored hands
MAX_FALSE_POSITIVES_OF_A_GESTURE: Final = 0.05  # share of the stored hands of each known gesture
# Calibration of the confidence, fitted by bench/taught.py on people other than those who recorded the examples. It is
# the precision if one hand in RARENESS makes the custom gesture
MARGIN_SCALE: Final = 0.44
RARENESS: Final = 6
_TOLERANCE: Final = 1e-3  # Newton's method converges quadratically: the next step would be below float32's precision
_MAX_STEPS: Final = 20
_MIN_LENGTH: Final = 1e-6  # of centered activations, to not divide by 0


@dataclass(frozen=True, slots=True)
class OwnGesture:
    """Examples of a custom gesture, shape (n, 63), with x and y in the same unit, and its game command."""

    examples: Floats
    command: str | None = None


class TaughtGestures:
    """Recognizes custom gestures in batches that the classifier has predicted."""

    def __init__(
        self,
        names: Sequence[str],
        commands: Sequence[str | None],
        heads: Rows,
        mean: NDArray[np.floating[Any]],
        min_confidence: float,
    ) -> None:
        """Create them from the results of ``Teacher.teach``.

        Args:
            names: of the gestures.
            commands: the game command of each gesture, if it has one.
            heads: weights, and the intercept minus the threshold, shape (gestures, units + 1).
            mean: of the hidden layer's activations, shape (units,).
            min_confidence: minimum confidence of a custom gesture.
        """
        self.names = tuple(names)
        self.commands = tuple(commands)
        self._weights = np.ascontiguousarray(heads[:, :-1].T)
        self._offsets = heads[:, -1].copy()
        self._mean = mean.astype(np.float32)
        self._min_confidence = min_confidence

    def margins(self, hidden: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """How far each score exceeds its threshold, shape (n, gestures), for activations of shape (n, units)."""
        relative = hidden - self._mean
        lengths = np.maximum(np.sqrt(np.einsum("ij,ij->i", relative, relative)), _MIN_LENGTH)
        margins: NDArray[np.float32] = relative @ self._weights / lengths[:, np.newaxis] + self._offsets
        return margins

    def predict(self, answers: Predictions, index: int) -> Prediction:
        """The prediction for one hand of a batch: a custom gesture, or else the classifier's prediction."""
        if answers.hidden is None:
            return answers[index]
        relative = answers.hidden[index] - self._mean
        length = max(math.sqrt(relative.dot(relative)), _MIN_LENGTH)
        margins = relative.dot(self._weights) / length + self._offsets
        best = int(margins.argmax())
        margin = float(margins[best])
        if margin <= 0 or (confidence := confidence_of(margin)) < self._min_confidence:
            return answers[index]
        return Prediction(self.names[best], confidence, self.commands[best])

    def refine(self, answers: Predictions) -> None:
        """Replace the predictions of a batch that are custom gestures, in place."""
        if answers.hidden is None:
            return
        for index in np.flatnonzero(self.margins(answers.hidden).max(axis=1) > 0).tolist():
            answers[index] = self.predict(answers, index)


def confidence_of(margin: float) -> float:
    """The confidence for a margin: 0.5 at the threshold; rounded to four digits."""
    return round(1 / (1 + math.exp(-margin / MARGIN_SCALE)), 4)


class Teacher:
    """Trains custom gestures for a classifier; deterministic."""

    def __init__(self, classifier: GestureClassifier, stored: StoredHands) -> None:
        """Compute the hidden layer of the stored hands.

        Raises:
            ValueError: custom gestures are not possible with this classifier; the message is a sentence.
        """
        self.network = network_of(classifier)
        self.classifier = classifier
        self.stored = stored
        features = classifier.features.make(stored.hands)
        hidden = self.network.hidden(features)
        self._mean = hidden.mean(axis=0, dtype=np.float64)
        self.rows = self._rows_of(hidden)
        self._is_none = np.asarray(stored.gestures == NONE)
        self._none_features = features[self._is_none]
        self.members = {name: np.flatnonzero(stored.gestures == name) for name in np.unique(stored.gestures).tolist()}

    def rows_of(self, hands: Floats) -> Rows:
        """Input of the heads, shape (n, units + 1), for hands, shape (n, 63): centered unit activations, and a 1."""
        return self._rows_of(self.network.hidden(self.classifier.features.make(hands)))

    def _rows_of(self, hidden: NDArray[np.floating[Any]]) -> Rows:
        rows = np.ones((len(hidden), self.network.units + 1), dtype=np.float32)
        relative = hidden - self._mean
        lengths = np.sqrt(np.einsum("ij,ij->i", relative, relative))
        rows[:, :-1] = relative / np.maximum(lengths, _MIN_LENGTH)[:, np.newaxis]
        return rows

    def teach(self, gestures: Mapping[str, OwnGesture]) -> TaughtGestures:
        """Train a head for each gesture.

        Args:
            gestures: by name; at least one, each with at least one example.
        """
        rows = {name: self.rows_of(gesture.examples) for name, gesture in gestures.items()}
        heads = [
            self.fit(rows[name], self.far_from(gesture.examples), others_of(rows, name))
            for name, gesture in gestures.items()
        ]
        commands = [gesture.command for gesture in gestures.values()]
        return TaughtGestures(list(gestures), commands, np.array(heads), self._mean, self.classifier.min_confidence)

    def far_from(self, examples: Floats) -> Bools:
        """Which stored hands are negatives, shape (n,): all except those without a gesture that are near an example.

        Those may have the very shape of the custom gesture.
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

    def fit(self, own: Rows, kept: Bools, others: Rows, start: Rows | None = None) -> Rows:
        """Fit one head.

        Args:
            own: the gesture's examples, from ``rows_of``.
            kept: which stored hands are negatives, from ``far_from``.
            others: examples of other gestures, which are negatives, too.
            start: initial head, if one is known that is close to the result.

        Returns:
            The weights, followed by the intercept minus the threshold, shape (units + 1,).
        """
        head = self._regress(own, kept, others, start)
        scores = self.rows @ head
        threshold = _exceeded_by(scores[kept], MAX_FALSE_POSITIVES)
        for name, members in self.members.items():
            if name != NONE:
                threshold = max(threshold, _exceeded_by(scores[members], MAX_FALSE_POSITIVES_OF_A_GESTURE))
        head[-1] -= threshold
        return head

    def _regress(self, own: Rows, kept: Bools, others: Rows, start: Rows | None) -> Rows:
        """Logistic regression with an L2 penalty, in which positives and negatives have the same total weight.

        Newton's method converges, because the loss is convex and the penalty keeps its Hessian well-conditioned.
        """
        count = len(own) + int(np.count_nonzero(kept)) + len(others)
        own_weight = INVERSE_REGULARIZATION * count / (2 * len(own))
        other_weight = INVERSE_REGULARIZATION * count / (2 * (count - len(own)))
        penalty = np.ones(self.rows.shape[1], dtype=np.float32)
        penalty[-1] = 0  # not for the intercept
        rows = np.concatenate([own, self.rows, others])
        signs = np.ones(len(rows), dtype=np.float32)
        signs[len(own) :] = -1
        weights = np.full(len(rows), other_weight, dtype=np.float32)
        weights[: len(own)] = own_weight
        weights[len(own) : len(own) + len(kept)] *= kept
        head = np.zeros_like(penalty) if start is None else start.copy()
        scaled = np.empty_like(rows)
        for _ in range(_MAX_STEPS):
            with np.errstate(over="ignore"):  # 1 / inf is 0, as it should be
                mistaken = 1 / (1 + np.exp(signs * (rows @ head)))
            gradient = penalty * head - (weights * signs * mistaken) @ rows
            np.multiply(rows, np.sqrt(weights * mistaken * (1 - mistaken))[:, np.newaxis], out=scaled)
            curvature = scaled.T @ scaled
            curvature[np.diag_indices_from(curvature)] += penalty
            step = np.linalg.solve(curvature, gradient)
            head -= step
            if np.abs(step).max() < _TOLERANCE:
                break
        return head


def network_of(classifier: GestureClassifier) -> Network:
    """The network of a classifier, if custom gestures are possible with it.

    Raises:
        ValueError: they are not; the message is a sentence.
    """
    if classifier.network is None or classifier.features != FEATURES:
        raise ValueError(
            "Gestures can be taught to neural networks only (MLPClassifier with rectified linear units and a softmax) "
            f"that take the features {FEATURES.name}, such as the bundled one; serve such a model."
        )
    return classifier.network


def load_teacher(folder: Path, classifier: GestureClassifier) -> Teacher:
    """Load the stored hands from a folder of artifacts.

    Raises:
        OSError: the file cannot be read now, for example because too many files are open.
        ValueError: custom gestures are not possible; the message is a sentence.
    """
    network_of(classifier)
    try:
        stored = read_stored_hands(folder / STORED_HANDS_FILE)
    except (FileNotFoundError, ValueError):
        raise ValueError(
            f"The served model came without {STORED_HANDS_FILE}, which custom gestures need; import it again."
        ) from None
    return Teacher(classifier, stored)


def others_of(rows: Mapping[str, Rows], name: str) -> Rows:
    """The rows of all gestures but one."""
    others = [values for other, values in rows.items() if other != name]
    return np.concatenate([rows[name][:0], *others])


def _exceeded_by(scores: Rows, most: float) -> float:
    """The lowest threshold that at most this share of the scores exceeds."""
    place = len(scores) - 1 - int(most * len(scores))
    return float(np.partition(scores, place)[place])
