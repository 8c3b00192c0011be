"""Gathers the hands of requests and frames into runs of the model."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Called once with the hands' answers and None, or with None and what kept them from being answered
Done = Callable[[Sequence[Any] | None, Exception | None], None]
# Gives a hand's answer from all answers of the run and its place among them
Refine = Callable[[Any, int], Any]


class QueueTimeoutError(Exception):
    """Hands whose turn did not come in time."""


class Ticket:
    """Hands in the queue, for the one who may want to take them back."""

    __slots__ = ("deadline", "done", "hands", "queue", "refine")

    def __init__(
        self, hands: NDArray[np.float64], done: Done, deadline: float, queue: BatchQueue, refine: Refine | None
    ) -> None:
        self.hands = hands
        self.done: Done | None = done
        self.refine = refine
        self.deadline = deadline  # when its run must begin, of the loop's time
        self.queue = queue

    def cancel(self) -> None:
        """Have nothing called: the answers are no longer wanted."""
        if self.done is not None:
            self.done = None
            self.queue.pending -= 1

    def settle_refined(self, refine: Refine, answers: Any, places: range) -> None:
        """Give what the answers at these places become."""
        if self.done is None:
            return
        try:
            refined = [refine(answers, place) for place in places]
        except Exception as error:  # the others of the batch get their answers
            self.settle(None, error)
        else:
            self.settle(refined, None)

    def settle(self, answers: Sequence[Any] | None, error: Exception | None) -> None:
        """Give the answers, or the error, to whoever waits for them."""
        if self.done is not None:
            done, self.done = self.done, None
            self.queue.pending -= 1
            try:
                done(answers, error)
            except Exception as bug:  # the others of the batch get their answers
                context = {"message": "answers could not be given", "exception": bug}
                asyncio.get_running_loop().call_exception_handler(context)


class BatchQueue:
    """One run of the model at a time; those who come meanwhile share the next.

    The size of a batch adapts by itself: a lone hand waits for nobody, and under load hands gather while the model
    works and while other requests are read. It stands in for BentoML's queue, whose lock, wake-ups and estimates take a
    sixth of a frame's time, and which has a lone client after a crowd wait 19 ms for company that never comes
    (docs/performance.md).
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
        self.pending = 0  # requests and frames that wait for their answers
        self._method = method
        self._max_batch_size = max_batch_size
        self._max_wait_seconds = max_wait_seconds
        self._waiting: deque[Ticket] = deque()
        self._is_scheduled = False  # the next run, which takes in whoever comes before it begins
        self._was_alone = True  # the hand of the last run: the next one most likely is, too, and waits for no other
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_running = False
        self._timer: asyncio.TimerHandle | None = None

    def submit(self, hands: NDArray[np.float64], done: Done, refine: Refine | None = None) -> Ticket:
        """Have the method answer the hands of a request or a frame, shape (n, 63).

        ``done`` gets ``QueueTimeoutError`` where the run did not begin in time, and otherwise what the method raises,
        for all hands of the run. It is called in a later turn of the event loop. ``refine``, if given, makes the
        answers of these hands from those of the run.
        """
        if self._loop is None:
            self._loop = asyncio.get_running_loop()  # Python 3.11 makes a system call for it
        loop = self._loop
        ticket = Ticket(hands, done, loop.time() + self._max_wait_seconds, self, refine)
        self.pending += 1
        self._waiting.append(ticket)
        if self._is_running:
            # A method that never lets the loop go on never gets here: no timer for it
            self._timer = self._timer or loop.call_at(ticket.deadline, self._expire, loop)
        elif not self._is_scheduled:
            self._is_scheduled = True
            if self._was_alone:
                self._start_batch(loop)
            else:
                # The loop looks for more hands once more until the task begins, and those that it finds share the run:
                # worth a tenth of the throughput
                loop.call_soon(self._start_batch, loop)
        return ticket

    def _start_batch(self, loop: asyncio.AbstractEventLoop) -> None:
        self._task = loop.create_task(self._run_batch(loop))

    async def _run_batch(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_scheduled, self._is_running = False, True
        batch: list[Ticket] = []
        try:
            self._expire(loop)
            count = 0
            while self._waiting and (not batch or count + len(self._waiting[0].hands) <= self._max_batch_size):
                ticket = self._waiting.popleft()
                if ticket.done is not None:
                    batch.append(ticket)
                    count += len(ticket.hands)
            self._was_alone = len(batch) <= 1
            if batch:
                answers = await self._answer(np.concatenate([ticket.hands for ticket in batch]))
                end = 0
                for ticket in batch:
                    start, end = end, end + len(ticket.hands)
                    if ticket.refine is None:
                        ticket.settle(answers[start:end], None)
                    else:
                        ticket.settle_refined(ticket.refine, answers, range(start, end))
        except Exception as error:
            self._fail(batch, error)
        except BaseException as end:  # such as CancelledError; the callers would wait for nothing
            self._fail(batch, RuntimeError(f"the model's call ended with {type(end).__name__}"))
            raise
        finally:
            self._is_running = False
            if self._waiting:
                self._is_scheduled = True
                self._start_batch(loop)

    async def _answer(self, hands: NDArray[np.float64]) -> Any:
        most = self._max_batch_size
        answers: Any = await self._method(hands[:most])
        for start in range(most, len(hands), most):
            answers = answers + await self._method(hands[start : start + most])
        if len(answers) != len(hands):
            raise ValueError(f"the model gave {len(answers)} answers for {len(hands)} hands")
        return answers

    @staticmethod
    def _fail(batch: Sequence[Ticket], error: Exception) -> None:
        for ticket in batch:
            ticket.settle(None, error)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        while self._waiting and self._waiting[0].deadline <= now:
            self._waiting.popleft().settle(None, QueueTimeoutError())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = loop.call_at(self._waiting[0].deadline, self._expire, loop) if self._waiting else None
