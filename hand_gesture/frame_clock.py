"""The time of a stream's frames.

Frames that a network held up arrive together. Where they carry the client's time, that is what counts.
"""

from __future__ import annotations

from typing import Final

MAX_GAP_SECONDS: Final = 60.0
GAPS_IN_A_PAUSE: Final = 2.5


class FrameClock:
    """Counts the seconds of one stream. They never go backwards, whatever a client's clock does."""

    __slots__ = ("_arrival", "_client_time", "_gaps_before", "gap", "now")

    def __init__(self) -> None:
        self.now = 0.0  # of the last frame, in seconds since the first
        self.gap = 0.0  # between the last frame and the one before, in seconds
        self._gaps_before = (0.0, 0.0)
        self._arrival: float | None = None
        self._client_time: float | None = None

    def advance(self, arrival: float, client_time: float | None) -> float:
        """Take the next frame, and get its time.

        Only differences of the client's time count. Where it goes backwards, no time has passed; a gap of more than a
        minute counts as a minute. Where this frame or the one before carries no time, their arrivals count.

        Args:
            arrival: when the frame arrived, in seconds; never less than that of the frame before.
            client_time: the client's time of the frame in milliseconds, if it tells; finite.
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
        """Whether the gap is much longer than both before: a slow camera makes no pauses."""
        return self.gap > GAPS_IN_A_PAUSE * max(self._gaps_before) > 0
