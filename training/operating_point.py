"""When a gesture is named: the rule that trades false commands for missed ones.

A false command moves a game that nobody touched, and the
player cannot take it back. A missed one costs a frame: the hand is still there in the next, a thirtieth of a second
later. So false commands are limited first, and only what the limit leaves free is spent on missed ones (the
Neyman-Pearson criterion): of the hands that make no gesture, at most 3 % may get one, in each of the files of open
hands, on sources that were left out of training. The bias of ``none`` is the least that achieves this, since a larger
one only misses more gestures. Webcam frames have no part in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from sklearn.metrics import roc_auc_score

from training.data import Floats, Ints, OpenHands

MOST_NONE_ANSWERED: Final = 0.03  # in each file
# Least probability for a gesture to be named: one that is as likely as another, like stop and palm, still is
MIN_CONFIDENCE: Final = 0.4
NONE_PRIORS: Final = np.arange(0, 8, 0.1)


def answers(probabilities: Floats, min_confidence: float = MIN_CONFIDENCE) -> tuple[Ints, Floats]:
    """What the service answers, and the confidence that it gives; see ``GestureClassifier.predict``."""
    none = probabilities.shape[1] - 1
    best, confidence = probabilities[:, :none].argmax(axis=1), probabilities[:, :none].max(axis=1)
    refused = confidence < np.maximum(probabilities[:, none], min_confidence)
    return np.where(refused, none, best), np.where(refused, probabilities[:, none], confidence)


def with_prior(probabilities: Floats, prior: float) -> Floats:
    """Probabilities where hands of no gesture are more frequent than in training, by ``prior`` in log odds.

    It is what the network gives when ``prior`` is added to its output's bias of ``none``.
    """
    weighted = probabilities.copy()
    weighted[:, -1] *= np.exp(prior)
    weighted /= weighted.sum(axis=1, keepdims=True)
    return weighted


def choose_prior(probabilities: Floats, open_hands: OpenHands) -> float:
    """The least prior at which few enough of each file's hands that make no gesture get one.

    Args:
        probabilities: of the open hands, each by a network that has not seen its source.
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
    """For each prior: shares of strict no-gesture hands answered and of gesture hands answered correctly."""

    priors: Floats
    none_answered: Floats
    right: Floats
    area: float


def trade(probabilities: Floats, open_hands: OpenHands, rows: np.ndarray) -> Trade:
    """How answering fewer hands that make no gesture costs answers to those that do, among some of the hands."""
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
