"""The way to the model that requests and frames share: how many may wait for it, and what they hear when it fails."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from starlette.types import Scope

from hand_gesture.bento.api_methods import ApiMethod, find_api_methods
from hand_gesture.errors import FailedRequestError, ServerReason
from hand_gesture.model.batch_queue import BatchQueue, WaitedTooLongError
from hand_gesture.settings import Settings

_Call = Callable[[NDArray[np.float64]], Awaitable[Any]]
SECONDS_TO_COOL_DOWN: Final = 0.25  # before a client that was refused for want of room is heard again

# BentoML shows what its own loggers say
logger = logging.getLogger("bentoml.service.hand_gesture.inference")


class Inference:
    """Calls the service's API methods for a worker's requests and frames."""

    def __init__(self, settings: Settings) -> None:
        self._max_waiting = settings.max_in_flight
        self._seconds = settings.request_timeout_seconds
        self._waiting = 0
        self._calls: dict[str, _Call] = {}

    def find_calls(self, scope: Scope) -> None:
        """Learn the API methods from a request's scope; they are known when the service is up, before its first."""
        if not self._calls:
            methods = find_api_methods(scope["app"])
            self._calls = {route: _queued(method) for route, method in methods.items()}

    def check_room(self) -> None:
        """Refuse before anything is done for a request where too many wait already.

        Raises:
            FailedRequestError: they do.
        """
        if self._waiting >= self._max_waiting:
            raise _overloaded()

    async def call(self, route: str, hands: NDArray[np.float64]) -> Any:
        """Have the API method of a route answer: one hand, shape (1, 63), where it works in batches, else all of them.

        Raises:
            Exception: whatever keeps the method from answering; see ``explain``.
        """
        self._waiting += 1
        try:
            return await self._calls[route](hands)
        finally:
            self._waiting -= 1

    def explain(self, error: BaseException, route: str, *, expired: bool) -> FailedRequestError:
        """What a client is told when a call has failed.

        Args:
            error: what the call raised.
            route: the client's.
            expired: whether its deadline had passed.
        """
        if isinstance(error, FailedRequestError):
            return error
        if expired:
            message = f"There was no answer within {self._seconds:g} seconds; try again later."
            return FailedRequestError(HTTPStatus.GATEWAY_TIMEOUT, ServerReason.TIMEOUT, message)
        if isinstance(error, WaitedTooLongError):
            return _overloaded()
        logger.error("the model failed on a request to %s", route, exc_info=error)
        message = "The model could not answer; the server's log says why."
        return FailedRequestError(HTTPStatus.INTERNAL_SERVER_ERROR, ServerReason.MODEL_FAILED, message)


def _queued(method: ApiMethod) -> _Call:
    if method.batches is None:
        return method.call
    limits = method.batches
    return BatchQueue(method.call, max_batch_size=limits.max_size, max_wait_seconds=limits.max_wait_seconds)


def _overloaded() -> FailedRequestError:
    message = "The server has as many requests as it can take; try again in a second."
    headers = [(b"retry-after", b"1")]
    return FailedRequestError(HTTPStatus.SERVICE_UNAVAILABLE, ServerReason.OVERLOADED, message, headers)
