"""The time of a stream's frames.

Frames that a network held up arrive together. Where they carry the client's time, that is what counts.
"""

from __future__ import annotations

from typing import Final

MAX_GAP_SECONDS: Final = 60.0
GAPS_IN_A_PAUSE: Final = 2.5  # a slow camera makes no pauses


class FrameClock:
    """Counts the seconds of one stream. They never go backwards, whatever a client's clock does."""

    def __init__(self) -> None:
        self.now = 0.0  # of the last frame, in seconds since the first
        # Seconds between the last frame and the one before, between that and the one before it, and so on
        self._gaps = (0.0, 0.0, 0.0)
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
        self._gaps = gap, self._gaps[0], self._gaps[1]
        self.now += gap
        return self.now

    def is_after_pause(self, seconds: float) -> bool:
        """Whether the last frame came more than some seconds after the one before, and much later than usual."""
        gap, before, earlier = self._gaps
        return gap > seconds and gap > GAPS_IN_A_PAUSE * max(before, earlier) > 0
