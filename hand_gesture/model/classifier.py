"""A classifier and the names of its classes behind one call: hands in, gestures out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from hand_gesture.model.features import Features
from hand_gesture.model.network import Network

NONE: Final = "none"  # what a hand is told to make that makes none of the gestures


Confidence = Literal["probability", "margin"]
Probabilities = Callable[[NDArray[np.float32]], NDArray[np.floating[Any]]]


@dataclass(slots=True)  # not frozen: that makes it three times as slow to create
class Prediction:
    """The gesture of one hand, or ``none``.

    ``confidence`` is the probability of what it says: of the gesture, or that the hand makes none of them; rounded to
    four digits. ``command`` is what the gesture means to the game, if anything.
    """

    gesture: str
    confidence: float
    command: str | None


class Predictions(list[Prediction]):
    """The predictions of a batch of hands, in order.

    ``hidden`` are the activations of the network's last hidden layer, shape (hands, units), which gestures of a
    client's own are told by; None where the classifier is no such network.
    """

    __slots__ = ("hidden",)

    def __init__(self, predictions: Iterable[Prediction], hidden: NDArray[np.floating[Any]] | None) -> None:
        super().__init__(predictions)
        self.hidden = hidden

    def __add__(self, others: Any) -> Any:
        """The predictions of both."""
        both = super().__add__(others)
        if not isinstance(others, Predictions):
            return both
        has_hidden = self.hidden is not None and others.hidden is not None
        return Predictions(both, np.concatenate([self.hidden, others.hidden]) if has_hidden else None)


class Refinement(Protocol):
    """What changes some of a batch's predictions to gestures of its own."""

    names: tuple[str, ...]
    commands: tuple[str | None, ...]  # what they mean to the game

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
        """Join a classifier with the names of its classes.

        Args:
            model: a classifier of scikit-learn's or XGBoost's; its k-th class is ``classes[k]``.
            classes: the names; ``none``, where it is among them, stands for hands that make none of the others.
            commands: from gesture to command; gestures without one are left out.
            min_confidence: least probability at which a gesture is named.
            features: what the classifier was trained on.
            confidence: whether the model gives probabilities, or only how far hands are from the border between
                classes; see ``margins``.
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
        """Classify hands, in order.

        A gesture is named when its probability reaches ``min_confidence`` and that of ``none``. For a classifier
        without this class the probability of none is what is missing from the best gesture's to 1.
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

    def adopt(self, refinement: Refinement) -> None:
        """Tell more gestures from now on."""
        self.gestures = (*self.gestures, *refinement.names)
        meant = zip(refinement.names, refinement.commands, strict=True)
        self.commands |= {name: command for name, command in meant if command is not None}
        self._refinement = refinement


def probabilities_of(model: Any, confidence: Confidence) -> Probabilities:
    """The quickest way to a classifier's probabilities: features, shape (n, count), to shape (n, classes).

    scikit-learn checks its input, which takes its networks six times their arithmetic, and has a thread pool run each
    tree, which takes a forest ten times its own. Features are finite numbers of the right shape by the time they get
    here, so for these two the work is called directly; every other model is called as usual.
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
    """What stands for probabilities where a classifier has none.

    The class that the classifier answers with gets the logistic function of twice its least margin, all others 0. Of a
    support vector machine that decides between pairs of classes (``decision_function_shape="ovo"``), it is the least
    over the pairs that the class is in: 0.5 on the border, 0.88 where the support vectors are. A softmax of its
    decisions would say nothing about hands that make no gesture.
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
    """Whether its decisions are between pairs of classes."""
    return getattr(last_step(model), "decision_function_shape", None) == "ovo"


def last_step(model: Any) -> Any:
    """The classifier at the end of a pipeline, or the model itself."""
    while hasattr(model, "steps"):
        model = model.steps[-1][1]
    return model
