"""What is known of a stream's camera from frame to frame, and what its client is told of each frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_gesture.model.classifier import NONE, Prediction
from hand_gesture.steadiness import Steadiness


@dataclass(slots=True)
class _Hand:
    """What holds for a hand, and the command that it means."""

    steadiness: Steadiness
    command: str | None = None


class Camera:
    """The state of one stream's hands. It does no I/O and reads no clock."""

    def __init__(self, hold_seconds: float) -> None:
        """Start with nothing held.

        Args:
            hold_seconds: how long a gesture must be shown until it holds; 0: at once.
        """
        self._hold_seconds = hold_seconds
        self._hands: list[_Hand] = []

    def answer(
        self,
        hands: NDArray[np.float64],  # noqa: ARG002 (what tells hands apart)
        predictions: Sequence[Prediction],
        time: float,
        *,
        as_list: bool,
    ) -> object:
        """Take the predictions of the next frame, and get what is sent for it, as JSON.

        Args:
            hands: of the frame, shape (n, 63), in pixels if the frame's size is known.
            predictions: one for each hand, in the same order.
            time: when the frame came, in seconds; never less than that of the frame before.
            as_list: whether the answer is a list also for one hand, as for a frame that came as ``{"hands": …}``.
        """
        if not as_list and len(predictions) == 1:
            return self._answer_for(0, predictions[0], time)
        return [self._answer_for(index, shown, time) for index, shown in enumerate(predictions)]

    def _answer_for(self, index: int, shown: Prediction, time: float) -> dict[str, Any]:
        while len(self._hands) <= index:
            self._hands.append(_Hand(Steadiness(self._hold_seconds, NONE)))
        hand = self._hands[index]
        held, changed = hand.steadiness.show(shown.gesture, time)
        if changed:  # to what this frame shows, or to nothing after a pause
            hand.command = shown.command if held == shown.gesture else None
        return {
            "gesture": shown.gesture,
            "confidence": shown.confidence,
            "command": hand.command,
            "held": held,
            "changed": changed,
        }
