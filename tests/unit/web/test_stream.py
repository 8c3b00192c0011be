"""The stream protocol without sockets: messages and time in, answers and close codes out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import numpy as np
import orjson
import pytest
from numpy.typing import NDArray
from picows import WSCloseCode

from hand_gesture.bento.watchdog import Watchdog
from hand_gesture.errors import FailedRequestError, Reason, RejectedRequestError, ServerReason
from hand_gesture.model.batch_queue import Done, QueueTimeoutError, Refine
from hand_gesture.model.classifier import Prediction
from hand_gesture.settings import Settings
from hand_gesture.telemetry.metrics import Metrics
from hand_gesture.web.admission import OVERLOAD_PAUSE_SECONDS, AdmissionControl
from hand_gesture.web.stream import MAX_WAITING_FRAMES, Stream
from hand_gesture.web.teaching import TEACHING_SECONDS, Taught
from hand_gesture.web.worker import Worker
from tests.hands import LIKE, as_frame

FRAME = as_frame(LIKE)
PREDICTION = Prediction("like", 0.98, "jump")
HEART = Prediction("heart", 0.9, "kiss")
WITH_GESTURES = json.dumps({"hold_ms": 0, "gestures": {"heart": {"hands": [LIKE], "command": "kiss"}}})


@dataclass
class Call:
    """Hands in the queue."""

    hands: NDArray[np.float64]
    done: Done
    refine: Refine | None = None
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True

    def answer(self, *given: Prediction) -> None:
        if not self.is_cancelled:
            answers = given or [PREDICTION] * len(self.hands)
            if self.refine is not None:
                answers = [self.refine(answers, place) for place in range(len(answers))]
            self.done(answers, None)

    def fail(self, error: Exception) -> None:
        self.done(None, error)


class Model(AdmissionControl):
    """A queue that is controlled by the test."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.calls: list[Call] = []
        self.has_room = True

    def submit(self, route: str, hands: NDArray[np.float64], done: Done, refine: Refine | None = None) -> Call:
        assert route == "/predict"
        self.calls.append(Call(hands, done, refine))
        return self.calls[-1]

    def check_capacity(self) -> None:
        if not self.has_room:
            raise self.explain(QueueTimeoutError(), "")


@dataclass
class Lesson:
    """Gestures in the teaching queue."""

    settings: str
    done: Taught
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True

    def succeed(self) -> None:
        self.done(lambda _answers, _index: HEART, None)  # type: ignore[arg-type]

    def fail(self, error: Exception) -> None:
        self.done(None, error)


@dataclass
class School:
    """Teaching that is controlled by the test."""

    lessons: list[Lesson] = field(default_factory=list)
    has_room: bool = True

    def teach(self, settings: str, done: Taught) -> Lesson:
        if not self.has_room:
            raise FailedRequestError(503, ServerReason.OVERLOADED, "Try again in a second.")
        self.lessons.append(Lesson(settings, done))
        return self.lessons[-1]


@dataclass
class Figures:
    """Recorded metrics."""

    open: int = 0
    closed: list[int] = field(default_factory=list)
    answers: list[tuple[int, float]] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    missing_landmarks: int = 0

    def open_stream(self) -> int:
        self.open += 1
        return self.open

    def close_stream(self, code: int) -> None:
        self.open -= 1
        self.closed.append(code)

    def count_answer(self, route: str, status: int, seconds: float, hands: int | None = None) -> None:
        assert route == "/stream"
        assert (hands is not None) == (status == HTTPStatus.OK)
        self.answers.append((status, seconds))

    def count_change(self, gesture: str) -> None:
        self.changes.append(gesture)

    def count_rejected(self, reason: str, missing_landmarks: int = 0) -> None:
        self.rejected.append(reason)
        self.missing_landmarks += missing_landmarks


class Client:
    """A client that controls the time."""

    def __init__(self, headers: Sequence[tuple[bytes, bytes]] = (), **limits: Any) -> None:
        self.settings = Settings(**limits)
        self.model = Model(self.settings)
        self.figures = Figures()
        self.school = School()
        self.now = 1000.0
        self.sent: list[Any] = []
        self.closed: tuple[WSCloseCode, str] | None = None
        self.is_read = True
        worker = Worker(self.settings, self.figures, self.model, Watchdog(1), self._teaching)  # type: ignore[arg-type]
        self.stream = Stream(worker, headers, self, lambda: self.now)
        self.stream.begin()

    def _teaching(self) -> School:
        return self.school

    def send(self, text: bytes) -> None:
        assert self.closed is None
        self.sent.append(orjson.loads(text))

    def close(self, code: WSCloseCode, reason: str) -> None:
        assert self.closed is None
        self.closed = (code, reason)

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True

    def after(self, seconds: float) -> None:
        self.now += seconds
        self.stream.check()

    def answers(self) -> list[Any]:
        """Answers since the previous call."""
        sent, self.sent = self.sent, []
        return [answer.get("reason") or answer["gesture"] if isinstance(answer, dict) else answer for answer in sent]


def streaming(**limits: Any) -> Client:
    client = Client(**limits)
    client.stream.receive("{}")
    return client


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_frames_are_answered_in_order_with_one_in_flight() -> None:
    client = streaming()
    for number in range(3):
        client.stream.receive(as_frame([[number / 10, 0.5, 0]] * 21))
    assert len(client.model.calls) == 1
    for number, gesture in enumerate(["a", "b", "c"]):
        assert len(client.model.calls) == number + 1
        assert client.model.calls[number].hands[0, 0] == pytest.approx(number / 10)
        client.model.calls[number].answer(Prediction(gesture, 0.9, None))
    assert client.answers() == ["a", "b", "c"]
    assert [status for status, _ in client.figures.answers] == [200] * 3


def test_the_hands_of_a_frame_are_one_call_and_one_answer() -> None:
    client = streaming()
    client.stream.receive(FRAME * 3)
    (call,) = client.model.calls
    assert call.hands.shape == (3, 63)
    call.answer()
    (answer,) = client.sent
    assert [hand["gesture"] for hand in answer] == ["like"] * 3


def test_bad_frames_are_answered_at_once_and_keep_their_place() -> None:
    client = streaming()
    for message in (FRAME, b"bad", "{", FRAME, b""):
        client.stream.receive(message)
    assert client.answers() == []
    client.model.calls[0].answer()
    assert client.answers() == ["like", "malformed_landmarks", "invalid_json"]
    client.model.calls[1].answer()
    assert client.answers() == ["like", "none"]  # a frame without hands needs no model call
    assert client.figures.rejected == ["malformed_landmarks", "invalid_json"]


def test_reading_pauses_while_the_frame_queue_is_full() -> None:
    client = streaming()
    for _ in range(MAX_WAITING_FRAMES):
        client.stream.receive(FRAME)
        assert client.is_read
    client.stream.receive(FRAME)
    assert not client.is_read
    client.stream.receive(FRAME)  # it was read already
    client.model.calls[0].answer()
    assert not client.is_read
    client.model.calls[1].answer()
    assert client.is_read


def test_writing_pauses_for_a_client_that_does_not_read() -> None:
    client = streaming()
    client.stream.receive(FRAME)
    client.stream.pause_writing()
    assert not client.is_read
    for _ in range(3):
        client.stream.receive(FRAME)
    client.model.calls[0].answer()
    assert len(client.model.calls) == 1
    assert not client.is_read
    client.after(10_000)  # aborting is the connection's task
    assert client.closed is None
    client.stream.resume_writing()
    assert client.is_read
    assert len(client.model.calls) == 2


def test_a_frame_that_times_out_does_not_block_the_next() -> None:
    client = streaming(request_timeout_seconds=2)
    client.stream.receive(FRAME)
    client.stream.receive(FRAME)
    client.after(1.9)
    assert client.answers() == []
    client.after(0.1)
    assert client.answers() == ["timeout"]
    late, second = client.model.calls
    assert late.is_cancelled
    late.answer()
    client.after(1.9)  # its timeout starts when it is processed
    assert client.answers() == []
    second.answer()
    assert client.answers() == ["like"]
    assert [status for status, _ in client.figures.answers] == [504, 200]
    client.after(100)
    assert client.closed is None


@pytest.mark.parametrize("by_queue", [False, True])
def test_after_overload_the_next_frame_is_delayed(by_queue: bool) -> None:
    client = streaming()
    client.model.has_room = by_queue
    client.stream.receive(FRAME)
    if by_queue:
        client.model.calls[0].fail(QueueTimeoutError())
    assert client.answers() == ["overloaded"]
    client.model.has_room = True
    client.stream.receive(FRAME)
    client.after(OVERLOAD_PAUSE_SECONDS * 0.75)
    assert len(client.model.calls) == by_queue
    client.after(OVERLOAD_PAUSE_SECONDS * 0.25)
    client.model.calls[-1].answer()
    assert client.answers() == ["like"]


def test_a_model_error_is_reported_and_the_stream_continues() -> None:
    client = streaming()
    client.stream.receive(FRAME)
    client.stream.receive(FRAME)
    client.model.calls[0].fail(RuntimeError("broken"))
    client.model.calls[1].answer()
    assert client.answers() == ["model_failed", "like"]


def test_a_frame_whose_answer_cannot_be_made_is_reported_and_the_stream_continues() -> None:
    client = streaming()
    client.stream.receive(FRAME)
    client.stream.receive(FRAME)
    client.model.calls[0].done([], None)  # no prediction for the hand
    assert client.answers() == ["model_failed"]
    client.model.calls[1].answer()
    assert client.answers() == ["like"]


def test_only_a_stream_without_frames_is_idle() -> None:
    client = streaming(stream_idle_seconds=10)
    for _ in range(20):
        client.after(9)
        client.stream.receive(FRAME)
        client.model.calls[-1].answer()
    client.stream.receive(b"bad")  # counts as one
    client.after(9.9)
    assert client.closed is None
    client.after(0.1)
    assert client.closed == (WSCloseCode.GOING_AWAY, "No frame for 10 seconds.")
    assert client.sent[-1] == {"error": "No frame for 10 seconds.", "reason": "body_too_slow"}
    assert client.figures.closed == [1001]


def test_settings_must_come_in_time() -> None:
    client = Client(request_timeout_seconds=2)
    client.after(14.9)
    assert client.closed is None
    client.after(0.1)
    assert client.closed == (WSCloseCode.GOING_AWAY, "The settings did not arrive within 15 seconds.")
    assert client.answers() == client.figures.rejected == ["body_too_slow"]


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        (FRAME, WSCloseCode.UNSUPPORTED_DATA, "invalid_request"),
        ("{", WSCloseCode.POLICY_VIOLATION, "invalid_json"),
        ('{"hold_ms": -1}', WSCloseCode.POLICY_VIOLATION, "invalid_request"),
        ('{"key": "wrong"}', WSCloseCode.POLICY_VIOLATION, "unauthorized"),
        ("{}", WSCloseCode.POLICY_VIOLATION, "unauthorized"),
    ],
)
def test_invalid_settings_close_the_stream(message: bytes | str, code: WSCloseCode, reason: str) -> None:
    client = Client(api_key=["secret"])
    client.stream.receive(message)
    client.stream.receive(FRAME)  # too late
    assert client.closed is not None
    assert client.closed[0] == code
    assert_is_sentence(client.closed[1])
    assert client.sent == [{"error": client.closed[1], "reason": reason}]
    assert client.model.calls == []
    assert client.figures.closed == [code.value]
    assert client.figures.rejected == [reason]
    assert client.figures.missing_landmarks == 0


@pytest.mark.parametrize(
    ("headers", "message"), [((), '{"key": "secret"}'), ([(b"authorization", b"Bearer secret")], "{}")]
)
def test_a_key_may_come_in_the_request_or_the_settings(headers: Any, message: str) -> None:
    client = Client(headers, api_key=["secret"])
    client.stream.receive(message)
    client.stream.receive(FRAME)
    assert len(client.model.calls) == 1


def test_number_of_streams_is_limited() -> None:
    first = Client(max_streams=1)
    first.figures.open = 1
    first.stream.begin()
    assert first.closed is not None
    assert first.closed[0] == WSCloseCode.TRY_AGAIN_LATER
    assert_is_sentence(first.closed[1])
    assert first.sent == [{"error": first.closed[1], "reason": "overloaded"}]
    assert first.figures.rejected == []  # there was nothing wrong with it


def test_shutdown_answers_received_frames() -> None:
    client = streaming()
    for _ in range(3):
        client.stream.receive(FRAME)
    client.stream.shutdown()
    client.stream.receive(FRAME)  # later
    for number in range(3):
        assert client.closed is None
        client.model.calls[number].answer()
    assert client.answers() == ["like"] * 3
    assert client.closed == (WSCloseCode.SERVICE_RESTART, "The service is going down; connect again.")
    assert client.figures.closed == [1012]


def test_shutdown_closes_idle_streams_at_once() -> None:
    for client in (Client(), streaming()):
        client.stream.shutdown()
        assert client.closed is not None
        assert client.closed[0] == WSCloseCode.SERVICE_RESTART


def test_shutdown_closes_a_delayed_stream_after_its_delay() -> None:
    client = streaming()
    client.model.has_room = False
    client.stream.receive(FRAME)
    client.stream.receive(FRAME)
    client.stream.shutdown()
    assert client.closed is None
    client.after(OVERLOAD_PAUSE_SECONDS)
    client.after(OVERLOAD_PAUSE_SECONDS)
    assert client.answers() == ["overloaded", "overloaded"]
    assert client.closed is not None


def test_a_disconnected_client_is_counted_once() -> None:
    client = streaming()
    client.stream.receive(FRAME)
    client.stream.receive(FRAME)
    client.stream.end(1001)
    client.stream.end(1006)
    assert client.model.calls[0].is_cancelled
    client.stream.receive(FRAME)
    client.stream.resume_writing()
    client.stream.shutdown()
    client.after(10_000)
    assert client.sent == []
    assert len(client.model.calls) == 1
    assert (client.figures.open, client.figures.closed) == (0, [1001])


def test_duration_of_a_frame_starts_when_it_is_processed() -> None:
    client = streaming()
    client.stream.receive(json.dumps({"hands": [LIKE]}))
    client.now += 0.25
    client.model.calls[0].answer()
    assert client.figures.answers == [(200, 0.25)]
    (answer,) = client.sent
    assert isinstance(answer, list)


def test_frames_wait_until_the_gestures_of_the_settings_are_taught() -> None:
    client = Client()
    client.stream.receive(WITH_GESTURES)
    (lesson,) = client.school.lessons
    assert lesson.settings == WITH_GESTURES
    for _ in range(MAX_WAITING_FRAMES - 1):
        client.stream.receive(FRAME)
        assert client.is_read
    client.stream.receive(FRAME)
    assert not client.is_read
    assert client.model.calls == []
    lesson.succeed()
    assert client.is_read
    for call in client.model.calls:
        call.answer()
    assert [(answer["gesture"], answer["held"], answer["command"]) for answer in client.sent] == [
        ("heart", "heart", "kiss")
    ] * MAX_WAITING_FRAMES


def test_a_stream_without_gestures_asks_for_nothing_of_its_own() -> None:
    for settings in ("{}", '{"gestures": null}'):
        client = Client()
        client.stream.receive(settings)
        client.stream.receive(FRAME)
        assert client.school.lessons == []
        assert client.model.calls[0].refine is None


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (
            RejectedRequestError(400, Reason.MISSING_LANDMARKS, "Example 1 of heart: …", missing_landmarks=3),
            WSCloseCode.POLICY_VIOLATION,
            "missing_landmarks",
        ),
        (FailedRequestError(503, ServerReason.OVERLOADED, "Later."), WSCloseCode.TRY_AGAIN_LATER, "overloaded"),
        (RuntimeError("broken"), WSCloseCode.INTERNAL_ERROR, "model_failed"),
    ],
)
def test_unusable_gestures_close_the_stream(error: Exception, code: WSCloseCode, reason: str) -> None:
    client = Client()
    client.stream.receive(WITH_GESTURES)
    client.stream.receive(FRAME)
    client.school.lessons[0].fail(error)
    assert client.closed is not None
    assert client.closed[0] == code
    assert client.answers() == [reason]
    assert client.figures.closed == [code.value]
    assert client.figures.missing_landmarks == getattr(error, "missing_landmarks", 0)
    assert client.model.calls == []


def test_a_stream_whose_gestures_are_rejected_for_overload_may_retry() -> None:
    client = Client()
    client.school.has_room = False
    client.stream.receive(WITH_GESTURES)
    assert client.closed == (WSCloseCode.TRY_AGAIN_LATER, "Try again in a second.")


def test_gestures_require_a_valid_key() -> None:
    client = Client(api_key=["secret"])
    client.stream.receive(WITH_GESTURES)
    assert client.school.lessons == []
    assert client.closed is not None


def test_teaching_has_its_own_longer_timeout() -> None:
    client = Client(request_timeout_seconds=2)
    client.stream.receive(WITH_GESTURES)
    client.after(TEACHING_SECONDS - 0.1)
    assert client.closed is None
    client.now = 1000.0 + TEACHING_SECONDS
    client.stream.check()
    assert client.closed is not None
    assert client.closed[0] == WSCloseCode.TRY_AGAIN_LATER
    assert_is_sentence(client.closed[1])
    assert client.sent == [{"error": client.closed[1], "reason": "overloaded"}]
    assert client.school.lessons[0].is_cancelled
    client.school.lessons[0].succeed()  # it was on its way
    client.stream.receive(FRAME)
    assert client.model.calls == []


def test_teaching_is_cancelled_when_the_client_disconnects() -> None:
    client = Client()
    client.stream.receive(WITH_GESTURES)
    client.stream.end(1001)
    assert client.school.lessons[0].is_cancelled


def test_shutdown_waits_for_teaching() -> None:
    client = Client()
    client.stream.receive(WITH_GESTURES)
    client.stream.receive(FRAME)
    client.stream.shutdown()
    assert client.closed is None
    client.school.lessons[0].succeed()
    client.model.calls[0].answer()
    assert client.answers() == ["heart"]
    assert client.closed is not None
    assert client.closed[0] == WSCloseCode.SERVICE_RESTART


def test_metrics_of_streams() -> None:
    assert {"open_stream", "close_stream", "count_answer", "count_rejected"} <= {*dir(Metrics)}


def assert_is_sentence(text: str) -> None:
    assert text[0].isupper() or text.startswith("hold_ms ")  # a field's name stays as it is
    assert text.endswith(".")
    assert text != text.upper()


def test_frames_have_the_size_that_the_settings_say() -> None:
    client = Client()
    client.stream.receive('{"image_size": [200, 100]}')
    client.stream.receive(FRAME)
    x, y, *_ = LIKE[0]
    assert client.model.calls[0].hands[0, :2] == pytest.approx([200 * x, 100 * y])


def test_missing_points_of_a_frame_are_counted() -> None:
    client = streaming()
    client.stream.receive(json.dumps({"landmarks": LIKE[:19]}))
    assert client.answers() == client.figures.rejected == ["missing_landmarks"]
    assert client.figures.missing_landmarks == 2


def test_held_gesture_depends_on_arrival_times() -> None:
    client = Client()
    client.stream.receive('{"hold_ms": 250}')
    for _ in range(3):
        client.now += 0.125
        client.stream.receive(FRAME)
        client.model.calls[-1].answer()
    assert [answer["held"] for answer in client.sent] == ["none", "none", "like"]
    assert client.figures.changes == ["like"]


@pytest.mark.parametrize("settings", ["{}", WITH_GESTURES])
def test_failures_are_logged_with_the_route(settings: str, caplog: pytest.LogCaptureFixture) -> None:
    client = Client()
    client.stream.receive(settings)
    if client.school.lessons:
        client.school.lessons[0].fail(RuntimeError("broken"))
    else:
        client.stream.receive(FRAME)
        client.model.calls[0].fail(RuntimeError("broken"))
        client.model.submit = None  # type: ignore[assignment,method-assign]
        client.stream.receive(FRAME)
        assert client.answers() == ["model_failed"] * 2
    assert len(caplog.records) == (1 if client.school.lessons else 2)
    for record in caplog.records:
        assert "/stream" in record.getMessage()
