from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from unittest.mock import Mock

import pytest

from hand_gesture.bento.watchdog import Watchdog
from hand_gesture.errors import Reason, RejectedRequestError
from hand_gesture.model.batch_queue import QueueTimeoutError
from hand_gesture.settings import Settings
from hand_gesture.web.decoding import decode_hand_request
from hand_gesture.web.prediction_request import PredictionRequest, Route
from hand_gesture.web.responses import CLOSE, Answer
from hand_gesture.web.worker import Worker
from tests.hands import LIKE
from tests.unit.web.test_stream import PREDICTION, Model

BODY = json.dumps({"landmarks": LIKE}).encode()
ROUTE = Route("/predict", decode_hand_request, 65_536, is_for_one_hand=True, seconds=2)


class Figures:
    """Recorded metrics."""

    def __init__(self) -> None:
        self.being_answered = 0
        self.ended: list[int] = []
        self.rejected: list[str] = []

    def begin_request(self) -> None:
        self.being_answered += 1

    def end_request(self, _: str, status: int, __: float) -> None:
        self.being_answered -= 1
        self.ended.append(status)

    def count_rejected(self, reason: str, _: int = 0) -> None:
        self.rejected.append(reason)


class Client:
    """A client."""

    def __init__(self) -> None:
        settings = Settings(request_timeout_seconds=2)
        self.model = Model(settings)
        self.figures = Figures()
        self.answers: list[Answer | None] = []
        worker = Worker(settings, self.figures, self.model, Unwatched(1), Mock())  # type: ignore[arg-type]
        self.request = PredictionRequest(worker, ROUTE, self.answers.append)

    def told(self) -> tuple[int, Any, Sequence[tuple[bytes, bytes]]]:
        """The only response: status, reason, headers."""
        (answer,) = self.answers
        assert answer is not None
        assert self.figures.ended == [answer.status]
        assert self.figures.being_answered == 0
        return answer.status, json.loads(answer.body).get("reason"), answer.headers


class Unwatched(Watchdog):
    """A watchdog without a timer; tests set the time."""

    def add(self, watched: Any) -> None:
        """Nothing."""


def test_a_hand_gets_its_answer_once() -> None:
    client = Client()
    client.request.receive(BODY)
    (call,) = client.model.calls
    call.done([PREDICTION], None)
    client.request.disconnect()
    client.request.fail(KeyError())
    assert client.told() == (200, None, ())


@pytest.mark.parametrize("error", [KeyError("a bug"), TimeoutError(), RuntimeError("the model's call was cancelled")])
def test_unexpected_errors_get_a_500_and_are_logged(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    client = Client()
    client.request.fail(error)  # before the body has come
    assert client.told() == (500, "model_failed", ())
    (record,) = caplog.records
    assert (record.levelname, record.exc_info and record.exc_info[1]) == ("ERROR", error)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (QueueTimeoutError(), (503, "overloaded", [(b"retry-after", b"1")])),
        (KeyError("a bug"), (500, "model_failed", ())),
        (None, (500, "model_failed", ())),
    ],
)
def test_errors_of_the_call(error: Exception | None, told: Any) -> None:
    client = Client()
    client.request.receive(BODY)
    client.model.calls[0].done(None, error)
    assert client.told() == told


def test_only_late_requests_get_a_timeout() -> None:
    client = Client()
    client.request.check(client.request._started + 1.9)
    assert client.answers == []
    client.request.check(client.request._started + 2.1)
    assert client.told() == (408, "body_too_slow", [CLOSE])
    assert client.figures.rejected == ["body_too_slow"]
    late = Client()
    late.request.receive(BODY)
    late.request.check(late.request._started + 2.1)
    assert late.told() == (504, "timeout", ())
    assert late.model.calls[0].is_cancelled


def test_disconnected_clients_are_counted_but_not_classified() -> None:
    client = Client()
    client.request.receive(BODY)
    client.request.disconnect()
    assert client.answers == [None]
    assert client.figures.ended == [499]
    assert client.model.calls[0].is_cancelled


def test_invalid_bodies_and_overload() -> None:
    client = Client()
    client.request.receive(b"{")
    assert client.told()[:2] == (400, "invalid_json")
    refused = Client()
    refused.model.has_room = False
    refused.request.receive(BODY)
    assert refused.told() == (503, "overloaded", [(b"retry-after", b"1")])


def test_errors_may_quote_lone_surrogates() -> None:
    client = Client()
    client.request.fail(RejectedRequestError(400, Reason.INVALID_REQUEST, "Unknown field \ud800."))
    assert client.told()[0] == 400


class Counted(Figures):
    """Recorded metrics, with routes, seconds and missing landmarks."""

    def __init__(self) -> None:
        super().__init__()
        self.routes: list[str] = []
        self.seconds: list[float] = []
        self.missing_landmarks = 0

    def end_request(self, route: str, status: int, seconds: float) -> None:
        super().end_request(route, status, seconds)
        self.routes.append(route)
        self.seconds.append(seconds)

    def count_rejected(self, reason: str, missing_landmarks: int = 0) -> None:
        super().count_rejected(reason)
        self.missing_landmarks += missing_landmarks


class Watching(Watchdog):
    """A watchdog that records what it watches."""

    def __init__(self) -> None:
        super().__init__(1)
        self.seen: list[Any] = []

    def add(self, watched: Any) -> None:
        self.seen.append(watched)

    def discard(self, watched: Any) -> None:
        self.seen.remove(watched)


def begin(route: Route) -> tuple[PredictionRequest, Model, Counted, Watching, list[Answer | None]]:
    settings = Settings(request_timeout_seconds=2)
    model, figures, watch = Model(settings), Counted(), Watching()
    answers: list[Answer | None] = []
    worker = Worker(settings, figures, model, watch, Mock())  # type: ignore[arg-type]
    return PredictionRequest(worker, route, answers.append), model, figures, watch, answers


def test_a_request_is_watched_until_its_response_and_counted_by_route() -> None:
    asked, model, figures, watch, _ = begin(ROUTE)
    assert watch.seen == [asked]
    asked.receive(BODY)
    (call,) = model.calls
    assert call.hands.tolist() == decode_hand_request(BODY).tolist()
    call.done([PREDICTION], None)
    assert watch.seen == []
    assert figures.routes == ["/predict"]
    assert 0 <= figures.seconds[0] < 60  # since its beginning, which is not that of the machine


def test_a_route_for_several_hands_answers_with_a_list() -> None:
    for is_for_one_hand, expected in ((True, dict), (False, list)):
        asked, model, _, _, answers = begin(Route("/predict", decode_hand_request, 65_536, is_for_one_hand, 2))
        asked.receive(BODY)
        model.calls[0].done([PREDICTION], None)
        (answer,) = answers
        assert answer is not None
        assert isinstance(json.loads(answer.body), expected)


def test_missing_points_are_counted() -> None:
    asked, _, figures, _, _ = begin(ROUTE)
    asked.receive(json.dumps({"landmarks": LIKE[:18]}).encode())
    assert (figures.rejected, figures.missing_landmarks) == (["missing_landmarks"], 3)


def test_a_model_without_results_is_an_error() -> None:
    asked, model, figures, _, _ = begin(ROUTE)
    asked.receive(BODY)
    model.calls[0].done(None, None)
    assert figures.ended == [500]


def test_a_route_has_its_own_limit_for_body_and_answer(caplog: pytest.LogCaptureFixture) -> None:
    slow = Route("/predict", decode_hand_request, 65_536, is_for_one_hand=True, seconds=30)
    asked, _, figures, _, answers = begin(slow)
    asked.receive(BODY)
    asked.check(asked._started + 29)
    assert answers == []
    asked.check(asked._started + 30.1)
    assert figures.ended == [504]
    asked, _, figures, _, answers = begin(slow)
    asked.check(asked._started + 29)
    assert answers == []
    asked.check(asked._started + 30.1)
    (answer,) = answers
    assert answer is not None
    assert answer.status == 408
    assert "within 30 seconds" in json.loads(answer.body)["error"]
    asked, *_ = begin(slow)
    asked.fail(RuntimeError("broken"))
    assert "/predict" in caplog.records[-1].getMessage()
