"""How good a network is: on webcam frames, and on rows of the table that it has not seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from joblib import Parallel, delayed
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from hand_gesture.landmarks import to_features
from training.data import Floats, Hands, WebcamFrames, transform
from training.fit import fit

FOLDS: Final = 5
WIDE: Final = 16 / 9
# The table is the hard part of a public one of this many rows; see the model card.
WHOLE_TABLE_ROWS: Final = 25_675


@dataclass(frozen=True)
class HeldOut:
    """Class probabilities of every row of the table, each by a network that has not seen it, plain and transformed."""

    hands: Hands
    probabilities: dict[str, Floats]

    def accuracy(self, view: str = "plain") -> float:
        """Share of right answers."""
        return float((self.probabilities[view].argmax(axis=1) == self.hands.classes).mean())


def cross_validate(hands: Hands, *, seed: int) -> HeldOut:
    """Train on four fifths and answer the last, five times."""
    splits = list(StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(hands.values, hands.classes))
    folds = Parallel(n_jobs=-1, verbose=5)(
        delayed(_answer_fold)(hands.take(seen), hands.values[unseen], seed + fold)
        for fold, (seen, unseen) in enumerate(splits, start=1)
    )
    probabilities = {view: np.empty((len(hands), hands.classes.max() + 1)) for view in _VIEWS}
    for (_, unseen), answers in zip(splits, folds, strict=True):
        for view, answer in answers.items():
            probabilities[view][unseen] = answer
    return HeldOut(hands, probabilities)


_VIEWS: Final[dict[str, Callable[[Floats], Floats]]] = {
    "plain": lambda hands: transform(hands, mirrored=False, tilt=0.0, squeeze=1.0),
    "mirrored": lambda hands: transform(hands, mirrored=True, tilt=0.0, squeeze=1.0),
    "tilted +20°": lambda hands: transform(hands, mirrored=False, tilt=np.radians(20), squeeze=1.0),
    "tilted -20°": lambda hands: transform(hands, mirrored=False, tilt=np.radians(-20), squeeze=1.0),
    "squeezed 16:9": lambda hands: transform(hands, mirrored=False, tilt=0.0, squeeze=1 / WIDE),
}


def _answer_fold(seen: Hands, unseen: Floats, seed: int) -> dict[str, Floats]:
    with threadpool_limits(1):
        network = fit(seen, seed=seed)
        return {view: network.predict_proba(to_features(change(unseen))) for view, change in _VIEWS.items()}


def judge_on_webcam(network: MLPClassifier, frames: WebcamFrames) -> dict[str, dict[str, float]]:
    """Accuracy on the frames as their clients might send them: overall and for each gesture's class number."""
    views = {
        "with image_size": frames.features(with_size=True),
        "without image_size": frames.features(with_size=False),
        "16:9, with image_size": frames.features(with_size=True, aspect=WIDE),
        "16:9, without image_size": frames.features(with_size=False, aspect=WIDE),
        "mirrored": frames.features(with_size=True, mirrored=True),
        "tilted +20°": frames.features(with_size=True, tilt=20),
        "tilted -20°": frames.features(with_size=True, tilt=-20),
    }
    classes = frames.hands.classes
    return {
        view: {"all": float((network.predict(features) == classes).mean())}
        | {
            str(label): float((network.predict(features[classes == label]) == label).mean())
            for label in np.unique(classes)
        }
        for view, features in views.items()
    }


def implied_accuracy(held_out: HeldOut) -> float:
    """Accuracy on the whole public table, if the rows that are not here are answered right.

    The machines that chose the rows that are here had all others right.
    """
    return 1 - (1 - held_out.accuracy()) * len(held_out.hands) / WHOLE_TABLE_ROWS


def calibration(
    probabilities: Floats, classes: np.ndarray, bins: int = 10
) -> tuple[float, list[tuple[float, float, int]]]:
    """Expected calibration error (Guo et al. 2017, https://arxiv.org/abs/1706.04599) in equal bins of confidence.

    Returns:
        The error, and for each bin that is not empty its mean confidence, its accuracy and how many answers it holds.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == classes
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    rows = [
        (float(confidence[bin_of == b].mean()), float(right[bin_of == b].mean()), int((bin_of == b).sum()))
        for b in np.unique(bin_of)
    ]
    error = sum(abs(mean - accuracy) * count for mean, accuracy, count in rows) / len(confidence)
    return error, rows
