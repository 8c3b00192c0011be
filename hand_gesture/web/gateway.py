"""The ASGI middleware that handles prediction requests: access, limits, decoding and errors.

It runs before BentoML's request handling, which logs a stack trace for each invalid request. A request that is rejected
here cannot fail a batch of valid ones.
"""

from __future__ import annotations

import asyncio
import functools
import urllib.parse
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hand_gesture.bento.http_connection import APPLICATION, Respond
from hand_gesture.bento.watchdog import Watchdog
from hand_gesture.bento.websocket_connection import Limits, MessageTransport
from hand_gesture.errors import Headers, Reason, RejectedRequestError
from hand_gesture.settings import Settings
from hand_gesture.telemetry.metrics import get_metrics
from hand_gesture.web.access import is_authorized, is_origin_allowed
from hand_gesture.web.admission import OVERLOAD_PAUSE_SECONDS, AdmissionControl
from hand_gesture.web.cors import ALLOW_ORIGIN, Cors
from hand_gesture.web.decoding import MAX_HAND_BYTES, MEDIAPIPE_GUIDE, decode_hand_request, decode_hands_request
from hand_gesture.web.prediction_request import PredictionRequest, Route
from hand_gesture.web.responses import CLOSE, Answer, finish, send_answer
from hand_gesture.web.stream import CLIENT_TIMEOUT_SECONDS, MAX_MESSAGE_BYTES, PING_INTERVAL_SECONDS, STREAM, Stream
from hand_gesture.web.taught_decoding import MAX_GESTURES_BYTES
from hand_gesture.web.teaching import TEACHING_SECONDS, Teaching
from hand_gesture.web.worker import Worker

CHECKS_PER_LIMIT: Final = 20  # within the shortest timeout, so that timeouts fire at most 5 % late
_FORMS: Final = (b"multipart/form-data", b"application/x-www-form-urlencoded")
_PICKLE: Final = b"application/vnd.bentoml+pickle"


class PredictionGateway:
    """Answers the prediction routes and opens streams; passes all other requests on to BentoML.

    Plain requests come directly from their connection (``open_request``), all others through ASGI (``__call__``). Both
    paths give the same responses.
    """

    def __init__(self, app: ASGIApp, settings: Settings, teaching: Callable[[], Teaching]) -> None:
        self._app = app
        self._settings = settings
        limits = (settings.request_timeout_seconds, settings.stream_idle_seconds)
        shortest = min(*limits, PING_INTERVAL_SECONDS, CLIENT_TIMEOUT_SECONDS)
        self.watchdog = Watchdog(shortest / CHECKS_PER_LIMIT)
        self.limits = Limits(
            max_message_bytes=MAX_MESSAGE_BYTES,
            max_first_bytes=MAX_GESTURES_BYTES,  # settings may hold gestures
            ping_interval_seconds=PING_INTERVAL_SECONDS,
            timeout_seconds=CLIENT_TIMEOUT_SECONDS,
        )
        self._worker = Worker(settings, get_metrics(), AdmissionControl(settings), self.watchdog, teaching)
        self._cors = Cors(self._answer_asgi, settings.allowed_origins)
        one_hand_bytes = min(MAX_HAND_BYTES, settings.max_body_bytes)
        seconds = settings.request_timeout_seconds
        several = functools.partial(decode_hands_request, max_hands=settings.max_hands)
        routes = (
            Route("/predict", decode_hand_request, one_hand_bytes, is_for_one_hand=True, seconds=seconds),
            Route("/predict/command", decode_hand_request, one_hand_bytes, is_for_one_hand=True, seconds=seconds),
            Route("/predict_batch", several, settings.max_body_bytes, is_for_one_hand=False, seconds=seconds),
            # Decoded in the teaching thread, because large bodies take long
            Route("/gestures", bytes, MAX_GESTURES_BYTES, is_for_one_hand=False, seconds=TEACHING_SECONDS),
        )
        self._routes = {route.path: route for route in routes}
        self._plain_routes = {route.path.encode(): route for route in routes if route.is_for_one_hand}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an HTTP request or the lifespan of the worker."""
        if scope["type"] != "lifespan":
            await self._cors(scope, receive, send)
            return
        scope["state"][APPLICATION] = self  # read by HttpConnection
        await self._app(scope, receive, functools.partial(self._connect, scope["app"], send))

    async def _connect(self, app: Starlette, send: Send, message: Message) -> None:
        if message["type"] == "lifespan.startup.complete":
            self._worker.admission.connect(app)
        elif message["type"] == "lifespan.shutdown.complete":
            self._worker.metrics.flush()
        await send(message)

    def open_request(self, target: bytes, headers: Mapping[bytes, bytes], respond: Respond) -> PredictionRequest | None:
        """Accept a plain POST, or return None to send it through ASGI; see ``http_connection.Application``."""
        route = self._plain_routes.get(target)
        if (
            route is None
            or headers.get(b"content-type", b"application/json") != b"application/json"
            or b"content-encoding" in headers
            or int(headers.get(b"content-length", b"0")) > route.max_body_bytes
            or (self._settings.api_key and not is_authorized(headers.items(), self._settings.api_key))
        ):
            return None
        return PredictionRequest(
            self._worker, route, functools.partial(self._answer_plain, respond, headers.get(b"origin"))
        )

    def _answer_plain(self, respond: Respond, origin: bytes | None, answer: Answer | None) -> None:
        if answer is not None:
            closes = CLOSE in answer.headers
            headers = answer.header_lines() + self._cors.headers_for(origin)
            respond(answer.status, headers, answer.body, closes, _pause(answer))

    def open_stream(self, target: bytes, headers: Headers, transport: MessageTransport) -> Stream | None:
        """Accept a WebSocket, or return None to refuse it; see ``http_connection.Application``."""
        if urllib.parse.unquote(target.partition(b"?")[0].decode("latin-1")) != STREAM:
            return None
        if not is_origin_allowed(headers, self._settings.allowed_origins):
            self._worker.metrics.count_rejected(Reason.FORBIDDEN_ORIGIN)
            return None
        return Stream(self._worker, headers, transport)

    async def _answer_asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._routes.get(scope["path"])
        if route is None:
            await self._answer_other(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Answer | None] = loop.create_future()
        request = PredictionRequest(self._worker, route, answered.set_result)
        reading = loop.create_task(self._read(request, route, scope, receive))
        answer = await answered
        reading.cancel()
        if answer is not None:
            pause = _pause(answer)
            await send_answer(send, answer, more_body=pause > 0)
            if pause:
                await asyncio.sleep(pause)
                await finish(send)

    async def _read(self, request: PredictionRequest, route: Route, scope: Scope, receive: Receive) -> None:
        try:
            _check_method(scope)
            _check_key(scope["headers"], self._settings.api_key)
            _check_media_type(scope["headers"])
            request.receive(await _read_body(receive, route.max_body_bytes))
            while (await receive())["type"] != "http.disconnect":  # until the answer cancels this task
                pass
            request.disconnect()
        except ClientDisconnect:
            request.disconnect()
        except Exception as error:
            request.fail(error)

    async def _answer_other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == STREAM and not is_origin_allowed(scope["headers"], self._settings.allowed_origins):
            message = "Pages of this origin may not use this service: its operator must add it to ALLOWED_ORIGINS."
            headers = [(ALLOW_ORIGIN.encode(), b"*")]  # so that the page can read this
            error = RejectedRequestError(HTTPStatus.FORBIDDEN, Reason.FORBIDDEN_ORIGIN, message, headers)
        elif scope["path"] == STREAM:
            message = "This is a WebSocket endpoint; open it with ws:// or wss:// (see docs/stream.md)."
            headers = [(b"upgrade", b"websocket"), (b"connection", b"Upgrade")]
            error = RejectedRequestError(HTTPStatus.UPGRADE_REQUIRED, Reason.METHOD_NOT_ALLOWED, message, headers)
        # Starlette also routes "/predict\n" to /predict, so no POST may pass without the checks of keys and limits
        elif scope["method"] == "POST":
            error = _method_not_allowed(f"POST is only allowed for {', '.join(self._routes)}.", allowed=b"GET, HEAD")
        else:
            await self._app(scope, receive, send)
            return
        await send_answer(send, self._worker.explain(error, scope["path"]))


def _pause(answer: Answer) -> float:
    """Seconds before the connection's next request is read; immediate retries would take CPU time from others."""
    return OVERLOAD_PAUSE_SECONDS if answer.status == HTTPStatus.SERVICE_UNAVAILABLE else 0


def _check_method(scope: Scope) -> None:
    if scope["method"] != "POST":
        raise _method_not_allowed(f"{scope['path']} only accepts POST.", allowed=b"POST")


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
            "Pickles are not accepted; BentoML sends them between services that depend on each other's classes, so use "
            "bentoml.depends(url=...) with this service's URL."
        )
    if media_type in _FORMS or media_type.startswith(b"image/"):
        raise _unsupported(
            "Images and forms are not accepted; send the landmarks that MediaPipe finds in an image, as JSON "
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
