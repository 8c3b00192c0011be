"""The first and last thing a prediction request meets: limits, decoding, errors, and the figures about it.

BentoML answers a rejected request with a stack trace in the log and a list as its body, so this stands before it; and a
request that is rejected here never reaches the batch of the good ones.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hand_gesture.bento.http_connection import APPLICATION, Respond
from hand_gesture.bento.websocket_connection import Wire
from hand_gesture.errors import Headers, Reason, RejectedRequestError
from hand_gesture.model.batch_queue import Ticket
from hand_gesture.settings import Settings
from hand_gesture.telemetry.metrics import get_metrics
from hand_gesture.web.access import is_authorized, is_welcome
from hand_gesture.web.cors import Cors
from hand_gesture.web.deadlines import Deadlines
from hand_gesture.web.decoding import MAX_HAND_BYTES, MEDIAPIPE_GUIDE, decode_hand_request, decode_hands_request
from hand_gesture.web.inference import SECONDS_TO_COOL_DOWN, Inference
from hand_gesture.web.responses import Answer, answer_error, answer_with, finish, send_answer
from hand_gesture.web.stream import STREAM, Stream, Streams

Decode = Callable[[bytes], NDArray[np.float64]]
CLOSES: Final = (b"connection", b"close")
CLIENT_CLOSED_REQUEST: Final = 499  # nginx's status, for the figures only: nobody is left to read it
_FORMS: Final = (b"multipart/form-data", b"application/x-www-form-urlencoded")
_PICKLE: Final = b"application/vnd.bentoml+pickle"


@dataclass(frozen=True, slots=True)
class _Route:
    """How a prediction route's body is read."""

    decode: Decode
    max_body_bytes: int


class PredictionGateway:
    """Answers the prediction routes and opens the streams; every other request passes untouched.

    A plain request comes straight from the connection (``open_request``), every other one by ASGI (``__call__``). Both
    ways give the same answers.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self.metrics = get_metrics()
        self.inference = Inference(settings)
        self.deadlines = Deadlines(settings.request_timeout_seconds)
        self._streams = Streams(self.inference, settings, self.metrics)
        self.cors = Cors(self._respond, settings.allowed_origins)
        one_hand = _Route(decode_hand_request, min(MAX_HAND_BYTES, settings.max_body_bytes))
        several = functools.partial(decode_hands_request, max_hands=settings.max_hands)
        self.routes = {
            "/predict": one_hand,
            "/predict/command": one_hand,
            "/predict_batch": _Route(several, settings.max_body_bytes),
        }
        self._plain_routes = {route.encode(): route for route, how in self.routes.items() if how is one_hand}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or start and end with the worker."""
        if scope["type"] == "lifespan":
            # The connections find this gateway in the state, and the service's methods are known when it is up
            scope["state"][APPLICATION] = self
            await self._app(scope, receive, functools.partial(self._connect, scope["app"], send))
        else:
            await self.cors(scope, receive, send)

    async def _connect(self, app: Starlette, send: Send, message: Message) -> None:
        if message["type"] == "lifespan.startup.complete":
            self.inference.connect(app)
        await send(message)

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self.routes.get(scope["path"])
        if route is None:
            await self._pass_on(scope, receive, send)
            return
        started = perf_counter()
        self.metrics.in_flight.inc()
        status: int = CLIENT_CLOSED_REQUEST
        try:
            answer = await self._answer(scope, receive, route)
            status = answer.status
            is_refused = status == HTTPStatus.SERVICE_UNAVAILABLE
            await send_answer(send, answer, more_body=is_refused)
        except ClientDisconnect:
            return
        finally:
            self.metrics.in_flight.dec()
            self.metrics.count_request(scope["path"], status, perf_counter() - started)
        if is_refused:
            # A client that asks again at once would take the time of those that are answered
            await asyncio.sleep(SECONDS_TO_COOL_DOWN)
            await finish(send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == STREAM:
            message = "This is a WebSocket: open it with ws:// or wss:// (see docs/stream.md)."
            headers = [(b"upgrade", b"websocket"), (b"connection", b"Upgrade")]
            error = RejectedRequestError(HTTPStatus.UPGRADE_REQUIRED, Reason.METHOD_NOT_ALLOWED, message, headers)
            await send_answer(send, self._reject(error))
        # Starlette takes "/predict\n" for /predict, too: nothing posted may get past this gateway's keys and limits
        elif scope["method"] == "POST":
            message = f"Only {', '.join(self.routes)} take a POST."
            await send_answer(send, self._reject(_method_not_allowed(message, allowed=b"GET, HEAD")))
        else:
            await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, route: _Route) -> Answer:
        body: bytes | None = None
        deadline = asyncio.timeout(self._settings.request_timeout_seconds)
        try:
            async with deadline:
                _check_method(scope)
                _check_key(scope["headers"], self._settings.api_key)
                _check_media_type(scope["headers"])
                body = await _read_body(receive, route.max_body_bytes)
                # Not sooner, or clients that send their bodies slowly would leave no room for the others
                self.inference.check_room()
                return answer_with(await self.inference.call(scope["path"], route.decode(body)))
        except ClientDisconnect:
            raise
        except Exception as error:
            if isinstance(error, TimeoutError) and deadline.expired():
                return self.expired(has_body=body is not None)
            return self.failed(error, scope["path"])

    def expired(self, *, has_body: bool) -> Answer:
        """The answer to a request whose time is over."""
        if has_body:
            return answer_error(self.inference.too_late())
        message = f"The body did not arrive within {self._settings.request_timeout_seconds:g} seconds."
        # What else of the body comes is not read
        return self._reject(RejectedRequestError(HTTPStatus.REQUEST_TIMEOUT, Reason.BODY_TOO_SLOW, message, [CLOSES]))

    def failed(self, error: Exception, path: str) -> Answer:
        """The answer to a request that cannot be answered."""
        explained = self.inference.explain(error, path)
        return self._reject(explained) if isinstance(explained, RejectedRequestError) else answer_error(explained)

    def _reject(self, error: RejectedRequestError) -> Answer:
        self.metrics.count_rejected(error.reason, error.missing_landmarks)
        return answer_error(error)

    def open_request(self, target: bytes, headers: Mapping[bytes, bytes], respond: Respond) -> PlainRequest | None:
        """Take a plain POST whose head has come, or None where it is not plain enough.

        Args:
            target: path and query.
            headers: of different names, in lower case; there is no ``Transfer-Encoding``.
            respond: sends the answer.
        """
        path = self._plain_routes.get(target)
        if (
            path is None
            or headers.get(b"content-type", b"application/json") != b"application/json"
            or b"content-encoding" in headers
            or int(headers.get(b"content-length", b"0")) > self.routes[path].max_body_bytes
            or not is_authorized(headers.items(), self._settings.api_key)
        ):
            return None
        return PlainRequest(self, path, headers.get(b"origin"), respond)

    def open_stream(self, path: str, headers: Sequence[tuple[bytes, bytes]], wire: Wire) -> Stream | None:
        """A stream on a WebSocket that is about to be accepted, or None where it must not be."""
        if path != STREAM:
            return None
        if not is_welcome(headers, self._settings.allowed_origins):
            self.metrics.count_rejected(Reason.UNAUTHORIZED)
            return None
        return self._streams.make(headers, wire)


class PlainRequest:
    """A request for one hand, from its head to its answer, without ASGI."""

    __slots__ = ("_gateway", "_has_body", "_loop", "_origin", "_path", "_respond", "_started", "_ticket")

    def __init__(self, gateway: PredictionGateway, path: str, origin: bytes | None, respond: Respond) -> None:
        self._gateway = gateway
        self._path = path
        self._origin = origin
        self._respond: Respond | None = respond
        self._has_body = False
        self._ticket: Ticket | None = None
        self._started = perf_counter()
        gateway.metrics.in_flight.inc()
        gateway.deadlines.start(self, asyncio.get_running_loop())

    def receive(self, body: bytes) -> None:
        """Take the whole body."""
        self._has_body = True
        gateway = self._gateway
        try:
            gateway.inference.check_room()
            hand = gateway.routes[self._path].decode(body)
            self._ticket = gateway.inference.submit(self._path, hand, self._settle)
        except Exception as error:
            self._end(gateway.failed(error, self._path))

    def disconnect(self) -> None:
        """The client has gone."""
        if self._respond is not None:
            self._count(CLIENT_CLOSED_REQUEST)

    def expire(self) -> None:
        """Its time is over."""
        self._end(self._gateway.expired(has_body=self._has_body))

    def _settle(self, prediction: Any, error: Exception | None) -> None:
        self._end(answer_with(prediction) if error is None else self._gateway.failed(error, self._path))

    def _end(self, answer: Answer) -> None:
        respond = self._respond
        if respond is None:
            return
        self._count(answer.status)
        head = b"content-type: application/json\r\ncontent-length: %d\r\n" % len(answer.body)
        for header in answer.headers:
            head += b"%b: %b\r\n" % header
        respond(
            answer.status,
            head + self._gateway.cors.headers_for(self._origin),
            answer.body,
            closes=CLOSES in answer.headers,
            # A client that asks again at once would take the time of those that are answered
            pause=SECONDS_TO_COOL_DOWN if answer.status == HTTPStatus.SERVICE_UNAVAILABLE else 0,
        )

    def _count(self, status: int) -> None:
        self._respond = None
        if self._ticket is not None:
            self._ticket.cancel()
        gateway = self._gateway
        gateway.deadlines.stop(self)
        gateway.metrics.in_flight.dec()
        gateway.metrics.count_request(self._path, status, perf_counter() - self._started)


def _check_method(scope: Scope) -> None:
    if scope["method"] != "POST":
        raise _method_not_allowed(f"{scope['path']} takes its request as the body of a POST.", allowed=b"POST")


def _method_not_allowed(message: str, *, allowed: bytes) -> RejectedRequestError:
    headers = [(b"allow", allowed)]
    return RejectedRequestError(HTTPStatus.METHOD_NOT_ALLOWED, Reason.METHOD_NOT_ALLOWED, message, headers)


def _check_key(headers: Headers, keys: list[str]) -> None:
    if keys and not is_authorized(headers, keys):
        message = "This server asks for a key; send it as Authorization: Bearer KEY."
        headers = [(b"www-authenticate", b"Bearer")]
        raise RejectedRequestError(HTTPStatus.UNAUTHORIZED, Reason.UNAUTHORIZED, message, headers)


def _check_media_type(headers: Headers) -> None:
    media_type = b"application/json"
    for name, value in headers:
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
