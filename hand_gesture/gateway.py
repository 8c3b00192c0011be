"""The first and last thing a prediction request meets: limits, decoding, errors, and the figures about it.

An ASGI middleware, because BentoML answers a rejected request with a stack trace in the log and a list as its body,
and because a request that is rejected here never reaches the batch of the good ones.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from time import perf_counter
from typing import Final

import numpy as np
from bentoml.exceptions import ServiceUnavailable
from numpy.typing import NDArray
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from hand_gesture.access import is_authorized
from hand_gesture.batching import ApiCall, find_api_calls
from hand_gesture.contract import (
    FailedRequestError,
    Reason,
    RejectedRequestError,
    ServerReason,
    decode_hand_request,
    decode_hands_request,
    send_answer,
    send_error,
)
from hand_gesture.metrics import get_metrics
from hand_gesture.settings import Settings

Decode = Callable[[bytes], NDArray[np.float64]]
CLIENT_CLOSED_REQUEST: Final = 499  # nginx's status, for the figures only: nobody is left to read it

# BentoML shows what its own loggers say
logger = logging.getLogger("bentoml.service.hand_gesture.gateway")


class PredictionGateway:
    """Answers the prediction routes; every other request passes untouched."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._metrics = get_metrics()
        self._in_flight = 0
        self._decoders: dict[str, Decode] = {
            "/predict": decode_hand_request,
            "/predict/command": decode_hand_request,
            "/predict_batch": lambda body: decode_hands_request(body, settings.max_hands),
        }
        self._calls: dict[str, ApiCall] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        decode = self._decoders.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if decode is None:
            await self._app(scope, receive, send)
            return
        # Known when the service is up, which is before its first request
        self._calls = self._calls or find_api_calls(scope["app"])
        started = perf_counter()
        status: int = HTTPStatus.OK
        self._in_flight += 1
        self._metrics.in_flight.inc()
        try:
            answer = await self._answer(scope, receive, decode)
            await send_answer(send, answer)
        except ClientDisconnect:
            status = CLIENT_CLOSED_REQUEST
        except FailedRequestError as error:
            status = error.status
            if isinstance(error, RejectedRequestError):
                self._metrics.count_rejected(error.reason, error.missing_landmarks)
            await send_error(send, error)
        finally:
            self._in_flight -= 1
            self._metrics.in_flight.dec()
            self._metrics.count_request(scope["path"], status, perf_counter() - started)

    async def _answer(self, scope: Scope, receive: Receive, decode: Decode) -> object:
        if self._in_flight > self._settings.max_in_flight:
            message = "The server has as many requests as it can take; try again in a second."
            raise FailedRequestError(HTTPStatus.SERVICE_UNAVAILABLE, ServerReason.OVERLOADED, message)
        seconds = self._settings.request_timeout_seconds
        body: bytes | None = None
        deadline = asyncio.timeout(seconds)
        try:
            async with deadline:
                _check_key(scope, self._settings.api_key)
                _check_media_type(scope)
                body = await _read_body(receive, self._settings.max_body_bytes)
                return await self._calls[scope["path"]](decode(body))
        except (ClientDisconnect, FailedRequestError):
            raise
        except Exception as error:
            if body is None:
                message = f"The body did not arrive within {seconds:g} seconds."
                raise RejectedRequestError(HTTPStatus.REQUEST_TIMEOUT, Reason.BODY_TOO_SLOW, message) from None
            # The batch queue turns the deadline's cancellation into an exception of its own
            if deadline.expired():
                message = f"There was no answer within {seconds:g} seconds; try again later."
                raise FailedRequestError(HTTPStatus.GATEWAY_TIMEOUT, ServerReason.TIMEOUT, message) from None
            if isinstance(error, ServiceUnavailable):
                message = "The queue for the model is too long; try again in a second."
                raise FailedRequestError(HTTPStatus.SERVICE_UNAVAILABLE, ServerReason.OVERLOADED, message) from None
            logger.error("the model failed on a request to %s", scope["path"], exc_info=error)
            message = "The model could not answer; the server's log says why."
            raise FailedRequestError(HTTPStatus.INTERNAL_SERVER_ERROR, ServerReason.MODEL_FAILED, message) from None


def _check_key(scope: Scope, keys: list[str]) -> None:
    if keys and not is_authorized(scope["headers"], keys):
        message = "This server asks for a key; send it as Authorization: Bearer KEY."
        raise RejectedRequestError(HTTPStatus.UNAUTHORIZED, Reason.UNAUTHORIZED, message)


def _check_media_type(scope: Scope) -> None:
    media_type = b"application/json"
    for name, value in scope["headers"]:
        if name == b"content-type":
            media_type = value.partition(b";")[0].strip().lower()
        elif name == b"content-encoding" and value.lower() != b"identity":
            raise _unsupported("Compressed bodies are not accepted; send plain JSON.")
    if media_type != b"application/json":
        raise _unsupported("Send the body as JSON, with Content-Type: application/json.")


def _unsupported(message: str) -> RejectedRequestError:
    return RejectedRequestError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, Reason.UNSUPPORTED_MEDIA_TYPE, message)


async def _read_body(receive: Receive, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        chunks.append(chunk)
        size += len(chunk)
        more = message.get("more_body", False)
        if size > limit:
            text = f"The body is larger than {limit} bytes; send fewer hands at once."
            raise RejectedRequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, Reason.BODY_TOO_LARGE, text)
    return b"".join(chunks)
