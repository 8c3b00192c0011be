"""From gestures frame by frame to a gesture that holds.

A classifier that is right in 98 of 100 frames still flickers every other second at 30 frames a second. So a gesture
holds only once it has been shown for a while. A single frame that shows something else neither changes what holds nor
starts the count of what is on its way again; between two gestures that take turns, the one that holds wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PAUSE_SECONDS: Final = 0.5  # a camera that finds the hand sends sooner


@dataclass(slots=True)
class _Run:
    """Frames that show a gesture, never two in a row without it."""

    started: float
    last_frame: int
    in_a_row: int


class Steadiness:
    """What holds for one hand of one camera."""

    def __init__(self, hold_seconds: float, nothing: str) -> None:
        """Start with nothing held.

        Args:
            hold_seconds: how long a gesture must be shown until it holds; 0: at once.
            nothing: the name of no gesture. It takes over like any gesture, and at once after a pause in the frames.
        """
        self._hold_seconds = hold_seconds
        self._nothing = nothing
        self._held = nothing
        self._runs: dict[str, _Run] = {}
        self._frame = 0
        self._last_time = float("-inf")

    def show(self, gesture: str, time: float) -> tuple[str, bool]:
        """Take the gesture of the next frame.

        Args:
            gesture: what the frame shows.
            time: when it came, in seconds; never less than that of the frame before.

        Returns:
            What holds now, and whether something else held after the frame before. ``gesture`` is what takes over.
        """
        before = self._held
        if time - self._last_time > PAUSE_SECONDS:
            self._held = self._nothing
            self._runs.clear()
        self._last_time = time
        self._frame += 1
        if gesture == self._held and len(self._runs) == 1 and gesture in self._runs:  # nearly every frame
            run = self._runs[gesture]
            run.last_frame, run.in_a_row = self._frame, run.in_a_row + 1
            return self._held, self._held != before
        self._runs = {
            other: run for other, run in self._runs.items() if other == gesture or self._survives(run, gesture)
        }
        run = self._runs.setdefault(gesture, _Run(time, self._frame, 0))
        run.in_a_row = run.in_a_row + 1 if run.last_frame >= self._frame - 1 else 1
        run.last_frame = self._frame
        if gesture != self._held and time - run.started >= self._hold_seconds:
            self._held = gesture
        return self._held, self._held != before

    def _survives(self, run: _Run, gesture: str) -> bool:
        """Whether a run goes on though this frame shows another gesture."""
        was_shown_last = run.last_frame == self._frame - 1
        return was_shown_last and (gesture != self._held or run.in_a_row > 1)
