"""The way to the model that requests and frames share: how many may wait for it, and what they hear when it fails."""

from __future__ import annotations

import asyncio
import functools
import logging
from http import HTTPStatus
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from starlette.applications import Starlette

from hand_gesture.bento.api_methods import ApiMethod, find_api_methods
from hand_gesture.errors import FailedRequestError, ServerReason
from hand_gesture.model.batch_queue import BatchQueue, Done, Ticket, WaitedTooLongError
from hand_gesture.settings import Settings

SECONDS_TO_COOL_DOWN: Final = 0.25  # before a client that was refused for want of room is heard again

# BentoML shows what its own loggers say
logger = logging.getLogger("bentoml.service.hand_gesture.inference")


class Inference:
    """Calls the service's API methods for a worker's requests and frames."""

    def __init__(self, settings: Settings) -> None:
        self._max_waiting = settings.max_in_flight
        self._seconds = settings.request_timeout_seconds
        self._queues: dict[str, BatchQueue] = {}
        self._others: dict[str, ApiMethod] = {}
        self._calls = 0  # of methods that take no batches

    def connect(self, app: Starlette) -> None:
        """Learn the API methods of BentoML's application."""
        for route, method in find_api_methods(app).items():
            if (limits := method.batches) is None:
                self._others[route] = method
            else:
                self._queues[route] = BatchQueue(
                    method.call, max_batch_size=limits.max_size, max_wait_seconds=limits.max_wait_seconds
                )

    def check_room(self) -> None:
        """Refuse before anything is done for a request where too many wait already.

        Raises:
            FailedRequestError: they do.
        """
        waiting = self._calls
        for queue in self._queues.values():
            waiting += queue.pending
        if waiting >= self._max_waiting:
            raise _overloaded()

    def submit(self, route: str, hand: NDArray[np.float64], done: Done) -> Ticket:
        """Have the API method of a route answer one hand, shape (1, 63), together with others.

        Args:
            route: of a method that takes batches.
            hand: in pixels if the frame's size is known.
            done: gets the answer, or the error; see ``explain``.
        """
        return self._queues[route].submit(hand, done)

    def submit_all(self, route: str, hands: NDArray[np.float64], done: Done) -> Gathering:
        """The same for each hand of a frame, shape (n, 63): ``done`` gets the list of answers, or the first error."""
        gathering = Gathering(len(hands), done)
        gathering.tickets = [
            self.submit(route, hand[np.newaxis], functools.partial(gathering.settle, index))
            for index, hand in enumerate(hands)
        ]
        return gathering

    async def call(self, route: str, hands: NDArray[np.float64]) -> Any:
        """Have the API method of a route answer: one hand where it takes batches, otherwise all of them.

        Raises:
            Exception: whatever keeps the method from answering; see ``explain``.
        """
        if route in self._queues:
            answered = asyncio.get_running_loop().create_future()
            ticket = self.submit(route, hands, functools.partial(_resolve, answered))
            try:
                return await answered
            finally:
                ticket.cancel()
        self._calls += 1
        try:
            return await self._others[route].call(hands)
        finally:
            self._calls -= 1

    def explain(self, error: Exception, route: str) -> FailedRequestError:
        """What a client is told when its request has failed."""
        if isinstance(error, FailedRequestError):
            return error
        if isinstance(error, WaitedTooLongError):
            return _overloaded()
        logger.error("the model failed on a request to %s", route, exc_info=error)
        message = "The model could not answer; the server's log says why."
        return FailedRequestError(HTTPStatus.INTERNAL_SERVER_ERROR, ServerReason.MODEL_FAILED, message)

    def too_late(self) -> FailedRequestError:
        """What a client is told whose request has taken too long."""
        message = f"There was no answer within {self._seconds:g} seconds; try again later."
        return FailedRequestError(HTTPStatus.GATEWAY_TIMEOUT, ServerReason.TIMEOUT, message)


class Gathering:
    """The hands of a frame, whose answers come one by one."""

    __slots__ = ("_answers", "_done", "_missing", "tickets")

    def __init__(self, count: int, done: Done) -> None:
        self.tickets: list[Ticket] = []
        self._answers: list[Any] = [None] * count
        self._missing = count
        self._done = done

    def settle(self, index: int, answer: Any, error: Exception | None) -> None:
        """Take one hand's answer, or what kept it from being answered."""
        self._answers[index] = answer
        self._missing -= 1
        if error is not None:
            self.cancel()
            self._done(None, error)
        elif not self._missing:
            self._done(self._answers, None)

    def cancel(self) -> None:
        """Have nothing called: the answers are no longer wanted."""
        for ticket in self.tickets:
            ticket.cancel()


def _resolve(future: asyncio.Future[Any], answer: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(answer)
    else:
        future.set_exception(error)


def _overloaded() -> FailedRequestError:
    message = "The server has as many requests as it can take; try again in a second."
    headers = [(b"retry-after", b"1")]
    return FailedRequestError(HTTPStatus.SERVICE_UNAVAILABLE, ServerReason.OVERLOADED, message, headers)
