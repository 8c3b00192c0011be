"""Time limits for what happens ten thousand times a second: an entry in a dictionary each, not a timer."""

from __future__ import annotations

import asyncio
from typing import Final

LOOKS: Final = 20  # within a limit: it may be exceeded by a twentieth


class Deadline:
    """The limit of one call, made in the task that is to be interrupted."""

    __slots__ = ("ends", "expired", "task")

    def __init__(self, ends: float, task: asyncio.Task[object]) -> None:
        self.ends = ends
        self.task = task
        self.expired = False


class Deadlines:
    """Limits of the same length. One timer looks after all of them, while there are any."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._running: dict[Deadline, None] = {}  # in the order of their ends
        self._timer: asyncio.TimerHandle | None = None

    def start(self, task: asyncio.Task[object], loop: asyncio.AbstractEventLoop) -> Deadline:
        """Have ``task``, the current one, cancelled when its time is over, unless ``stop`` is called before."""
        deadline = Deadline(loop.time() + self._seconds, task)
        self._running[deadline] = None
        if self._timer is None:
            self._timer = loop.call_later(self._seconds / LOOKS, self._look, loop)
        return deadline

    def stop(self, deadline: Deadline) -> None:
        """End a limit; where it had expired, the task's cancellation was meant for the call only."""
        if deadline.expired:
            deadline.task.uncancel()
        else:
            del self._running[deadline]

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for deadline in list(self._running):
            if deadline.ends > now:
                break
            del self._running[deadline]
            deadline.expired = True
            deadline.task.cancel()
        self._timer = loop.call_later(self._seconds / LOOKS, self._look, loop) if self._running else None
