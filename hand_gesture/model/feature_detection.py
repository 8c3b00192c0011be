"""Finds the features that a classifier was trained on: under the right ones it gets the reference hands right."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hand_gesture.landmarks import Unit
from hand_gesture.model.classifier import Probabilities
from hand_gesture.model.features import NAMED, Features, descriptions

MIN_RIGHT: Final = 2 / 3  # 24 of 36
MIN_KNOWN: Final = 5  # gestures; with fewer, several descriptions get all of them right
NAMED_BONUS: Final = 0.05  # of the mean log likelihood: what most projects use is more likely
RIVAL: Final = 0.05  # of the mean log likelihood, within which another description comes close
MAX_DIFFERENT: Final = 0.1  # of the answers
MAX_SECONDS: Final = 40.0
_NAMED: Final = frozenset(NAMED.values())
CHUNK: Final = 16  # descriptions in one call of the model


@dataclass(frozen=True)
class LabelledHands:
    """Reference hands, shape (n, 63), in each unit, and which class each of them is of."""

    hands: dict[Unit, NDArray[np.float64]]
    classes: NDArray[np.intp]


@dataclass(frozen=True)
class Trial:
    """What a classifier answers to the reference hands under one description."""

    features: Features
    answers: NDArray[np.intp]
    right: int
    likelihood: float  # mean logarithm of the right class's probability


class NoFeaturesError(ValueError):
    """It cannot be told what a classifier was trained on; the message is a sentence that says what to do."""


def detect_features(
    probabilities: Probabilities,
    count: int,
    classes: Sequence[str],
    hands: dict[Unit, NDArray[np.float64]],
    gestures: Sequence[str],
) -> tuple[Features, str]:
    """Choose the description under which a classifier gets the most reference hands right.

    Args:
        probabilities: of the classifier.
        count: of its features.
        classes: their names.
        hands: the reference hands, shape (n, 63), in each unit.
        gestures: that they make.

    Returns:
        The description, and a sentence about it.

    Raises:
        NoFeaturesError: too few classes are known gestures, none gets enough right, or two that differ do.
    """
    possible = [features for features in NAMED.values() if features.count == count]
    if next(descriptions(count), None) is None:
        raise NoFeaturesError(
            f"The model takes {count} features; from the 21 landmarks of a hand this service makes 63 or 42, or "
            "without the wrist 60 or 40: train on one of those."
        )
    index = {_plain(name): number for number, name in enumerate(classes)}
    known = [row for row, gesture in enumerate(gestures) if gesture in index]
    if len({gestures[row] for row in known}) < MIN_KNOWN:
        names = ", ".join(features.name for features in possible) or "a description, see docs/models.md"
        raise NoFeaturesError(
            f"Too few of the model's labels are known gestures to tell which of the {count}-number features it was "
            f"trained on; say it with --features: {names} (docs/models.md says what they are)."
        )
    reference = LabelledHands(
        {unit: rows[known] for unit, rows in hands.items()}, np.array([index[gestures[row]] for row in known])
    )
    trials = try_all(probabilities, count, reference)
    most = trials[0].right
    close = [trial for trial in trials if trial.right >= most - 1]
    best = max(close, key=_score)
    if best.right < MIN_RIGHT * len(known):
        raise NoFeaturesError(
            f"The model gets at most {best.right} of {len(known)} reference hands right, under {best.features.name}; "
            "it was trained on features that are not known here: say them with --features (docs/models.md), or train "
            "again."
        )
    rivals = [
        trial
        for trial in close
        if trial.right >= best.right
        and _score(trial) > _score(best) - RIVAL
        and (trial.answers != best.answers).mean() > MAX_DIFFERENT
    ]
    if rivals:
        raise NoFeaturesError(
            f"The model may have been trained on {best.features.name} or on {rivals[0].features.name}, which answer "
            "differently; say which with --features."
        )
    sentence = f"Its features are {best.features.name}: {best.right} of {len(known)} reference hands are right"
    wrong = [
        f"{gestures[row]} for {classes[answer]}"
        for row, answer, right in zip(known, best.answers, reference.classes, strict=True)
        if answer != right
    ]
    if wrong:
        sentence += f" (wrong: it takes {', '.join(dict.fromkeys(wrong))})"
    return best.features, f"{sentence}."


def _score(trial: Trial) -> float:
    return trial.likelihood + (NAMED_BONUS if trial.features in _NAMED else 0)


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def try_all(probabilities: Probabilities, count: int, reference: LabelledHands) -> list[Trial]:
    """Have the reference hands classified under every description of so many features, the best first.

    Those that few projects use are tried where none of the others gets enough right.
    """
    deadline = time.monotonic() + MAX_SECONDS
    every = [*descriptions(count)]
    usual = [features for features in every if features.is_usual]
    trials = _try(probabilities, usual, reference, deadline)
    if trials[0].right < MIN_RIGHT * len(reference.classes):
        unusual = [features for features in every if not features.is_usual]
        trials = sorted(trials + _try(probabilities, unusual, reference, deadline), key=_rank)
    return trials


def _rank(trial: Trial) -> tuple[int, float]:
    return -trial.right, -trial.likelihood


def _try(
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
            trials.append(_judge(features, rows[index * size : (index + 1) * size], reference.classes))
    return sorted(trials, key=_rank)


def _judge(features: Features, rows: NDArray[np.floating], classes: NDArray[np.intp]) -> Trial:
    answers = rows.argmax(axis=1)
    of_right = np.clip(rows[np.arange(len(classes)), classes].astype(np.float64), 1e-3, 1)
    return Trial(features, answers, int((answers == classes).sum()), float(np.log(of_right).mean()))
