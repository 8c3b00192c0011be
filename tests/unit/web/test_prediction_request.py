from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from unittest.mock import Mock

import pytest

from hand_gesture.bento.watchdog import Watchdog
from hand_gesture.errors import Reason, RejectedRequestError
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
    """What is counted."""

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
    """Whoever asks."""

    def __init__(self) -> None:
        settings = Settings(request_timeout_seconds=2)
        self.model = Model(settings)
        self.figures = Figures()
        self.answers: list[Answer | None] = []
        worker = Worker(settings, self.figures, self.model, Unwatched(1), Mock())  # type: ignore[arg-type]
        self.request = PredictionRequest(worker, ROUTE, self.answers.append)

    def told(self) -> tuple[int, Any, Sequence[tuple[bytes, bytes]]]:
        """The only answer: status, reason, headers."""
        (answer,) = self.answers
        assert answer is not None
        assert self.figures.ended == [answer.status]
        assert self.figures.being_answered == 0
        return answer.status, json.loads(answer.body).get("reason"), answer.headers


class Unwatched(Watchdog):
    """Has no timer; a test says how late it is."""

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
def test_an_error_that_is_nobodys_gets_a_500_and_a_line_in_the_log(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client()
    client.request.fail(error)  # before the body has come
    assert client.told() == (500, "model_failed", ())
    (record,) = caplog.records
    assert (record.levelname, record.exc_info and record.exc_info[1]) == ("ERROR", error)


def test_only_what_is_late_is_told_so() -> None:
    client = Client()
    client.request.check(client.request._started + 1.9)
    assert client.answers == []
    client.request.check(client.request._started + 2)
    assert client.told() == (408, "body_too_slow", [CLOSE])
    assert client.figures.rejected == ["body_too_slow"]
    late = Client()
    late.request.receive(BODY)
    late.request.check(late.request._started + 2)
    assert late.told() == (504, "timeout", ())
    assert late.model.calls[0].is_cancelled


def test_who_has_gone_is_counted_and_not_classified() -> None:
    client = Client()
    client.request.receive(BODY)
    client.request.disconnect()
    assert client.answers == [None]
    assert client.figures.ended == [499]
    assert client.model.calls[0].is_cancelled


def test_bad_bodies_and_a_lack_of_room() -> None:
    client = Client()
    client.request.receive(b"{")
    assert client.told()[:2] == (400, "invalid_json")
    refused = Client()
    refused.model.has_room = False
    refused.request.receive(BODY)
    assert refused.told() == (503, "overloaded", [(b"retry-after", b"1")])


def test_an_error_may_quote_what_utf_8_has_not() -> None:
    client = Client()
    client.request.fail(RejectedRequestError(400, Reason.INVALID_REQUEST, "Unknown field \ud800."))
    assert client.told()[0] == 400
