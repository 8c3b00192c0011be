"""Timeouts for requests and streams: one periodic timer checks all of them, because a timer for each costs too much."""

from __future__ import annotations

import asyncio
import logging
from time import perf_counter
from typing import Protocol

# A child of BentoML's logger, whose level and format it inherits
logger = logging.getLogger("bentoml.service.hand_gesture.watchdog")


class Watched(Protocol):
    """Something with a time limit."""

    def check(self, now: float) -> None:
        """Act on exceeded limits; ``now`` is the time of ``perf_counter``."""


class Watchdog:
    """Checks everything that was added periodically; without anything to check, no timer runs.

    A check that fails is logged, and does not stop the others.
    """

    def __init__(self, seconds: float) -> None:
        """Create a watchdog without a timer.

        Args:
            seconds: between two checks, so also the time by which limits may be exceeded.
        """
        self._seconds = seconds
        self._watched: set[Watched] = set()
        self._has_timer = False
        self._is_failing = False

    def add(self, watched: Watched) -> None:
        """Start checking it."""
        self._watched.add(watched)
        if not self._has_timer:
            self._schedule()

    def discard(self, watched: Watched) -> None:
        """Stop checking it."""
        self._watched.discard(watched)

    def _schedule(self) -> None:
        self._has_timer = bool(self._watched)
        if self._has_timer:
            asyncio.get_running_loop().call_later(self._seconds, self._check_all)

    def _check_all(self) -> None:
        now, failure = perf_counter(), None
        for watched in list(self._watched):
            try:
                watched.check(now)
            except Exception as error:
                failure = error
        if failure and not self._is_failing:  # log only the first of consecutive failures
            logger.error("the timeouts of a request or stream cannot be checked", exc_info=failure)
        self._is_failing = failure is not None
        self._schedule()
