"""The service with a classifier that fails on demand: `bentoml serve tests.faults.faulty:HandGesture`."""

from __future__ import annotations

import os
import time

import numpy as np
from numpy.typing import NDArray

from hand_gesture.model.classifier import GestureClassifier, Predictions
from tests.faults.marks import RAISES, SLOW, SLOW_SECONDS

_predict = GestureClassifier.predict
_seconds_until_first_answer = float(os.environ.get("SECONDS_UNTIL_FIRST_ANSWER", "0"))


def _predict_or_fail(self: GestureClassifier, hands: NDArray[np.float64]) -> Predictions:
    global _seconds_until_first_answer  # noqa: PLW0603
    time.sleep(_seconds_until_first_answer)
    _seconds_until_first_answer = 0
    wrists = hands[:, 2]
    if (wrists == RAISES).any():
        raise RuntimeError(f"the model failed on {hands.tolist()}")
    if (wrists == SLOW).any():
        time.sleep(SLOW_SECONDS)
    return _predict(self, hands)


GestureClassifier.predict = _predict_or_fail  # type: ignore[method-assign]

from service import HandGesture  # noqa: E402, F401 (now that what it loads is patched)
