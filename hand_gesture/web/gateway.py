"""The first and last thing a prediction request meets: limits, decoding, errors, and the figures about it.

An ASGI middleware, because BentoML answers a rejected request with a stack trace in the log and a list as its body,
and because a request that is rejected here never reaches the batch of the good ones.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter
from typing import Any, Final

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from hand_gesture.errors import FailedRequestError, Reason, RejectedRequestError
from hand_gesture.settings import Settings
from hand_gesture.telemetry.metrics import get_metrics
from hand_gesture.web.access import is_authorized
from hand_gesture.web.decoding import MAX_HAND_BYTES, MEDIAPIPE_GUIDE, decode_hand_request, decode_hands_request
from hand_gesture.web.inference import SECONDS_TO_COOL_DOWN, Inference
from hand_gesture.web.responses import finish, send_answer, send_error
from hand_gesture.web.stream import STREAM, StreamEndpoint
from hand_gesture.web.taught_decoding import MAX_GESTURES_BYTES

Decode = Callable[[bytes], Any]
CLIENT_CLOSED_REQUEST: Final = 499  # nginx's status, for the figures only: nobody is left to read it
_FORMS: Final = (b"multipart/form-data", b"application/x-www-form-urlencoded")
_PICKLE: Final = b"application/vnd.bentoml+pickle"


@dataclass(frozen=True, slots=True)
class _Route:
    """How a prediction route's body is read."""

    decode: Decode
    max_body_bytes: int


class PredictionGateway:
    """Answers the prediction routes and the stream; every other request passes untouched."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._metrics = get_metrics()
        self._inference = Inference(settings)
        self._stream = StreamEndpoint(self._inference, settings)
        one_hand = _Route(decode_hand_request, min(MAX_HAND_BYTES, settings.max_body_bytes))
        several = functools.partial(decode_hands_request, max_hands=settings.max_hands)
        self._routes = {
            "/predict": one_hand,
            "/predict/command": one_hand,
            "/predict_batch": _Route(several, settings.max_body_bytes),
            "/gestures": _Route(bytes, MAX_GESTURES_BYTES),  # decoded in the thread that teaches them
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        route = self._routes.get(scope["path"]) if scope["type"] == "http" else None
        if route is None:
            await self._pass_on(scope, receive, send)
            return
        self._inference.find_calls(scope)
        started = perf_counter()
        status: int = HTTPStatus.OK
        self._metrics.in_flight.inc()
        try:
            answer = await self._answer(scope, receive, route)
            await send_answer(send, answer)
        except ClientDisconnect:
            status = CLIENT_CLOSED_REQUEST
        except FailedRequestError as error:
            status = error.status
            if isinstance(error, RejectedRequestError):
                self._metrics.count_rejected(error.reason, error.missing_landmarks)
            await send_error(send, error, more_body=status == HTTPStatus.SERVICE_UNAVAILABLE)
        finally:
            self._metrics.in_flight.dec()
            self._metrics.count_request(scope["path"], status, perf_counter() - started)
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            # A client that asks again at once would take the time of those that are answered
            await asyncio.sleep(SECONDS_TO_COOL_DOWN)
            await finish(send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan" and scope["path"] == STREAM:
            await self._stream(scope, receive, send)
        # Starlette takes "/predict\n" for /predict, too: nothing posted may get past this gateway's keys and limits
        elif scope.get("method") == "POST":
            message = f"Only {', '.join(self._routes)} take a POST."
            self._metrics.count_rejected(Reason.METHOD_NOT_ALLOWED)
            await send_error(send, _method_not_allowed(message, allowed=b"GET, HEAD"))
        else:
            await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, route: _Route) -> object:
        seconds = self._settings.request_timeout_seconds
        body: bytes | None = None
        deadline = asyncio.timeout(seconds)
        try:
            async with deadline:
                _check_method(scope)
                _check_key(scope, self._settings.api_key)
                _check_media_type(scope)
                body = await _read_body(receive, route.max_body_bytes)
                # Not sooner, or clients that send their bodies slowly would leave no room for the others
                self._inference.check_room()
                return await self._inference.call(scope["path"], route.decode(body))
        except ClientDisconnect:
            raise
        except Exception as error:
            if body is None and not isinstance(error, FailedRequestError):
                message = f"The body did not arrive within {seconds:g} seconds."
                headers = [(b"connection", b"close")]  # what else of the body comes is not read
                raise RejectedRequestError(HTTPStatus.REQUEST_TIMEOUT, Reason.BODY_TOO_SLOW, message, headers) from None
            raise self._inference.explain(error, scope["path"], expired=deadline.expired()) from None


def _check_method(scope: Scope) -> None:
    if scope["method"] != "POST":
        raise _method_not_allowed(f"{scope['path']} takes its request as the body of a POST.", allowed=b"POST")


def _method_not_allowed(message: str, *, allowed: bytes) -> RejectedRequestError:
    headers = [(b"allow", allowed)]
    return RejectedRequestError(HTTPStatus.METHOD_NOT_ALLOWED, Reason.METHOD_NOT_ALLOWED, message, headers)


def _check_key(scope: Scope, keys: list[str]) -> None:
    if keys and not is_authorized(scope["headers"], keys):
        message = "This server asks for a key; send it as Authorization: Bearer KEY."
        headers = [(b"www-authenticate", b"Bearer")]
        raise RejectedRequestError(HTTPStatus.UNAUTHORIZED, Reason.UNAUTHORIZED, message, headers)


def _check_media_type(scope: Scope) -> None:
    media_type = b"application/json"
    for name, value in scope["headers"]:
        if name == b"content-type":
            media_type = value.partition(b";")[0].strip().lower()
        elif name == b"content-encoding" and value.lower() != b"identity":
            raise _unsupported("Compressed bodies are not accepted; send plain JSON.")
    if media_type == _PICKLE:
        raise _unsupported(
            "Pickles are not accepted, and BentoML sends them between services that depend on each other's classes; "
            "use bentoml.depends(url=...) with this service's address."
        )
    if media_type in _FORMS or media_type.startswith(b"image/"):
        raise _unsupported(
            "This service takes no images or forms but, as JSON, the landmarks that MediaPipe finds on an image "
            f"({MEDIAPIPE_GUIDE})."
        )
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
