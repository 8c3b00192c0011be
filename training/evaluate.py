"""How good a network is: on hands of sources and on rows of the table that it has not seen, and on webcam frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from joblib import Parallel, delayed
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import NearestNeighbors
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from hand_gesture.landmarks import PLANAR_COUNT
from hand_gesture.model.features import wrist_rms
from training.data import Bools, Floats, Hands, Ints, OpenHands, WebcamFrames, transform
from training.depth import normalize
from training.fit import Material, fit

FOLDS: Final = 5
WIDE: Final = 16 / 9
# The table is the hard part of a public one of this many rows; see the model card.
WHOLE_TABLE_ROWS: Final = 25_675
MOST_NONE_ANSWERED: Final = 0.045
# Least probability for a gesture to be named: one that is as likely as another, like stop and palm, still is
MIN_CONFIDENCE: Final = 0.4
NONE_PRIORS: Final = np.arange(0, 5, 0.1)

VIEWS: Final[dict[str, Callable[[Floats], Floats]]] = {
    "plain": lambda hands: hands,
    "mirrored": lambda hands: transform(hands, mirrored=True),
    "tilted +20°": lambda hands: transform(hands, tilt=np.radians(20)),
    "tilted -20°": lambda hands: transform(hands, tilt=np.radians(-20)),
    "squeezed 16:9": lambda hands: transform(hands, squeeze=1 / WIDE),
}


@dataclass(frozen=True)
class HeldOut:
    """Class probabilities of hands, each by a network that has not seen it, nor any other of its source, by view."""

    classes: Ints
    probabilities: dict[str, Floats]

    def with_prior(self, prior: float) -> HeldOut:
        """The same where hands of no gesture are more frequent; see the function of this name."""
        return HeldOut(self.classes, {view: with_prior(p, prior) for view, p in self.probabilities.items()})


def answers(probabilities: Floats, min_confidence: float = MIN_CONFIDENCE) -> tuple[Ints, Floats]:
    """What the service answers, and the confidence that it gives; see ``GestureClassifier.predict``."""
    none = probabilities.shape[1] - 1
    best, confidence = probabilities[:, :none].argmax(axis=1), probabilities[:, :none].max(axis=1)
    refused = confidence < np.maximum(probabilities[:, none], min_confidence)
    return np.where(refused, none, best), np.where(refused, probabilities[:, none], confidence)


def make_material(table: Hands, open_hands: OpenHands, rows: Bools, classes: list[str]) -> Material:
    """What a network may learn from: the table, and some of the other hands, but for those that are near a gesture."""
    none = len(classes) - 1
    kept = rows & ~open_hands.near
    labels = open_hands.hands.classes[kept]
    # A source that has many hands of a class shows mostly the same person
    _, source = np.unique(open_hands.sources[kept], return_inverse=True)
    _, kind, count = np.unique(np.stack([labels, source]), axis=1, return_inverse=True, return_counts=True)
    values, proportions = normalize(table.values)
    return Material(
        Hands(values, table.classes),
        Hands(normalize(open_hands.hands.values[kept], proportions)[0], labels),
        1 / np.sqrt(count[kind.ravel()]),
        proportions,
        none,
    )


def cross_validate(table: Hands, open_hands: OpenHands, classes: list[str], *, seed: int) -> tuple[HeldOut, HeldOut]:
    """Leave out a fifth of the table and a fifth of the sources, train on the rest, answer what was left out; 5 times.

    Returns:
        The answers for the table's rows and for the open hands.
    """
    none = len(classes) - 1
    fold_of_hand = _fold_of_sources(open_hands, none)
    splits = list(StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(table.values, table.classes))

    def answer_fold(fold: int) -> tuple[dict[str, Floats], dict[str, Floats]]:
        seen, unseen = splits[fold]
        material = make_material(table.take(seen), open_hands, fold_of_hand != fold, classes)
        with threadpool_limits(1):
            network = fit(material, seed=seed + fold + 1)
            unseen_hands = table.values[unseen], open_hands.hands.values[fold_of_hand == fold]
            rows, hands = (
                {view: network.predict_proba(wrist_rms(change(values))) for view, change in VIEWS.items()}
                for values in unseen_hands
            )
        return rows, hands

    folds = Parallel(n_jobs=-1, verbose=5)(delayed(answer_fold)(fold) for fold in range(FOLDS))
    of_table = {view: np.empty((len(table), len(classes))) for view in VIEWS}
    of_open = {view: np.empty((len(open_hands.hands), len(classes))) for view in VIEWS}
    for fold, (rows, hands) in enumerate(folds):
        for view in VIEWS:
            of_table[view][splits[fold][1]] = rows[view]
            of_open[view][fold_of_hand == fold] = hands[view]
    return HeldOut(table.classes, of_table), HeldOut(open_hands.hands.classes, of_open)


def _fold_of_sources(open_hands: OpenHands, none: int) -> Ints:
    """A fold for each hand, the same for all of a source, so that gestures and none are spread evenly."""
    kinds = np.stack([open_hands.is_gesture(none), open_hands.is_strictly_none(none)])
    shares = kinds / kinds.sum(axis=1, keepdims=True)
    load = np.zeros((FOLDS, 2))
    folds = np.empty(len(open_hands.hands), dtype=np.int64)
    names, counts = np.unique(open_hands.sources, return_counts=True)
    for name in names[np.argsort(-counts, kind="stable")]:
        rows = open_hands.sources == name
        after = load + shares[:, rows].sum(axis=1)
        fold = int((after.max(axis=1) + 0.3 * after.sum(axis=1)).argmin())
        load[fold] = after[fold]
        folds[rows] = fold
    return folds


def with_prior(probabilities: Floats, prior: float) -> Floats:
    """Probabilities where hands of no gesture are more frequent than in training, by ``prior`` in log odds.

    The shares of an epoch are made up, and before a camera most hands make no gesture.
    """
    weighted = probabilities.copy()
    weighted[:, -1] *= np.exp(prior)
    weighted /= weighted.sum(axis=1, keepdims=True)
    return weighted


def choose_prior(held_out: HeldOut, open_hands: OpenHands) -> float:
    """The least prior at which few enough of the hands that make no gesture get one."""
    probabilities = held_out.probabilities["plain"]
    none = probabilities.shape[1] - 1
    strict = probabilities[open_hands.is_strictly_none(none)]
    shares = {prior: (answers(with_prior(strict, prior))[0] != none).mean() for prior in NONE_PRIORS.tolist()}
    return float(next(prior for prior, share in shares.items() if share <= MOST_NONE_ANSWERED))


@dataclass(frozen=True)
class Trade:
    """For each prior: shares of strict no-gesture hands answered and of gesture hands answered rightly."""

    none_answered: Floats
    right: Floats
    area: float


def trade(held_out: HeldOut, open_hands: OpenHands) -> Trade:
    """How answering fewer hands that make no gesture costs answers to those that do."""
    probabilities = held_out.probabilities["plain"]
    none = probabilities.shape[1] - 1
    gesture, strict = open_hands.is_gesture(none), open_hands.is_strictly_none(none)
    given = [answers(with_prior(probabilities, prior))[0] for prior in np.linspace(-4, 8, 121)]
    judged = gesture | strict
    return Trade(
        np.array([(answer[strict] != none).mean() for answer in given]),
        np.array([(answer == held_out.classes)[gesture].mean() for answer in given]),
        float(roc_auc_score(gesture[judged], 1 - probabilities[judged, none])),
    )


def by_group(values: Bools, groups: np.ndarray) -> float:
    """Mean of the shares in each group: a person with many rows counts as one."""
    _, group = np.unique(groups, return_inverse=True)
    return float((np.bincount(group, values) / np.bincount(group)).mean())


def judge_on_webcam(network: MLPClassifier, frames: WebcamFrames, classes: list[str]) -> dict[str, dict[str, float]]:
    """Shares of right answers on the frames as their clients might send them: of all, and of each gesture."""
    views = {
        "with image_size": frames.features(with_size=True),
        "without image_size": frames.features(with_size=False),
        "16:9, without image_size": frames.features(with_size=False, aspect=WIDE),
        "mirrored": frames.features(with_size=True, mirrored=True),
        "tilted +20°": frames.features(with_size=True, tilt=20),
        "tilted -20°": frames.features(with_size=True, tilt=-20),
    }
    labels = frames.hands.classes
    figures = {}
    for view, features in views.items():
        right = answers(network.predict_proba(features.astype(np.float32)))[0] == labels
        each = {classes[label]: float(right[labels == label].mean()) for label in np.unique(labels)}
        figures[view] = {"all": float(right.mean())} | each
    closed = network.predict_proba(views["with image_size"].astype(np.float32))[:, :-1].argmax(axis=1) == labels
    each = {classes[label]: float(closed[labels == label].mean()) for label in np.unique(labels)}
    figures["the likeliest gesture, were none not possible"] = {"all": float(closed.mean())} | each
    return figures


def distances_from_training(
    frames: WebcamFrames, table: Hands, open_hands: OpenHands, classes: list[str]
) -> dict[str, dict[str, float]]:
    """How far a gesture's frames are from the hands that are trained on: the median distance to the nearest of a kind.

    A distance is the root mean square of the features' differences.
    """
    none = len(classes) - 1
    kept = ~open_hands.near
    features = wrist_rms(np.concatenate([table.values, open_hands.hands.values[kept]]))
    labels = np.concatenate([table.classes, open_hands.hands.classes[kept]])
    shown = frames.features(with_size=True)
    distances = {}
    for label in np.unique(frames.hands.classes):
        kinds = {"its gesture": labels == label, "none": labels == none}
        kinds["another gesture"] = ~(kinds["its gesture"] | kinds["none"])
        hands = shown[frames.hands.classes == label]
        distances[classes[label]] = {
            kind: float(np.median(NearestNeighbors(n_neighbors=1).fit(features[rows]).kneighbors(hands)[0]))
            / PLANAR_COUNT**0.5
            for kind, rows in kinds.items()
        }
    return distances


def calibration(
    probabilities: Floats, classes: np.ndarray, bins: int = 10
) -> tuple[float, list[tuple[float, float, int]]]:
    """Expected calibration error (Guo et al. 2017, https://arxiv.org/abs/1706.04599) in equal bins of confidence.

    Returns:
        The error, and for each bin that is not empty its mean confidence, its accuracy and how many answers it holds.
    """
    given, confidence = answers(probabilities)
    right = given == classes
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    rows = [
        (float(confidence[bin_of == b].mean()), float(right[bin_of == b].mean()), int((bin_of == b).sum()))
        for b in np.unique(bin_of)
    ]
    error = sum(abs(mean - accuracy) * count for mean, accuracy, count in rows) / len(confidence)
    return error, rows
