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
from numpy.typing import NDArray
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hand_gesture.access import is_authorized
from hand_gesture.contract import (
    SCOPE_KEY,
    DecodedHands,
    Reason,
    RejectedRequestError,
    ServerReason,
    decode_hand_request,
    decode_hands_request,
    error_response,
)
from hand_gesture.metrics import get_metrics
from hand_gesture.settings import Settings

Decode = Callable[[bytes], NDArray[np.float64]]
CLIENT_CLOSED_REQUEST: Final = 499  # nginx's status, for the figures only: nobody is left to read it

logger = logging.getLogger(__name__)


class PredictionGateway:
    """Guards the prediction routes; every other request passes untouched."""

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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        decode = self._decoders.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if decode is None:
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        exchange = _Exchange(self._app, scope, receive, send)
        self._in_flight += 1
        self._metrics.in_flight.inc()
        try:
            await self._answer(exchange, decode)
        except ClientDisconnect:
            exchange.status = CLIENT_CLOSED_REQUEST
        except RejectedRequestError as error:
            self._metrics.invalid_requests.labels(error.reason.value).inc()
            if error.missing_landmarks:
                self._metrics.missing_landmarks.inc(error.missing_landmarks)
            await exchange.fail(error.status, error.reason, str(error))
        finally:
            self._in_flight -= 1
            self._metrics.in_flight.dec()
            self._metrics.requests.labels(scope["path"], exchange.status).inc()
            self._metrics.request_duration.labels(scope["path"]).observe(perf_counter() - started)

    async def _answer(self, exchange: _Exchange, decode: Decode) -> None:
        if self._in_flight > self._settings.max_in_flight:
            message = "The server has as many requests as it can take; try again in a second."
            await exchange.fail(HTTPStatus.SERVICE_UNAVAILABLE, ServerReason.OVERLOADED, message)
            return
        seconds = self._settings.request_timeout_seconds
        deadline = asyncio.timeout(seconds)
        try:
            async with deadline:
                exchange.check_key(self._settings.api_key)
                exchange.check_media_type()
                body = await exchange.read_body(self._settings.max_body_bytes)
                exchange.scope[SCOPE_KEY] = DecodedHands(decode(body))
                await exchange.forward(deadline)
        except TimeoutError:
            if not exchange.has_body:
                message = f"The body did not arrive within {seconds:g} seconds."
                raise RejectedRequestError(HTTPStatus.REQUEST_TIMEOUT, Reason.BODY_TOO_SLOW, message) from None
        if deadline.expired() and exchange.has_body:
            message = f"There was no answer within {seconds:g} seconds; try again later."
            await exchange.fail(HTTPStatus.GATEWAY_TIMEOUT, ServerReason.TIMEOUT, message)


class _Exchange:
    """One request and its answer."""

    def __init__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.status: int = HTTPStatus.INTERNAL_SERVER_ERROR
        self.has_body = False
        self._app = app
        self._receive = receive
        self._send = send
        self._started = False

    def check_key(self, keys: list[str]) -> None:
        if not is_authorized(self.scope["headers"], keys):
            message = "This server asks for a key; send it as Authorization: Bearer KEY."
            raise RejectedRequestError(HTTPStatus.UNAUTHORIZED, Reason.UNAUTHORIZED, message)

    def check_media_type(self) -> None:
        media_type = b"application/json"
        for name, value in self.scope["headers"]:
            if name == b"content-type":
                media_type = value.partition(b";")[0].strip().lower()
            elif name == b"content-encoding" and value.lower() != b"identity":
                raise _unsupported("Compressed bodies are not accepted; send plain JSON.")
        if media_type != b"application/json":
            raise _unsupported("Send the body as JSON, with Content-Type: application/json.")

    async def read_body(self, limit: int) -> bytes:
        body = b""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > limit:
                text = f"The body is larger than {limit} bytes; send fewer hands at once."
                raise RejectedRequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, Reason.BODY_TOO_LARGE, text)
        self.has_body = True
        return body

    async def forward(self, deadline: asyncio.Timeout) -> None:
        """Let BentoML answer, and put a sentence in place of its own words where it fails."""
        failed = False

        async def send(message: Message) -> None:
            nonlocal failed
            if message["type"] == "http.response.start":
                failed = message["status"] >= HTTPStatus.INTERNAL_SERVER_ERROR
                if not failed:
                    self.status = message["status"]
                    self._started = True
            if not failed:
                await self._send(message)

        await self._app(self.scope, self._receive, send)
        if failed and not deadline.expired():
            await self.fail(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                ServerReason.MODEL_FAILED,
                "The model could not answer; the server's log says why.",
            )

    async def fail(self, status: int, reason: Reason | ServerReason, message: str) -> None:
        if self._started:
            return
        self.status = status
        response = error_response(status, reason, message)
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            response.headers["Retry-After"] = "1"
        if status == HTTPStatus.UNAUTHORIZED:
            response.headers["WWW-Authenticate"] = "Bearer"
        await response(self.scope, self._receive, self._send)


def _unsupported(message: str) -> RejectedRequestError:
    return RejectedRequestError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, Reason.UNSUPPORTED_MEDIA_TYPE, message)
