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
from hand_gesture.model.features import Features, descriptions

LEAST_RIGHT: Final = 2 / 3  # 24 of 36
LEAST_KNOWN: Final = 5  # gestures; with fewer, several descriptions get all of them right
MAX_SECONDS: Final = 40.0
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


def try_all(probabilities: Probabilities, count: int, reference: LabelledHands) -> list[Trial]:
    """Have the reference hands classified under every description of so many features, the best first."""
    deadline = time.monotonic() + MAX_SECONDS
    trials: list[Trial] = []
    waiting: list[tuple[Features, NDArray[np.float32]]] = []
    seen: set[bytes] = set()
    for features in descriptions(count):
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
    return sorted(trials, key=lambda trial: (-trial.right, -trial.likelihood))


def _judge(features: Features, rows: NDArray[np.floating], classes: NDArray[np.intp]) -> Trial:
    answers = rows.argmax(axis=1)
    of_right = np.clip(rows[np.arange(len(classes)), classes].astype(np.float64), 1e-3, 1)
    return Trial(features, answers, int((answers == classes).sum()), float(np.log(of_right).mean()))
