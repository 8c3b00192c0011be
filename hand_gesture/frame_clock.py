"""The time of a stream's frames: the client's timestamps, or arrival times where there are none.

Frames that the network delayed arrive in a burst, so timestamps are more precise.
"""

from __future__ import annotations

from typing import Final

MAX_GAP_SECONDS: Final = 60.0
PAUSE_FACTOR: Final = 2.5  # a gap this many times the two before is a pause


class FrameClock:
    """A monotonic clock of one stream, whatever the client's clock does."""

    __slots__ = ("_arrival", "_client_time", "_gaps_before", "gap", "now")

    def __init__(self) -> None:
        self.now = 0.0  # of the last frame, in seconds since the first
        self.gap = 0.0  # between the last frame and the one before, in seconds
        self._gaps_before = (0.0, 0.0)
        self._arrival: float | None = None
        self._client_time: float | None = None

    def advance(self, arrival: float, client_time: float | None) -> float:
        """Advance to the next frame.

        The gap to the frame before is the difference of their timestamps, clamped to 0 to 60 seconds, or of their
        arrivals if one of them has no timestamp.

        Args:
            arrival: in seconds; must not decrease.
            client_time: the frame's timestamp in milliseconds, if it has one; finite.

        Returns:
            The frame's time in seconds since the first frame.
        """
        if self._arrival is None:
            gap = 0.0
        elif client_time is not None and self._client_time is not None:
            gap = (client_time - self._client_time) / 1000
            if not 0 <= gap <= MAX_GAP_SECONDS:
                gap = 0.0 if gap < 0 else MAX_GAP_SECONDS
        else:
            gap = arrival - self._arrival
        self._arrival, self._client_time = arrival, client_time
        self._gaps_before = self.gap, self._gaps_before[0]
        self.gap = gap
        self.now += gap
        return self.now

    def is_gap_unusual(self) -> bool:
        """Whether the gap is much longer than the two before; those of a slow camera are all long."""
        return self.gap > PAUSE_FACTOR * max(self._gaps_before) > 0
