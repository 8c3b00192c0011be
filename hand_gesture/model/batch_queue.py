"""Gathers hands that come one by one into runs of the model."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


class WaitedTooLongError(Exception):
    """A hand whose turn did not come in time."""


@dataclass(slots=True)
class _Entry:
    hand: NDArray[np.float64]
    answer: asyncio.Future[Any]
    latest: float  # when its run must begin, of the loop's time


class BatchQueue:
    """One run of the model at a time; those who come meanwhile share the next.

    The size of a batch adapts by itself: a lone hand waits for nobody, and under load hands gather while the model
    works and while other requests are read. It stands in for BentoML's queue, whose lock, wake-ups and estimates take a
    sixth of a frame's time, and which has a lone client after a crowd wait 19 ms for company that never comes
    (bench/README.md).
    """

    def __init__(
        self,
        method: Callable[[NDArray[np.float64]], Awaitable[Sequence[Any]]],
        *,
        max_batch_size: int,
        max_wait_seconds: float,
    ) -> None:
        """Put a queue in front of a method.

        Args:
            method: takes hands, shape (n, 63), and gives an answer for each, in order.
            max_batch_size: most hands in one run.
            max_wait_seconds: longest that a hand waits for its run to begin.
        """
        self._method = method
        self._max_batch_size = max_batch_size
        self._max_wait_seconds = max_wait_seconds
        self._waiting: deque[_Entry] = deque()
        self._is_due = False  # the next run, which takes in whoever comes before it begins
        self._was_alone = True  # the hand of the last run: the next one most likely is, too, and waits for no other
        self._run: asyncio.Task[None] | None = None
        self._is_running = False
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self, hand: NDArray[np.float64]) -> asyncio.Future[Any]:
        """The method's answer for one hand, shape (1, 63), to be awaited.

        It raises ``WaitedTooLongError`` where the run did not begin in time, and else what the method raises, for each
        hand of the run.
        """
        loop = asyncio.get_running_loop()
        entry = _Entry(hand, loop.create_future(), loop.time() + self._max_wait_seconds)
        self._waiting.append(entry)
        if self._is_running:
            # A method that never lets the loop go on never gets here: no timer for it
            self._timer = self._timer or loop.call_at(entry.latest, self._refuse_late, loop)
        elif not self._is_due:
            self._is_due = True
            if self._was_alone:
                self._start_run(loop)
            else:
                # The loop looks for more hands once more until the task begins, and those that it finds share the run:
                # worth a tenth of the throughput
                loop.call_soon(self._start_run, loop)
        return entry.answer

    def _start_run(self, loop: asyncio.AbstractEventLoop) -> None:
        self._run = loop.create_task(self._call_method(loop))

    async def _call_method(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_due, self._is_running = False, True
        batch: list[_Entry] = []
        try:
            self._refuse_late(loop)
            while self._waiting and len(batch) < self._max_batch_size:
                entry = self._waiting.popleft()
                if not entry.answer.done():  # its caller is gone otherwise
                    batch.append(entry)
            self._was_alone = len(batch) <= 1
            if batch:
                answers = await self._method(np.concatenate([entry.hand for entry in batch]))
                if len(answers) != len(batch):
                    raise ValueError(f"the model gave {len(answers)} answers for {len(batch)} hands")
                for entry, answer in zip(batch, answers, strict=True):
                    if not entry.answer.done():
                        entry.answer.set_result(answer)
        except Exception as error:
            for entry in batch:
                if not entry.answer.done():
                    entry.answer.set_exception(error)
        finally:
            self._is_running = False
            if self._waiting:
                self._is_due = True
                self._start_run(loop)

    def _refuse_late(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        while self._waiting and self._waiting[0].latest <= now:
            answer = self._waiting.popleft().answer
            if not answer.done():
                answer.set_exception(WaitedTooLongError)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = loop.call_at(self._waiting[0].latest, self._refuse_late, loop) if self._waiting else None
