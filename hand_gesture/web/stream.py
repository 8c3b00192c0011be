"""The protocol of a camera's stream: settings, then frames, each answered in order; see docs/stream.md.

Sans-I/O: there is no socket, task or timer here. One frame is in flight at a time; later ones wait in a short queue.
When the queue is full, reading pauses (backpressure), which limits the memory that a fast client can use.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Sequence
from http import HTTPStatus
from time import perf_counter
from typing import Final

import orjson
from picows import WSCloseCode

from hand_gesture.bento.websocket_connection import MessageTransport
from hand_gesture.errors import FailedRequestError, Headers, Reason, RejectedRequestError, ServerReason
from hand_gesture.model.classifier import Prediction
from hand_gesture.web.access import is_authorized
from hand_gesture.web.admission import OVERLOAD_PAUSE_SECONDS, Cancellable, timeout_error
from hand_gesture.web.camera import Camera
from hand_gesture.web.decoding import (
    StreamSettings,
    decode_frame,
    decode_stream_settings,
)
from hand_gesture.web.responses import error_body
from hand_gesture.web.teaching import TEACHING_SECONDS, StreamGestures
from hand_gesture.web.worker import Worker

STREAM: Final = "/stream"
MAX_MESSAGE_BYTES: Final = 65_536  # of a frame; settings may have MAX_GESTURES_BYTES
MAX_WAITING_FRAMES: Final = 8  # in the queue
SETTINGS_SECONDS: Final = 15.0  # for the settings: a phone may be busy loading MediaPipe, or its network slow
PING_INTERVAL_SECONDS: Final = 20.0  # without data before a ping
CLIENT_TIMEOUT_SECONDS: Final = 5.0  # for data after a ping, and for a client that does not read
_OK: Final = HTTPStatus.OK  # looking up an enum's member takes 0.2 µs in Python 3.11


class Stream:
    """One camera's stream."""

    __slots__ = (
        "_camera",
        "_clock",
        "_custom_gestures",
        "_frame",
        "_headers",
        "_in_flight",
        "_is_ending",
        "_is_over",
        "_is_stalled",
        "_last_frame_at",
        "_paused_until",
        "_settings",
        "_started",
        "_transport",
        "_waiting",
        "_worker",
    )

    def __init__(
        self, worker: Worker, headers: Headers, transport: MessageTransport, clock: Callable[[], float] = perf_counter
    ) -> None:
        """Create the stream before its WebSocket is accepted.

        Args:
            worker: settings, metrics and state that its streams share.
            headers: of the upgrade request.
            transport: sends answers and close frames.
            clock: returns seconds.
        """
        self._worker = worker
        self._clock = clock
        self._headers = headers
        self._transport = transport
        self._settings: StreamSettings | None = None
        self._waiting: deque[bytes | str] = deque()
        self._custom_gestures: StreamGestures | None = None
        self._in_flight: Cancellable | None = None  # a frame, or the training of the settings' gestures
        self._started = 0.0  # when the message in flight arrived
        self._last_frame_at = self._clock()  # initially, when the stream was opened
        self._paused_until = 0.0  # 0: not paused after an overload
        self._is_stalled = False  # the client does not read its answers
        self._is_ending = False  # answer the messages received so far, then close
        self._is_over = False

    def begin(self) -> None:
        """The stream is open."""
        if self._worker.metrics.open_stream() > self._worker.settings.max_streams:
            text = "The server has too many streams; try again in a second."
            self._reject(WSCloseCode.TRY_AGAIN_LATER, ServerReason.OVERLOADED, text)

    def receive(self, message: bytes | str) -> None:
        """Handle a message: the settings, then frames."""
        if self._is_over or self._is_ending:
            return
        if self._waiting or not self._is_ready():
            self._waiting.append(message)
            if len(self._waiting) >= MAX_WAITING_FRAMES:
                self._transport.pause_reading()
        else:
            self._handle(message)

    def _handle(self, message: bytes | str) -> None:
        if self._settings is None:
            self._handle_settings(message)
        else:
            self._handle_frame(message, self._settings)

    def _is_ready(self) -> bool:
        return self._in_flight is None and not self._is_stalled and not self._paused_until

    def _handle_waiting(self) -> None:
        """Handle queued messages until one has to wait for the model."""
        while self._waiting and self._is_ready() and not self._is_over:
            self._handle(self._waiting.popleft())
        if self._is_over:
            return
        if self._is_ending and self._in_flight is None and not self._waiting:
            self._close(WSCloseCode.SERVICE_RESTART, "The service is going down; connect again.")
        elif not self._is_stalled and len(self._waiting) < MAX_WAITING_FRAMES:
            self._transport.resume_reading()

    def _handle_settings(self, message: bytes | str) -> None:
        if isinstance(message, bytes):
            text = "A stream begins with its settings as text; send {} for the defaults."
            self._reject(WSCloseCode.UNSUPPORTED_DATA, Reason.INVALID_REQUEST, text)
            return
        try:
            settings = decode_stream_settings(message)
        except RejectedRequestError as error:
            self._reject_settings(error)
            return
        if not is_authorized(self._headers, self._worker.settings.api_key, settings.key):
            text = "This server asks for a key; send it as Authorization: Bearer KEY, or as key in the settings."
            self._reject(WSCloseCode.POLICY_VIOLATION, Reason.UNAUTHORIZED, text)
            return
        self._headers = ()
        if settings.has_gestures:
            self._teach(message, settings)
        else:
            self._begin_frames(settings)

    def _teach(self, message: str, settings: StreamSettings) -> None:
        self._started = self._clock()
        try:
            settle = functools.partial(self._on_taught, settings)
            self._in_flight = self._worker.teaching().teach(message, settle)
        except FailedRequestError as error:
            self._reject_settings(error)

    def _on_taught(self, settings: StreamSettings, gestures: StreamGestures | None, error: Exception | None) -> None:
        if self._is_over:
            return
        self._in_flight = None
        if error is not None:
            self._reject_settings(self._worker.admission.explain(error, STREAM))
            return
        self._custom_gestures = gestures
        self._begin_frames(settings)
        self._handle_waiting()

    def _reject_settings(self, error: FailedRequestError) -> None:
        if isinstance(error, RejectedRequestError):
            code = WSCloseCode.POLICY_VIOLATION
        elif error.status == HTTPStatus.SERVICE_UNAVAILABLE:
            code = WSCloseCode.TRY_AGAIN_LATER
        else:
            code = WSCloseCode.INTERNAL_ERROR
        self._reject(code, error.reason, str(error), getattr(error, "missing_landmarks", 0))

    def _begin_frames(self, settings: StreamSettings) -> None:
        self._settings = settings
        self._camera = Camera(settings, self._worker.metrics.count_change)
        self._last_frame_at = self._clock()

    def _handle_frame(self, message: bytes | str, settings: StreamSettings) -> None:
        worker = self._worker
        self._started = self._last_frame_at = self._clock()
        try:
            worker.admission.check_capacity()
            self._frame = frame = decode_frame(message, settings.image_size)
            if len(frame.hands):
                self._in_flight = worker.admission.submit(
                    "/predict", frame.hands, self._on_predictions, self._custom_gestures
                )
        except Exception as error:
            self._answer_error(worker.admission.explain(error, STREAM))
        else:
            if not len(frame.hands):
                self._answer_frame([])

    def _on_predictions(self, predictions: Sequence[Prediction] | None, error: Exception | None) -> None:
        """Answer the frame in flight."""
        self._in_flight = None
        if predictions is not None:
            try:
                self._answer_frame(predictions)
            except Exception as bug:  # the client waits for an answer to each frame
                error = bug
        if error is not None:
            self._answer_error(self._worker.admission.explain(error, STREAM))
        self._handle_waiting()

    def _answer_frame(self, predictions: Sequence[Prediction]) -> None:
        answer = self._camera.answer(self._frame, predictions, self._started)
        self._answer(_OK, orjson.dumps(answer), len(predictions))

    def _answer_error(self, error: FailedRequestError) -> None:
        if isinstance(error, RejectedRequestError):
            self._worker.metrics.count_rejected(error.reason, error.missing_landmarks)
        elif error.status == HTTPStatus.SERVICE_UNAVAILABLE:
            # Immediate retries would take CPU time from other frames
            self._paused_until = self._clock() + OVERLOAD_PAUSE_SECONDS
        self._answer(error.status, error_body(error))

    def _answer(self, status: int, answer: bytes, hands: int | None = None) -> None:
        self._transport.send(answer)
        self._worker.metrics.count_answer(STREAM, status, self._clock() - self._started, hands)

    def pause_writing(self) -> None:
        """The write buffer is full: read no more frames."""
        self._is_stalled = True
        if not self._is_over:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The write buffer has drained."""
        self._is_stalled = False
        self._handle_waiting()

    def check(self) -> None:
        """Apply the timeouts: for the settings, for training their gestures, for an answer, and for the next frame."""
        if self._is_over:
            return
        now, settings = self._clock(), self._worker.settings
        if self._in_flight is not None and self._settings is None:
            if now - self._started >= TEACHING_SECONDS:
                text = f"The gestures could not be taught within {TEACHING_SECONDS:g} seconds; try again later."
                self._reject(WSCloseCode.TRY_AGAIN_LATER, ServerReason.OVERLOADED, text)
        elif self._in_flight is not None:
            if now - self._started >= settings.request_timeout_seconds:
                self._in_flight.cancel()
                self._in_flight = None
                self._answer_error(timeout_error(settings.request_timeout_seconds))
                self._handle_waiting()
        elif self._paused_until:
            if now >= self._paused_until:
                self._paused_until = 0.0
                self._handle_waiting()
        elif self._settings is None:
            if now - self._last_frame_at >= SETTINGS_SECONDS:
                text = f"The settings did not arrive within {SETTINGS_SECONDS:g} seconds."
                self._reject(WSCloseCode.GOING_AWAY, Reason.BODY_TOO_SLOW, text)
        elif now - self._last_frame_at >= settings.stream_idle_seconds and not self._is_stalled:
            text = f"No frame for {settings.stream_idle_seconds:g} seconds."
            self._reject(WSCloseCode.GOING_AWAY, Reason.BODY_TOO_SLOW, text)

    def shutdown(self) -> None:
        """The worker is shutting down: answer the messages received so far, then close."""
        self._is_ending = True
        if not self._is_over:
            self._handle_waiting()

    def end(self, code: int) -> None:
        """The WebSocket is closed or closing; only the first call counts."""
        if self._is_over:
            return
        self._is_over = True
        self._waiting.clear()
        if self._in_flight is not None:
            self._in_flight.cancel()
            self._in_flight = None
        self._worker.metrics.close_stream(code)

    def _reject(self, code: WSCloseCode, reason: Reason | ServerReason, text: str, missing_landmarks: int = 0) -> None:
        """Send the error as a message, then close: the reason of a close frame is limited to 123 bytes."""
        if isinstance(reason, Reason):
            self._worker.metrics.count_rejected(reason, missing_landmarks)
        self._transport.send(orjson.dumps({"error": text, "reason": reason}))
        self._close(code, text)

    def _close(self, code: WSCloseCode, text: str) -> None:
        self._transport.close(code, text)
        self.end(code.value)
