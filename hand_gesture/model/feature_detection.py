"""Detects the features that a classifier was trained on: those with which it classifies reference hands correctly."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hand_gesture.landmarks import Unit
from hand_gesture.model.classifier import Probabilities
from hand_gesture.model.features import NAMED, Features, candidate_features

MIN_RIGHT: Final = 2 / 3  # 24 of 36
MIN_KNOWN: Final = 5  # gestures; with fewer, several descriptions classify all of them correctly
NAMED_BONUS: Final = 0.05  # of the mean log likelihood: a prior for the features that most projects use
RIVAL: Final = 0.05  # maximum difference in mean log likelihood of an ambiguous description
MAX_DIFFERENT: Final = 0.1  # share of predictions in which ambiguous descriptions may differ
MAX_SECONDS: Final = 40.0
_NAMED: Final = frozenset(NAMED.values())
CHUNK: Final = 16  # descriptions per model call


@dataclass(frozen=True)
class LabelledHands:
    """Reference hands, shape (n, 63), in each unit, and their classes, shape (n,)."""

    hands: dict[Unit, NDArray[np.float64]]
    classes: NDArray[np.intp]


@dataclass(frozen=True)
class Trial:
    """The predictions for the reference hands with one description of features."""

    features: Features
    answers: NDArray[np.intp]
    right: int
    likelihood: float  # mean logarithm of the right class's probability


class FeatureDetectionError(ValueError):
    """The features could not be detected; the message says what to do."""


def detect_features(
    probabilities: Probabilities,
    count: int,
    classes: Sequence[str],
    hands: dict[Unit, NDArray[np.float64]],
    gestures: Sequence[str],
) -> tuple[Features, str]:
    """Choose the features with which a classifier is most accurate on the reference hands.

    Args:
        probabilities: function from features to the classifier's probabilities.
        count: number of its features.
        classes: its class names.
        hands: the reference hands, shape (n, 63), in each unit.
        gestures: the gestures of the reference hands.

    Returns:
        The features, and a sentence about them for the user.

    Raises:
        FeatureDetectionError: too few classes are known gestures, the accuracy is too low with all features, or the
            result is ambiguous.
    """
    possible = [features for features in NAMED.values() if features.count == count]
    if next(candidate_features(count), None) is None:
        raise FeatureDetectionError(
            f"The model takes {count} features; this service computes 63 or 42 from the 21 landmarks of a hand, or 60 "
            "or 40 without the wrist: train on one of those."
        )
    index = {_plain(name): number for number, name in enumerate(classes)}
    known = [row for row, gesture in enumerate(gestures) if gesture in index]
    if len({gestures[row] for row in known}) < MIN_KNOWN:
        names = ", ".join(features.name for features in possible) or "a description, see docs/models.md"
        raise FeatureDetectionError(
            f"Too few of the model's labels are known gestures to detect which of the {count}-number features it was "
            f"trained on; give them with --features: {names} (described in docs/models.md)."
        )
    reference = LabelledHands(
        {unit: rows[known] for unit, rows in hands.items()}, np.array([index[gestures[row]] for row in known])
    )
    trials = try_all(probabilities, count, reference)
    most = trials[0].right
    close = [trial for trial in trials if trial.right >= most - 1]
    best = max(close, key=_score)
    if best.right < MIN_RIGHT * len(known):
        raise FeatureDetectionError(
            f"The model classifies at most {best.right} of {len(known)} reference hands correctly, with "
            f"{best.features.name}; give the features that it was trained on with --features (docs/models.md), or "
            "train again."
        )
    rivals = [
        trial
        for trial in close
        if trial.right >= best.right
        and _score(trial) > _score(best) - RIVAL
        and (trial.answers != best.answers).mean() > MAX_DIFFERENT
    ]
    if rivals:
        raise FeatureDetectionError(
            f"The model may have been trained on {best.features.name} or on {rivals[0].features.name}, and predicts "
            "differently with each; choose one with --features."
        )
    sentence = f"Detected features: {best.features.name} ({best.right} of {len(known)} reference hands are correct"
    wrong = [
        f"{gestures[row]} as {classes[answer]}"
        for row, answer, right in zip(known, best.answers, reference.classes, strict=True)
        if answer != right
    ]
    if wrong:
        sentence += f"; confused: {', '.join(dict.fromkeys(wrong))}"
    return best.features, f"{sentence})."


def _score(trial: Trial) -> float:
    return trial.likelihood + (NAMED_BONUS if trial.features in _NAMED else 0)


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def try_all(probabilities: Probabilities, count: int, reference: LabelledHands) -> list[Trial]:
    """Evaluate all descriptions with this number of features, the most accurate first.

    Rare descriptions are tried only if none of the common ones is accurate enough.
    """
    deadline = time.monotonic() + MAX_SECONDS
    every = [*candidate_features(count)]
    common = [features for features in every if features.is_common]
    trials = _evaluate_all(probabilities, common, reference, deadline)
    if trials[0].right < MIN_RIGHT * len(reference.classes):
        rare = [features for features in every if not features.is_common]
        trials = sorted(trials + _evaluate_all(probabilities, rare, reference, deadline), key=_rank)
    return trials


def _rank(trial: Trial) -> tuple[int, float]:
    return -trial.right, -trial.likelihood


def _evaluate_all(
    probabilities: Probabilities, tried: Sequence[Features], reference: LabelledHands, deadline: float
) -> list[Trial]:
    trials: list[Trial] = []
    waiting: list[tuple[Features, NDArray[np.float32]]] = []
    seen: set[bytes] = set()
    for features in tried:
        made = features.make(reference.hands[features.unit])
        if (digest := made.tobytes()) not in seen:
            seen.add(digest)
            waiting.append((features, made))
    for start in range(0, len(waiting), CHUNK):
        if trials and time.monotonic() > deadline:
            break
        chunk = waiting[start : start + CHUNK]
        rows = probabilities(np.concatenate([made for _, made in chunk]))
        size = len(reference.classes)
        for index, (features, _) in enumerate(chunk):
            trials.append(_evaluate(features, rows[index * size : (index + 1) * size], reference.classes))
    return sorted(trials, key=_rank)


def _evaluate(features: Features, rows: NDArray[np.floating], classes: NDArray[np.intp]) -> Trial:
    answers = rows.argmax(axis=1)
    of_right = np.clip(rows[np.arange(len(classes)), classes].astype(np.float64), 1e-3, 1)
    return Trial(features, answers, int((answers == classes).sum()), float(np.log(of_right).mean()))
