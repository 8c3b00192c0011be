"""Admission control and error mapping for requests and frames."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from starlette.applications import Starlette

from hand_gesture.bento.api_methods import ApiMethod, find_api_methods
from hand_gesture.errors import FailedRequestError, ServerReason
from hand_gesture.model.batch_queue import BatchQueue, Done, QueueTimeoutError, Refine
from hand_gesture.settings import Settings

OVERLOAD_PAUSE_SECONDS: Final = 0.25  # without reading from a client that got a 503

# A child of BentoML's logger, whose level and format it inherits
logger = logging.getLogger("bentoml.service.hand_gesture.admission")


class Cancellable(Protocol):
    """A call whose callback can be cancelled."""

    def cancel(self) -> Any:
        """Do not call the callback."""


class AdmissionControl:
    """Submits a worker's requests and frames to the service's API methods, and limits how many are pending."""

    def __init__(self, settings: Settings) -> None:
        self._max_pending = settings.max_in_flight
        self._queues: dict[str, BatchQueue] = {}
        self._unbatched: dict[str, ApiMethod] = {}
        self._calls: set[asyncio.Task[None]] = set()  # of methods that are not batchable

    def connect(self, app: Starlette) -> None:
        """Find the API methods of BentoML's application."""
        for route, method in find_api_methods(app).items():
            if (limits := method.batches) is None:
                self._unbatched[route] = method
            else:
                self._queues[route] = BatchQueue(
                    method.call, max_batch_size=limits.max_size, max_wait_seconds=limits.max_wait_seconds
                )

    def submit(self, route: str, hands: NDArray[np.float64], done: Done, refine: Refine | None = None) -> Cancellable:
        """Call a route's API method, in a batch if the method is batchable.

        Args:
            route: path of the method.
            hands: shape (n, 63).
            done: called with a list of one answer for each hand, or with an exception for ``explain``.
            refine: see ``BatchQueue.submit``; ignored if the method is not batchable.
        """
        if route in self._queues:
            return self._queues[route].submit(hands, done, refine)
        call = asyncio.get_running_loop().create_task(self._call(self._unbatched[route], hands, done))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return call

    @staticmethod
    async def _call(method: ApiMethod, hands: NDArray[np.float64], done: Done) -> None:
        try:
            answers = await method.call(hands)
        except Exception as error:
            done(None, error)
        else:
            done(answers, None)

    def check_capacity(self) -> None:
        """Reject a request if too many are pending.

        Raises:
            FailedRequestError: status 503.
        """
        pending = len(self._calls)
        for queue in self._queues.values():
            pending += queue.pending
        if pending >= self._max_pending:
            raise _overload_error()

    def explain(self, error: Exception, route: str) -> FailedRequestError:
        """Map an exception to the error that the client gets."""
        if isinstance(error, FailedRequestError):
            return error
        if isinstance(error, QueueTimeoutError):
            return _overload_error()
        logger.error("a request to %s failed", route, exc_info=error)
        message = "The model failed; the service's log has the details."
        return FailedRequestError(HTTPStatus.INTERNAL_SERVER_ERROR, ServerReason.MODEL_FAILED, message)


def timeout_error(seconds: float) -> FailedRequestError:
    """The error for a request that exceeded its deadline."""
    message = f"No answer within {seconds:g} seconds; try again later."
    return FailedRequestError(HTTPStatus.GATEWAY_TIMEOUT, ServerReason.TIMEOUT, message)


def _overload_error() -> FailedRequestError:
    message = "The server is overloaded; try again in a second."
    headers = [(b"retry-after", b"1")]
    return FailedRequestError(HTTPStatus.SERVICE_UNAVAILABLE, ServerReason.OVERLOADED, message, headers)
