"""A camera's stream over a WebSocket: its settings, then its frames, each answered in order; see docs/stream.md.

A stream has one frame in flight at a time. Those behind it wait where the protocol keeps them (bento/connections.py),
so that a client that sends faster than the model answers is slowed down and not stored.
"""

from __future__ import annotations

import asyncio
from enum import IntEnum
from http import HTTPStatus
from time import perf_counter
from typing import Final, NoReturn, cast

import numpy as np
import orjson
from starlette.types import Receive, Scope, Send

from hand_gesture.bento.connections import SERVICE_RESTART
from hand_gesture.errors import Reason, RejectedRequestError, ServerReason
from hand_gesture.settings import Settings
from hand_gesture.telemetry.metrics import get_metrics
from hand_gesture.web.access import is_authorized, is_welcome
from hand_gesture.web.camera import Camera
from hand_gesture.web.deadlines import Deadline, Deadlines
from hand_gesture.web.decoding import (
    ImageSize,
    StreamSettings,
    decode_frame,
    decode_stream_settings,
)
from hand_gesture.web.inference import SECONDS_TO_COOL_DOWN, Inference
from hand_gesture.web.responses import send_error

STREAM: Final = "/stream"
NO_CLOSE: Final = 1006  # the connection broke
MAX_REASON_BYTES: Final = 123  # of a close frame, RFC 6455, section 5.5


class CloseCode(IntEnum):
    """Why this side ends a stream (https://www.iana.org/assignments/websocket/websocket.xhtml)."""

    GOING_AWAY = 1001  # no frame for too long
    UNSUPPORTED_DATA = 1003
    POLICY_VIOLATION = 1008
    SERVICE_RESTART = SERVICE_RESTART
    TRY_AGAIN_LATER = 1013


class _Ended(Exception):  # noqa: N818 (not an error: the client has gone, or the worker is about to)
    """A stream's other end is gone, or will be."""

    def __init__(self, code: int) -> None:
        self.code = code


class _Refused(Exception):  # noqa: N818 (the close code says it)
    """A stream that this side ends."""

    def __init__(self, code: CloseCode, reason: Reason | ServerReason, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


class StreamEndpoint:
    """Answers /stream, an ASGI application."""

    def __init__(self, inference: Inference, settings: Settings) -> None:
        self._inference = inference
        self._settings = settings
        self._metrics = get_metrics()
        self._deadlines = Deadlines(settings.request_timeout_seconds)
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry one stream from its opening to its end."""
        if scope["type"] == "http":
            message = "This is a WebSocket: open it with ws:// or wss:// (see docs/stream.md)."
            headers = [(b"upgrade", b"websocket"), (b"connection", b"Upgrade")]
            error = RejectedRequestError(HTTPStatus.UPGRADE_REQUIRED, Reason.METHOD_NOT_ALLOWED, message, headers)
            self._metrics.count_rejected(error.reason)
            await send_error(send, error)
            return
        await receive()  # its opening
        if not is_welcome(scope["headers"], self._settings.allowed_origins):
            self._metrics.count_rejected(Reason.UNAUTHORIZED)
            await send({"type": "websocket.close"})  # before it is accepted: a 403
            return
        self._inference.find_calls(scope)
        await send({"type": "websocket.accept"})
        self._open += 1
        self._metrics.streams.inc()
        code = NO_CLOSE
        try:
            # In a task of its own, or each frame would wake the coroutines of all middlewares on the way here
            raise await asyncio.create_task(self._carry(scope, receive, send))
        except _Ended as end:
            code = end.code
            if code == CloseCode.SERVICE_RESTART:
                await _close(send, CloseCode.SERVICE_RESTART, "The service is going down; connect again.")
        except _Refused as refused:
            code = refused.code
            if isinstance(refused.reason, Reason):
                self._metrics.count_rejected(refused.reason)
            await _send(send, {"error": str(refused), "reason": refused.reason})
            await _close(send, refused.code, str(refused))
        finally:
            self._open -= 1
            self._metrics.streams.dec()
            self._metrics.count_closed_stream(code)

    async def _carry(self, scope: Scope, receive: Receive, send: Send) -> _Ended | _Refused:
        """Carry a stream to its end, and say which it was."""
        try:
            await self._converse(scope, receive, send)
        except (_Ended, _Refused) as end:
            # Its frames know the task, which will know it: a circle that the rare garbage collection would leave lying
            return end.with_traceback(None)

    async def _converse(self, scope: Scope, receive: Receive, send: Send) -> NoReturn:
        if self._open > self._settings.max_streams:
            text = "The server has as many streams as it can take; try again in a second."
            raise _Refused(CloseCode.TRY_AGAIN_LATER, ServerReason.OVERLOADED, text)
        settings = await self._read_settings(scope, receive)
        camera = Camera(settings, self._metrics.count_change)
        loop = asyncio.get_running_loop()
        task = cast("asyncio.Task[object]", asyncio.current_task())
        idle_seconds = self._settings.stream_idle_seconds
        idle = asyncio.timeout(idle_seconds)
        try:
            async with idle:
                while True:
                    message = await _receive(receive)
                    # A timer for each frame would cost more than the frame's decoding
                    now = loop.time()
                    if cast("float", idle.when()) - now < 0.95 * idle_seconds:
                        idle.reschedule(now + idle_seconds)
                    deadline = self._deadlines.start(task, loop)
                    await self._answer(message, settings.image_size, camera, deadline, send)
        except TimeoutError:
            text = f"There was no frame for {idle_seconds:g} seconds."
            raise _Refused(CloseCode.GOING_AWAY, Reason.BODY_TOO_SLOW, text) from None

    async def _read_settings(self, scope: Scope, receive: Receive) -> StreamSettings:
        seconds = self._settings.request_timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                message = await _receive(receive)
        except TimeoutError:
            text = f"The settings did not arrive within {seconds:g} seconds."
            raise _Refused(CloseCode.POLICY_VIOLATION, Reason.BODY_TOO_SLOW, text) from None
        if isinstance(message, bytes):
            text = "A stream begins with its settings as text, {} where there are none."
            raise _Refused(CloseCode.UNSUPPORTED_DATA, Reason.INVALID_REQUEST, text)
        try:
            settings = decode_stream_settings(message)
        except RejectedRequestError as error:
            raise _Refused(CloseCode.POLICY_VIOLATION, error.reason, str(error)) from None
        if not is_authorized(scope["headers"], self._settings.api_key, settings.key):
            text = "This server asks for a key; send it as Authorization: Bearer KEY, or as key in the settings."
            raise _Refused(CloseCode.POLICY_VIOLATION, Reason.UNAUTHORIZED, text)
        return settings

    async def _answer(
        self, message: bytes | str, image_size: ImageSize, camera: Camera, deadline: Deadline, send: Send
    ) -> None:
        """Answer one frame."""
        started = perf_counter()
        status: int = HTTPStatus.OK
        answer: object
        try:
            answer = await self._classify(message, image_size, camera, started)
        except (Exception, asyncio.CancelledError) as caught:
            if not deadline.expired and isinstance(caught, asyncio.CancelledError):
                self._deadlines.stop(deadline)
                raise
            error = self._inference.explain(caught, STREAM, expired=deadline.expired)
            status = error.status
            if isinstance(error, RejectedRequestError):
                self._metrics.count_rejected(error.reason, error.missing_landmarks)
            answer = {"error": str(error), "reason": error.reason}
        self._deadlines.stop(deadline)
        try:
            await _send(send, answer)
        finally:
            self._metrics.count_request(STREAM, status, perf_counter() - started)
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            # The frames of a client that goes on at once would take the time of those that are answered
            await asyncio.sleep(SECONDS_TO_COOL_DOWN)

    async def _classify(self, message: bytes | str, image_size: ImageSize, camera: Camera, time: float) -> object:
        self._inference.check_room()
        frame = decode_frame(message, image_size)
        if len(frame.hands) == 1:
            predictions = [await self._inference.call("/predict", frame.hands)]
        else:
            calls = [self._inference.call("/predict", hand[np.newaxis]) for hand in frame.hands]
            predictions = await asyncio.gather(*calls)
        self._metrics.count_frame(len(predictions))
        return camera.answer(frame, predictions, time)


async def _receive(receive: Receive) -> bytes | str:
    event = await receive()
    if event["type"] == "websocket.disconnect":
        raise _Ended(event["code"])
    message: bytes | str | None = event.get("bytes")
    return event["text"] if message is None else message


async def _send(send: Send, answer: object) -> None:
    await send({"type": "websocket.send", "text": orjson.dumps(answer).decode()})


async def _close(send: Send, code: CloseCode, message: str) -> None:
    reason = message.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
    await send({"type": "websocket.close", "code": code, "reason": reason})
