"""Debounces a hand's gestures: a new gesture is held only after it has been shown for some time.

A classifier that is right in 98 of 100 frames still flickers every other second at 30 frames a second. So each gesture
that is not held has a score: a frame that shows it adds 1, any other frame subtracts 2, and at 0 the gesture starts
again (the CUSUM test, https://en.wikipedia.org/wiki/CUSUM). A gesture with a positive score has therefore been in at
least two thirds of the frames since its start. It becomes the held gesture once its start is ``hold_seconds`` ago and
its frames were consecutive or its score is at least ``MIN_SCORE``. Two gestures that alternate never reach that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PENALTY: Final = 2  # subtracted for a frame without the gesture
MIN_SCORE: Final = 5  # of a gesture whose frames were not consecutive; smaller scores happen by chance
MAX_SCORE: Final = 10  # a gesture that is no longer shown is dropped after 5 frames
CLOCK_SECONDS: Final = 0.001  # resolution of browsers' clocks


@dataclass(slots=True)
class _Candidate:
    """A gesture that may become the held one."""

    started: float
    score: int = 0
    is_interrupted: bool = False


class Debouncer:
    """The held gesture of one hand."""

    __slots__ = ("_candidates", "_hold_seconds", "_last_shown", "_no_gesture", "held")

    def __init__(self, hold_seconds: float, no_gesture: str) -> None:
        """Start without a held gesture.

        Args:
            hold_seconds: how long a gesture must be shown until it is held; 0: no delay.
            no_gesture: the class for no gesture. It becomes held like any gesture, and when the hand has left.
        """
        self.held = no_gesture
        self._hold_seconds = max(hold_seconds - CLOCK_SECONDS, 0)
        self._no_gesture = no_gesture
        self._candidates: dict[str, _Candidate] = {}
        self._last_shown = 0.0

    def show(self, gesture: str, time: float) -> None:
        """Update with the gesture of the next frame.

        Args:
            gesture: the classifier's answer.
            time: of the frame, in seconds; must not decrease.
        """
        self._last_shown = time
        if self._candidates:
            self._penalize_others(gesture)
        if gesture == self.held:  # most frames
            return
        candidate = self._candidates.setdefault(gesture, _Candidate(time))
        candidate.score = min(candidate.score + 1, MAX_SCORE)
        is_certain = candidate.score >= MIN_SCORE or not candidate.is_interrupted
        if is_certain and time - candidate.started >= self._hold_seconds:
            self.held = gesture
            self._candidates.clear()

    def miss(self, time: float) -> None:
        """Update with a frame without the hand; after ``hold_seconds`` of them the gesture is released."""
        self._penalize_others(None)
        if time - self._last_shown >= self._hold_seconds:
            self.release()

    def release(self) -> None:
        """Release the held gesture."""
        self.held = self._no_gesture
        self._candidates.clear()

    def _penalize_others(self, shown: str | None) -> None:
        for gesture, candidate in [*self._candidates.items()]:
            if gesture == shown:
                continue
            candidate.score -= PENALTY
            candidate.is_interrupted = True
            if candidate.score <= 0:
                del self._candidates[gesture]
