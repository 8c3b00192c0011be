"""Adaptive batching of the hands of requests and frames."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Called once, with the hands' answers and None, or with None and the error
Done = Callable[[Sequence[Any] | None, Exception | None], None]
# Makes a hand's answer from all answers of the batch and its index among them
Refine = Callable[[Any, int], Any]


class QueueTimeoutError(Exception):
    """The hands waited for their batch for too long."""


class Ticket:
    """Hands in the queue; can be cancelled."""

    __slots__ = ("deadline", "done", "hands", "queue", "refine")

    def __init__(
        self, hands: NDArray[np.float64], done: Done, deadline: float, queue: BatchQueue, refine: Refine | None
    ) -> None:
        self.hands = hands
        self.done: Done | None = done
        self.refine = refine
        self.deadline = deadline  # by which its batch must begin, in the loop's time
        self.queue = queue

    def cancel(self) -> None:
        """Call no callback: the answers are no longer wanted."""
        if self.done is not None:
            self.done = None
            self.queue.pending -= 1

    def settle_refined(self, refine: Refine, answers: Any, places: range) -> None:
        """Call back with what ``refine`` makes of the answers at these places."""
        if self.done is None:
            return
        try:
            refined = [refine(answers, place) for place in places]
        except Exception as error:  # the others of the batch get their answers
            self.settle(None, error)
        else:
            self.settle(refined, None)

    def settle(self, answers: Sequence[Any] | None, error: Exception | None) -> None:
        """Call back with the answers or the error, unless cancelled."""
        if self.done is not None:
            done, self.done = self.done, None
            self.queue.pending -= 1
            try:
                done(answers, error)
            except Exception as bug:  # the others of the batch get their answers
                context = {"message": "answers could not be given", "exception": bug}
                asyncio.get_running_loop().call_exception_handler(context)


class BatchQueue:
    """Adaptive batching: one batch at a time; later arrivals form the next.

    A lone hand does not wait. Under load, hands gather while the model runs and while other requests are read. It
    replaces BentoML's queue, whose lock, wake-ups and latency estimates take a sixth of a frame's time, and which makes
    the first lone client after a burst wait 19 ms (docs/performance.md).
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
            max_batch_size: most hands in one batch.
            max_wait_seconds: longest that a hand waits for its batch to begin.
        """
        self.pending = 0  # requests and frames that wait for their answers
        self._method = method
        self._max_batch_size = max_batch_size
        self._max_wait_seconds = max_wait_seconds
        self._waiting: deque[Ticket] = deque()
        self._is_scheduled = False  # the next batch; hands that come before it begins join it
        self._was_alone = True  # the hand of the last batch; so, most likely, is the next
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_running = False
        self._timer: asyncio.TimerHandle | None = None

    def submit(self, hands: NDArray[np.float64], done: Done, refine: Refine | None = None) -> Ticket:
        """Have the method answer the hands of a request or a frame, shape (n, 63).

        ``done`` is called in a later iteration of the event loop. It gets ``QueueTimeoutError`` if the batch did not
        begin in time; an exception of the method goes to all hands of the batch. ``refine``, if given, makes the
        answers of these hands from those of the batch.
        """
        if self._loop is None:
            self._loop = asyncio.get_running_loop()  # Python 3.11 makes a system call for it
        loop = self._loop
        ticket = Ticket(hands, done, loop.time() + self._max_wait_seconds, self, refine)
        self.pending += 1
        self._waiting.append(ticket)
        if self._is_running:
            # Not reached with a method that never yields to the loop, which needs no timer
            self._timer = self._timer or loop.call_at(ticket.deadline, self._expire, loop)
        elif not self._is_scheduled:
            self._is_scheduled = True
            if self._was_alone:
                self._start_batch(loop)
            else:
                # One more loop iteration before the task begins: hands that are read in it join the batch, which is
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
        except BaseException as end:  # such as CancelledError: or the callers would wait for ever
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
