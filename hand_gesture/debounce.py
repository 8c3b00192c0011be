"""From a hand's gestures frame by frame to the gesture that holds.

A classifier that is right in 98 of 100 frames still flickers every other second at 30 frames a second, so what it says
has to be debounced. Each gesture that is not held has a score: a frame that shows it adds one, every other frame takes
two away, and at zero the count starts anew (the CUSUM test, https://en.wikipedia.org/wiki/CUSUM). So the gesture has
been in at least two thirds of the frames since its start. It comes to hold when that start is long enough ago and it
was shown without interruption, or else leads clearly. Of two gestures that take turns neither ever gets there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

AGAINST: Final = 2  # what a frame without the gesture takes away
LEAD: Final = 5  # that a gesture needs which other frames interrupted: fewer come about by chance
MAX_SCORE: Final = 10  # so that a gesture that is no longer shown is forgotten after five frames
CLOCK_SECONDS: Final = 0.001  # browsers round their clocks to a millisecond


@dataclass(slots=True)
class _Candidate:
    """A gesture that may come to hold."""

    started: float
    score: int = 0
    is_interrupted: bool = False


class Debouncer:
    """What holds for one hand of one camera."""

    __slots__ = ("_candidates", "_hold_seconds", "_nothing", "_shown", "held")

    def __init__(self, hold_seconds: float, nothing: str) -> None:
        """Start with nothing held.

        Args:
            hold_seconds: how long a gesture must be shown until it holds; 0: at once.
            nothing: the name of no gesture. It comes to hold like any gesture, and when the hand has left.
        """
        self.held = nothing
        self._hold_seconds = max(hold_seconds - CLOCK_SECONDS, 0)
        self._nothing = nothing
        self._candidates: dict[str, _Candidate] = {}
        self._shown = 0.0

    def show(self, gesture: str, time: float) -> None:
        """Take the gesture of the next frame.

        Args:
            gesture: what the frame shows.
            time: of the frame, in seconds; never less than that of the frame before.
        """
        self._shown = time
        if self._candidates:
            self._count_against(gesture)
        if gesture == self.held:  # nearly every frame
            return
        candidate = self._candidates.setdefault(gesture, _Candidate(time))
        candidate.score = min(candidate.score + 1, MAX_SCORE)
        is_clear = candidate.score >= LEAD or not candidate.is_interrupted
        if is_clear and time - candidate.started >= self._hold_seconds:
            self.held = gesture
            self._candidates.clear()

    def miss(self, time: float) -> None:
        """Take a frame without the hand; when it has been missing for as long as a gesture must be shown, let go."""
        self._count_against(None)
        if time - self._shown >= self._hold_seconds:
            self.release()

    def release(self) -> None:
        """Hold nothing from now on."""
        self.held = self._nothing
        self._candidates.clear()

    def _count_against(self, shown: str | None) -> None:
        for gesture, candidate in [*self._candidates.items()]:
            if gesture == shown:
                continue
            candidate.score -= AGAINST
            candidate.is_interrupted = True
            if candidate.score <= 0:
                del self._candidates[gesture]
