"""Time limits for what happens ten thousand times a second: one timer of a worker looks at all of it."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Protocol


class Watched(Protocol):
    """What may take too long."""

    def check(self, now: float) -> None:
        """Do what is due at this time, of ``perf_counter``."""


class Watchdog:
    """Looks at what has been added, again and again, while there is any."""

    def __init__(self, seconds: float) -> None:
        """Start with nothing.

        Args:
            seconds: between two looks; a limit may be exceeded by as much.
        """
        self._seconds = seconds
        self._watched: set[Watched] = set()
        self._has_timer = False

    def add(self, watched: Watched) -> None:
        """Look at it from now on."""
        self._watched.add(watched)
        if not self._has_timer:
            self._schedule()

    def discard(self, watched: Watched) -> None:
        """Look at it no more."""
        self._watched.discard(watched)

    def _schedule(self) -> None:
        self._has_timer = bool(self._watched)
        if self._has_timer:
            asyncio.get_running_loop().call_later(self._seconds, self._check_all)

    def _check_all(self) -> None:
        now = perf_counter()
        for watched in list(self._watched):
            watched.check(now)
        self._schedule()
