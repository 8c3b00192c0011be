"""A classifier and its label encoder behind one call: hands in, gestures out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from hand_gesture.landmarks import FEATURE_CONTRACTS, FeatureContract

NONE: Final = "none"  # what a hand is told to make that makes none of the gestures


class ProbabilisticClassifier(Protocol):
    """What scikit-learn's and XGBoost's classifiers have in common."""

    classes_: NDArray[Any]

    def predict_proba(self, X: NDArray[np.float32]) -> NDArray[np.floating[Any]]:  # noqa: N803 (scikit-learn's name)
        """Class probabilities, shape (n, classes), of features of shape (n, number of features)."""
        ...


class LabelEncoder(Protocol):
    """scikit-learn's ``LabelEncoder``, as far as it is used here."""

    classes_: NDArray[Any]

    def inverse_transform(self, y: NDArray[Any]) -> NDArray[Any]:
        """The labels that the encoded classes stand for."""
        ...


@dataclass(slots=True)  # not frozen: that makes it three times as slow to create
class Prediction:
    """The gesture of one hand, or ``none``.

    ``confidence`` is the probability of what it says: of the gesture, or that the hand makes none of them; rounded to
    four digits. ``command`` is what the gesture means to the game, if anything.
    """

    gesture: str
    confidence: float
    command: str | None


class GestureClassifier:
    """Classifies hands given as coordinates of shape (n, 63)."""

    def __init__(
        self,
        model: ProbabilisticClassifier,
        classes: Sequence[str],
        commands: Mapping[str, str],
        min_confidence: float,
        features: FeatureContract,
    ) -> None:
        """Join a classifier with the names of its classes.

        Args:
            model: column k of its probabilities belongs to ``classes[k]``.
            classes: the names; ``none``, where it is among them, stands for hands that make none of the others.
            commands: from gesture to command; gestures without one are left out.
            min_confidence: least probability at which a gesture is named.
            features: what the classifier was trained on.
        """
        self.classes = tuple(classes)
        self.gestures = tuple(name for name in classes if name != NONE)
        self._names = (*self.classes, NONE) if NONE not in classes else self.classes
        self._none = self._names.index(NONE)
        self.commands = {name: commands[name] for name in self.gestures if name in commands}
        self._commands = tuple(self.commands.get(name) for name in self._names)
        self.kind = _kind(model)
        self.model = model
        self._probabilities = _unchecked(model)
        self.min_confidence = min_confidence
        self.features = features

    def predict(self, hands: NDArray[np.float64]) -> list[Prediction]:
        """Classify hands, in order.

        A gesture is named when its probability reaches ``min_confidence`` and that of ``none``. For a classifier
        without this class the probability of none is what is missing from the best gesture's to 1.
        """
        probabilities = self._probabilities(self.features.make(hands))
        none: NDArray[np.floating[Any]] | None = None
        if NONE in self.classes:
            none = probabilities[:, self._none].copy()
            probabilities[:, self._none] = 0
        best, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
        refused = confidence < (self.min_confidence if none is None else np.maximum(none, self.min_confidence))
        if refused.any():
            best = np.where(refused, self._none, best)
            confidence = np.where(refused, 1 - confidence if none is None else none, confidence)
        return [
            Prediction(self._names[index], confidence, self._commands[index])
            for index, confidence in zip(best.tolist(), confidence.astype(np.float64).round(4).tolist(), strict=True)
        ]


def _unchecked(model: ProbabilisticClassifier) -> Callable[[NDArray[np.float32]], NDArray[np.floating[Any]]]:
    """``predict_proba`` without the checks of its input, which take scikit-learn's networks six times their arithmetic.

    Features are finite numbers of the right shape by the time they get here. The check is skipped by a method that
    scikit-learn keeps for itself and whose result is the probabilities where there are more than two classes; every
    other model is called as usual.
    """
    forward = getattr(model, "_forward_pass_fast", None)
    if forward is not None and getattr(model, "out_activation_", None) == "softmax":
        return functools.partial(forward, check_input=False)
    return model.predict_proba


def _kind(model: object) -> str:
    """The name of a classifier's class; of a pipeline's last step, or of what a search has found, where it is one."""
    if hasattr(model, "best_estimator_"):
        return _kind(model.best_estimator_)
    return _kind(model.steps[-1][1]) if hasattr(model, "steps") else type(model).__name__


def join(
    model: ProbabilisticClassifier,
    encoder: LabelEncoder,
    commands: Mapping[str, str],
    min_confidence: float,
) -> GestureClassifier:
    """Check that a classifier and its label encoder fit each other, and join them.

    The number of its features tells which they are.

    Raises:
        ValueError: they do not; the message says how.
    """
    if not callable(getattr(model, "predict_proba", None)):
        raise ValueError(f"the classifier, a {type(model).__name__}, gives no probabilities (it has no predict_proba)")
    count = getattr(model, "n_features_in_", None)
    features = next((contract for contract in FEATURE_CONTRACTS if contract.count == count), None)
    if features is None:
        known_counts = " or ".join(f"{contract.count} ({contract.name})" for contract in FEATURE_CONTRACTS)
        raise ValueError(f"the classifier takes {count} features, not {known_counts} of 21 landmarks")
    classes = np.asarray(model.classes_)
    known = np.arange(len(encoder.classes_))
    if np.array_equal(classes, known):
        gestures = encoder.inverse_transform(classes)
    elif np.array_equal(classes, encoder.classes_):
        gestures = classes
    else:
        raise ValueError(
            f"the classifier has {len(classes)} classes ({_shorten(classes)}) "
            f"and the encoder {len(known)} ({_shorten(encoder.classes_)}), which do not match"
        )
    names = [str(gesture) for gesture in gestures]
    return GestureClassifier(model, names, commands, min_confidence, features)


def _shorten(classes: NDArray[Any]) -> str:
    listed = [str(name) for name in classes[:4]]
    return ", ".join(listed + ["…"] * (len(classes) > 4))
