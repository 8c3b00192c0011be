"""Time limits for what happens ten thousand times a second: an entry in a dictionary each, not a timer."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

LOOKS: Final = 20  # within a limit: it may be exceeded by a twentieth


class Limited(Protocol):
    """What has a time limit."""

    def expire(self) -> None:
        """Its time is over."""


class Deadlines:
    """Limits of the same length. One timer looks after all of them, while there are any."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends: dict[Limited, float] = {}  # in their order
        self._has_timer = False

    def start(self, limited: Limited, loop: asyncio.AbstractEventLoop) -> None:
        """Have ``limited.expire()`` called when its time is over, unless ``stop`` is called before."""
        self._ends[limited] = loop.time() + self._seconds
        if not self._has_timer:
            self._has_timer = True
            loop.call_later(self._seconds / LOOKS, self._look, loop)

    def stop(self, limited: Limited) -> None:
        """End a limit; one that has expired has ended."""
        self._ends.pop(limited, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for limited, end in list(self._ends.items()):
            if end > now:
                break
            self._ends.pop(limited, None)
            limited.expire()
        self._has_timer = bool(self._ends)
        if self._has_timer:
            loop.call_later(self._seconds / LOOKS, self._look, loop)
