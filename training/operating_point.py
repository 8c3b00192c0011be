"""Chooses the decision threshold: the trade-off between false positives and missed gestures.

A false positive triggers a command that nobody gave; a missed gesture costs one frame, because the hand is still there
in the next. False positives are therefore limited first (Neyman-Pearson criterion): at most 3 % of the hands without a
gesture, in each file of open hands, on sources left out of training. The bias of ``none`` is the smallest that achieves
this, since a larger one only misses more gestures. Webcam frames are not used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from sklearn.metrics import roc_auc_score

from training.data import Floats, Ints, OpenHands

MOST_NONE_ANSWERED: Final = 0.03  # in each file
# Minimum probability of a gesture: below 0.5, so that one of two equally likely gestures is still predicted
MIN_CONFIDENCE: Final = 0.4
NONE_PRIORS: Final = np.arange(0, 8, 0.1)


def answers(probabilities: Floats, min_confidence: float = MIN_CONFIDENCE) -> tuple[Ints, Floats]:
    """The service's predictions and confidences; see ``GestureClassifier.predict``."""
    none = probabilities.shape[1] - 1
    best, confidence = probabilities[:, :none].argmax(axis=1), probabilities[:, :none].max(axis=1)
    refused = confidence < np.maximum(probabilities[:, none], min_confidence)
    return np.where(refused, none, best), np.where(refused, probabilities[:, none], confidence)


def with_prior(probabilities: Floats, prior: float) -> Floats:
    """Probabilities with the log odds of ``none`` raised by ``prior``.

    Equals adding ``prior`` to the output bias of ``none``.
    """
    weighted = probabilities.copy()
    weighted[:, -1] *= np.exp(prior)
    weighted /= weighted.sum(axis=1, keepdims=True)
    return weighted


def choose_prior(probabilities: Floats, open_hands: OpenHands) -> float:
    """The smallest prior with which the false positive rate in each file is at most ``MOST_NONE_ANSWERED``.

    Args:
        probabilities: out-of-fold class probabilities of the open hands.
        open_hands: the hands.
    """
    none = probabilities.shape[1] - 1
    strict = open_hands.is_strictly_none(none)
    of_files = [probabilities[strict & (open_hands.files == file)] for file in np.unique(open_hands.files[strict])]
    return float(
        next(
            prior
            for prior in NONE_PRIORS.tolist()
            if all((answers(with_prior(rows, prior))[0] != none).mean() <= MOST_NONE_ANSWERED for rows in of_files)
        )
    )


@dataclass(frozen=True)
class Trade:
    """False positive rate (``none_answered``) and recall (``right``) by prior, and the area under the ROC curve."""

    priors: Floats
    none_answered: Floats
    right: Floats
    area: float


def trade(probabilities: Floats, open_hands: OpenHands, rows: np.ndarray) -> Trade:
    """The trade-off between false positive rate and recall over the priors, on the hands in ``rows``."""
    none = probabilities.shape[1] - 1
    gesture, strict = open_hands.is_gesture(none) & rows, open_hands.is_strictly_none(none) & rows
    priors = np.linspace(-4, 8, 121)
    given = [answers(with_prior(probabilities, prior))[0] for prior in priors]
    judged = gesture | strict
    return Trade(
        priors,
        np.array([(answer[strict] != none).mean() for answer in given]),
        np.array([(answer == open_hands.hands.classes)[gesture].mean() for answer in given]),
        float(roc_auc_score(gesture[judged], 1 - probabilities[judged, none])),
    )
