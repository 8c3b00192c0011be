"""A camera's stream over a WebSocket: its settings, then its frames, each answered in order; see docs/stream.md.

Messages go in, answers and close codes come out; there is no socket, task or timer here. A stream has one frame in
flight at a time. Those behind it wait, and where too many do, no more are read, so that a client that sends faster than
the model answers is slowed down and not stored.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from http import HTTPStatus
from time import perf_counter
from typing import Any, Final

import orjson
from picows import WSCloseCode

from hand_gesture.bento.websocket_connection import Wire
from hand_gesture.errors import FailedRequestError, Reason, RejectedRequestError, ServerReason
from hand_gesture.model.batch_queue import Ticket
from hand_gesture.model.classifier import Prediction
from hand_gesture.settings import Settings
from hand_gesture.telemetry.metrics import Metrics
from hand_gesture.web.access import is_authorized
from hand_gesture.web.camera import Camera
from hand_gesture.web.decoding import (
    StreamSettings,
    decode_frame,
    decode_stream_settings,
)
from hand_gesture.web.inference import SECONDS_TO_COOL_DOWN, Gathering, Inference

STREAM: Final = "/stream"

_Headers = Sequence[tuple[bytes, bytes]]


class Streams:
    """The streams of a worker, and what they share."""

    def __init__(
        self, inference: Inference, settings: Settings, metrics: Metrics, clock: Callable[[], float] = perf_counter
    ) -> None:
        self.inference = inference
        self.settings = settings
        self.metrics = metrics
        self.clock = clock
        self.open = 0

    def make(self, headers: _Headers, wire: Wire) -> Stream:
        """A stream on a WebSocket that is about to be accepted."""
        return Stream(self, headers, wire)


class Stream:
    """One camera's stream."""

    __slots__ = (
        "_camera",
        "_cools_until",
        "_frame",
        "_headers",
        "_heard_at",
        "_in_flight",
        "_is_ending",
        "_is_over",
        "_is_stalled",
        "_settings",
        "_shared",
        "_started",
        "_waiting",
        "_wire",
    )

    def __init__(self, shared: Streams, headers: _Headers, wire: Wire) -> None:
        self._shared = shared
        self._headers: _Headers = headers
        self._wire = wire
        self._settings: StreamSettings | None = None
        self._waiting: deque[bytes | str] = deque()
        self._in_flight: Ticket | Gathering | None = None
        self._started = 0.0  # the frame in flight
        self._heard_at = shared.clock()  # the last frame, or the beginning
        self._cools_until = 0.0
        self._is_stalled = False  # the client does not take its answers
        self._is_ending = False  # with what has come
        self._is_over = False

    def begin(self) -> None:
        """The stream is open."""
        shared = self._shared
        shared.open += 1
        shared.metrics.streams.inc()
        if shared.open > shared.settings.max_streams:
            text = "The server has as many streams as it can take; try again in a second."
            self._refuse(WSCloseCode.TRY_AGAIN_LATER, ServerReason.OVERLOADED, text)

    def receive(self, message: bytes | str) -> None:
        """Take a message: the settings, then frames."""
        if self._is_over or self._is_ending:
            return
        if self._waiting or not self._is_free():
            self._waiting.append(message)
            if len(self._waiting) >= self._shared.settings.max_waiting_frames:
                self._wire.pause_reading()
        else:
            self._take(message)

    def _take(self, message: bytes | str) -> None:
        if self._settings is None:
            self._take_settings(message)
        else:
            self._take_frame(message, self._settings)

    def _is_free(self) -> bool:
        return self._in_flight is None and not self._is_stalled and not self._cools_until

    def _go_on(self) -> None:
        """Take what waits, up to a frame that is not answered at once."""
        while self._waiting and self._is_free() and not self._is_over:
            self._take(self._waiting.popleft())
        if self._is_over:
            return
        if self._is_ending and self._in_flight is None and not self._waiting:
            self._close(WSCloseCode.SERVICE_RESTART, "The service is going down; connect again.")
        elif not self._is_stalled and len(self._waiting) < self._shared.settings.max_waiting_frames:
            self._wire.resume_reading()

    def _take_settings(self, message: bytes | str) -> None:
        if isinstance(message, bytes):
            text = "A stream begins with its settings as text, {} where there are none."
            self._refuse(WSCloseCode.UNSUPPORTED_DATA, Reason.INVALID_REQUEST, text)
            return
        try:
            settings = decode_stream_settings(message)
        except RejectedRequestError as error:
            self._refuse(WSCloseCode.POLICY_VIOLATION, error.reason, str(error))
            return
        if not is_authorized(self._headers, self._shared.settings.api_key, settings.key):
            text = "This server asks for a key; send it as Authorization: Bearer KEY, or as key in the settings."
            self._refuse(WSCloseCode.POLICY_VIOLATION, Reason.UNAUTHORIZED, text)
            return
        self._settings = settings
        self._camera = Camera(settings, self._shared.metrics.count_change)
        self._headers = ()
        self._heard_at = self._shared.clock()

    def _take_frame(self, message: bytes | str, settings: StreamSettings) -> None:
        shared = self._shared
        self._started = self._heard_at = shared.clock()
        try:
            shared.inference.check_room()
            self._frame = frame = decode_frame(message, settings.image_size)
            count = len(frame.hands)
            if count == 1:
                self._in_flight = shared.inference.submit("/predict", frame.hands, self._settle_one)
            elif count:
                self._in_flight = shared.inference.submit_all("/predict", frame.hands, self._settle)
        except Exception as error:
            self._answer_error(shared.inference.explain(error, STREAM))
        else:
            if not count:
                self._answer_frame([])

    def _settle_one(self, prediction: Any, error: Exception | None) -> None:
        self._settle([prediction], error)

    def _settle(self, predictions: Any, error: Exception | None) -> None:
        """Answer the frame in flight."""
        self._in_flight = None
        if error is None:
            self._answer_frame(predictions)
        else:
            self._answer_error(self._shared.inference.explain(error, STREAM))
        self._go_on()

    def _answer_frame(self, predictions: Sequence[Prediction]) -> None:
        answer = self._camera.answer(self._frame, predictions, self._started)
        self._answer(HTTPStatus.OK, answer, len(predictions))

    def _answer_error(self, error: FailedRequestError) -> None:
        if isinstance(error, RejectedRequestError):
            self._shared.metrics.count_rejected(error.reason, error.missing_landmarks)
        elif error.status == HTTPStatus.SERVICE_UNAVAILABLE:
            # The frames of a client that goes on at once would take the time of those that are answered
            self._cools_until = self._shared.clock() + SECONDS_TO_COOL_DOWN
        self._answer(error.status, {"error": str(error), "reason": error.reason})

    def _answer(self, status: int, answer: object, hands: int | None = None) -> None:
        self._wire.send(orjson.dumps(answer))
        self._shared.metrics.count_request(STREAM, status, self._shared.clock() - self._started, hands)

    def pause_writing(self) -> None:
        """The client does not take its answers: take no more of its frames."""
        self._is_stalled = True
        if not self._is_over:
            self._wire.pause_reading()

    def resume_writing(self) -> None:
        """It has taken them."""
        self._is_stalled = False
        self._go_on()

    def check(self) -> None:
        """Look what takes too long: the settings, a frame's answer, the next frame."""
        if self._is_over:
            return
        now, settings = self._shared.clock(), self._shared.settings
        if self._in_flight is not None:
            if now - self._started >= settings.request_timeout_seconds:
                self._in_flight.cancel()
                self._in_flight = None
                self._answer_error(self._shared.inference.too_late())
                self._go_on()
        elif self._cools_until:
            if now >= self._cools_until:
                self._cools_until = 0.0
                self._go_on()
        elif self._settings is None:
            if now - self._heard_at >= settings.request_timeout_seconds:
                text = f"The settings did not arrive within {settings.request_timeout_seconds:g} seconds."
                self._refuse(WSCloseCode.POLICY_VIOLATION, Reason.BODY_TOO_SLOW, text)
        elif now - self._heard_at >= settings.stream_idle_seconds and not self._is_stalled:
            text = f"There was no frame for {settings.stream_idle_seconds:g} seconds."
            self._refuse(WSCloseCode.GOING_AWAY, Reason.BODY_TOO_SLOW, text)

    def shutdown(self) -> None:
        """The worker is about to end: close when what has come is answered."""
        self._is_ending = True
        if not self._is_over:
            self._go_on()

    def end(self, code: int) -> None:
        """The WebSocket is over, other than by this side's will."""
        if self._is_over:
            return
        self._is_over = True
        self._waiting.clear()
        if self._in_flight is not None:
            self._in_flight.cancel()
            self._in_flight = None
        self._shared.open -= 1
        self._shared.metrics.streams.dec()
        self._shared.metrics.count_closed_stream(code)

    def _refuse(self, code: WSCloseCode, reason: Reason | ServerReason, text: str) -> None:
        """Close with an error before, since the reason in a close frame has room for little."""
        if isinstance(reason, Reason):
            self._shared.metrics.count_rejected(reason)
        self._wire.send(orjson.dumps({"error": text, "reason": reason}))
        self._close(code, text)

    def _close(self, code: WSCloseCode, text: str) -> None:
        self._wire.close(code, text)
        self.end(code.value)
