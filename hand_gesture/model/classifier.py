"""The gesture classifier: hands in, gestures out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from hand_gesture.model.features import Features
from hand_gesture.model.network import Network

NONE: Final = "none"  # the class of hands that make no gesture

Confidence = Literal["probability", "margin"]
Probabilities = Callable[[NDArray[np.float32]], NDArray[np.floating[Any]]]


@dataclass(slots=True)  # not frozen: frozen instances take three times as long to create
class Prediction:
    """The gesture of one hand, or ``none``.

    ``confidence`` is the probability of ``gesture`` (also if it is ``none``), rounded to four digits. ``command`` is
    the game command of the gesture, if it has one.
    """

    gesture: str
    confidence: float
    command: str | None


class Predictions(list[Prediction]):
    """The predictions of a batch of hands, in order.

    ``hidden`` are the activations of the network's last hidden layer, shape (hands, units), from which custom gestures
    are predicted; None if the classifier is not such a network.
    """

    __slots__ = ("hidden",)

    def __init__(self, predictions: Iterable[Prediction], hidden: NDArray[np.floating[Any]] | None) -> None:
        super().__init__(predictions)
        self.hidden = hidden

    def __add__(self, others: Any) -> Any:
        """Concatenate predictions."""
        both = super().__add__(others)
        if not isinstance(others, Predictions):
            return both
        has_hidden = self.hidden is not None and others.hidden is not None
        return Predictions(both, np.concatenate([self.hidden, others.hidden]) if has_hidden else None)


class Refinement(Protocol):
    """Replaces some predictions of a batch with custom gestures."""

    names: tuple[str, ...]
    commands: tuple[str | None, ...]  # one for each name

    def refine(self, answers: Predictions) -> None:
        """Change predictions in place."""
        ...


class GestureClassifier:
    """Classifies hands given as coordinates of shape (n, 63)."""

    def __init__(
        self,
        model: Any,
        classes: Sequence[str],
        commands: Mapping[str, str],
        min_confidence: float,
        features: Features,
        confidence: Confidence = "probability",
    ) -> None:
        """Wrap a classifier.

        Args:
            model: a classifier of scikit-learn or XGBoost; its k-th class is ``classes[k]``.
            classes: the class names; ``none``, if among them, is the class of hands that make no gesture.
            commands: from gesture to game command, only for gestures that have one.
            min_confidence: minimum probability of a gesture; below it the prediction is ``none``.
            features: the preprocessing that the classifier was trained with.
            confidence: whether the model has probabilities, or only distances from the decision boundary; see
                ``margins``.
        """
        self.classes = tuple(classes)
        self.gestures = tuple(name for name in classes if name != NONE)
        self._names = (*self.classes, NONE) if NONE not in classes else self.classes
        self._none = self._names.index(NONE)
        self.commands = {name: commands[name] for name in self.gestures if name in commands}
        self._commands = tuple(self.commands.get(name) for name in self._names)
        self.kind = type(last_step(model)).__name__
        self.model = model
        self._probabilities = probabilities_of(model, confidence)
        self.network = Network.of(model) if confidence != "margin" else None
        self._refinement: Refinement | None = None
        self.min_confidence = min_confidence
        self.features = features

    def predict(self, hands: NDArray[np.float64]) -> Predictions:
        """Classify hands, shape (n, 63), in order.

        A gesture is predicted if its probability is at least ``min_confidence`` and at least that of ``none``. For a
        classifier without the class ``none``, its probability is 1 minus that of the best gesture.
        """
        features = self.features.make(hands)
        hidden: NDArray[np.floating[Any]] | None = None
        if self.network is None:
            probabilities = self._probabilities(features)
        else:
            hidden = self.network.hidden(features)
            probabilities = self.network.probabilities(hidden)
        none: NDArray[np.floating[Any]] | None = None
        if NONE in self.classes:
            none = probabilities[:, self._none].copy()
            probabilities[:, self._none] = 0
        best, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
        refused = confidence < (self.min_confidence if none is None else np.maximum(none, self.min_confidence))
        if refused.any():
            best = np.where(refused, self._none, best)
            confidence = np.where(refused, 1 - confidence if none is None else none, confidence)
        predictions = [
            Prediction(self._names[index], confidence, self._commands[index])
            for index, confidence in zip(best.tolist(), confidence.astype(np.float64).round(4).tolist(), strict=True)
        ]
        answers = Predictions(predictions, hidden)
        if self._refinement is not None:
            self._refinement.refine(answers)
        return answers

    def add_refinement(self, refinement: Refinement) -> None:
        """Recognize the refinement's gestures, too, in all later predictions."""
        self.gestures = (*self.gestures, *refinement.names)
        pairs = zip(refinement.names, refinement.commands, strict=True)
        self.commands |= {name: command for name, command in pairs if command is not None}
        self._refinement = refinement


def probabilities_of(model: Any, confidence: Confidence) -> Probabilities:
    """The fastest function from features, shape (n, count), to a classifier's probabilities, shape (n, classes).

    Networks and forests bypass scikit-learn's input validation, which takes six times as long as the arithmetic of a
    network, and its thread pool, which makes a forest ten times slower. The features are already validated.
    """
    if confidence == "margin":
        return functools.partial(margins, model)
    forward = getattr(model, "_forward_pass_fast", None)
    if forward is not None and getattr(model, "out_activation_", None) == "softmax":
        return functools.partial(forward, check_input=False)
    if type(model).__name__ in {"RandomForestClassifier", "ExtraTreesClassifier"}:
        return functools.partial(_mean_of_trees, [estimator.tree_ for estimator in model.estimators_])
    probabilities: Probabilities = model.predict_proba
    return probabilities


def _mean_of_trees(trees: Sequence[Any], features: NDArray[np.float32]) -> NDArray[np.float64]:
    features = np.ascontiguousarray(features)
    total: NDArray[np.float64] = trees[0].predict(features)
    for tree in trees[1:]:
        total += tree.predict(features)
    total /= len(trees)
    return total


def margins(model: Any, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Pseudo-probabilities, shape (n, classes), of a classifier without ``predict_proba``.

    The predicted class gets the logistic function of twice its smallest margin, all others 0. For a one-versus-one
    support vector machine (``decision_function_shape="ovo"``) this is the minimum over all pairs with the class: 0.5 on
    the decision boundary, 0.88 on the margin. A softmax of the decisions would not be low for hands without a gesture.
    """
    decisions = model.decision_function(features)
    classes = len(model.classes_)
    count = len(features)
    if decisions.ndim == 1:
        winners = (decisions > 0).astype(np.intp)
        least = np.abs(decisions)
    elif _is_pairwise(model):
        first, second = np.triu_indices(classes, k=1)
        votes = np.zeros((count, classes), dtype=np.intp)
        is_first = decisions > 0
        np.add.at(votes.T, first, is_first.T)
        np.add.at(votes.T, second, ~is_first.T)
        winners = votes.argmax(axis=1)
        for_winner = np.where(first == winners[:, np.newaxis], decisions, np.inf)
        against = np.where(second == winners[:, np.newaxis], -decisions, np.inf)
        least = np.minimum(for_winner, against).min(axis=1)
    else:
        winners = decisions.argmax(axis=1)
        best_two = np.partition(decisions, -2, axis=1)[:, -2:]
        least = best_two[:, 1] - best_two[:, 0]
    confidences = np.zeros((count, classes))
    confidences[np.arange(count), winners] = 1 / (1 + np.exp(-2 * np.clip(least, -350, 350)))
    return confidences


def _is_pairwise(model: Any) -> bool:
    """Whether ``decision_function`` is one-versus-one."""
    return getattr(last_step(model), "decision_function_shape", None) == "ovo"


def last_step(model: Any) -> Any:
    """The classifier at the end of a pipeline, or the model itself."""
    while hasattr(model, "steps"):
        model = model.steps[-1][1]
    return model
