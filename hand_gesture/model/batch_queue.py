"""Adaptive batching: combines the hands of concurrent requests and frames into one model call."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Callback, called once: with the results and None, or with None and the exception
Done = Callable[[Sequence[Any] | None, Exception | None], None]
# Makes the result of one hand from the results of the whole batch and the hand's index
Refine = Callable[[Any, int], Any]


class QueueTimeoutError(Exception):
    """The hands waited in the queue for too long."""


class Ticket:
    """The hands of one request or frame in the queue; can be cancelled."""

    __slots__ = ("deadline", "done", "hands", "queue", "refine")

    def __init__(
        self, hands: NDArray[np.float64], done: Done, deadline: float, queue: BatchQueue, refine: Refine | None
    ) -> None:
        self.hands = hands
        self.done: Done | None = done
        self.refine = refine
        self.deadline = deadline  # by which its batch must start, in the loop's time
        self.queue = queue

    def cancel(self) -> None:
        """Never call the callback."""
        if self.done is not None:
            self.done = None
            self.queue.pending -= 1

    def settle_refined(self, refine: Refine, answers: Any, places: range) -> None:
        """Call the callback with the refined results at these indices of the batch."""
        if self.done is None:
            return
        try:
            refined = [refine(answers, place) for place in places]
        except Exception as error:  # must not affect the rest of the batch
            self.settle(None, error)
        else:
            self.settle(refined, None)

    def settle(self, answers: Sequence[Any] | None, error: Exception | None) -> None:
        """Call the callback with the results or the error, unless cancelled."""
        if self.done is not None:
            done, self.done = self.done, None
            self.queue.pending -= 1
            try:
                done(answers, error)
            except Exception as bug:  # must not affect the rest of the batch
                context = {"message": "the callback of a batch failed", "exception": bug}
                asyncio.get_running_loop().call_exception_handler(context)


class BatchQueue:
    """Adaptive batching: one batch at a time; later arrivals form the next.

    A single hand does not wait. Under load, batches fill up while the model runs and while other requests are read. It
    replaces BentoML's queue, whose locking and latency estimation take a sixth of a frame's time, and which delays the
    first single request after a burst by 19 ms (docs/performance.md).
    """

    def __init__(
        self,
        method: Callable[[NDArray[np.float64]], Awaitable[Sequence[Any]]],
        *,
        max_batch_size: int,
        max_wait_seconds: float,
    ) -> None:
        """Create a queue in front of a method.

        Args:
            method: takes hands, shape (n, 63), and returns one result for each, in order.
            max_batch_size: maximum number of hands in one call of the method.
            max_wait_seconds: maximum time from ``submit`` until the batch starts.
        """
        self.pending = 0  # requests and frames without a result yet
        self._method = method
        self._max_batch_size = max_batch_size
        self._max_wait_seconds = max_wait_seconds
        self._waiting: deque[Ticket] = deque()
        self._is_scheduled = False  # the next batch; hands that arrive before it starts join it
        self._was_alone = True  # the last batch had at most one ticket, so the load is low
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_running = False
        self._timer: asyncio.TimerHandle | None = None

    def submit(self, hands: NDArray[np.float64], done: Done, refine: Refine | None = None) -> Ticket:
        """Enqueue the hands of a request or a frame, shape (n, 63).

        Args:
            hands: the hands.
            done: called in a later iteration of the event loop; gets ``QueueTimeoutError`` if the batch did not start
                in time, and an exception of the method if it failed for the whole batch.
            refine: makes the result of each of these hands from the results of the batch.
        """
        if self._loop is None:
            self._loop = asyncio.get_running_loop()  # cached: get_running_loop makes a system call in Python 3.11
        loop = self._loop
        ticket = Ticket(hands, done, loop.time() + self._max_wait_seconds, self, refine)
        self.pending += 1
        self._waiting.append(ticket)
        if self._is_running:
            # Only for methods that await something: during the others no hands arrive
            self._timer = self._timer or loop.call_at(ticket.deadline, self._expire, loop)
        elif not self._is_scheduled:
            self._is_scheduled = True
            if self._was_alone:
                self._start_batch(loop)
            else:
                # Delay the batch by one event-loop iteration, so that requests read in it join: a tenth more throughput
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
        except BaseException as interruption:  # such as CancelledError: callers must not wait forever
            self._fail(batch, RuntimeError(f"the model call was interrupted by {type(interruption).__name__}"))
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
            raise ValueError(f"the model returned {len(answers)} results for {len(hands)} hands")
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
