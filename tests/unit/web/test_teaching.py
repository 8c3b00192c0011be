"""Teaching in a thread, with a cache and a limited queue."""

from __future__ import annotations

import asyncio
import errno
import functools
import json
import threading
from collections.abc import Mapping
from typing import Any
from unittest.mock import Mock, call

import numpy as np
import pytest

from hand_gesture.errors import FailedRequestError, Reason, RejectedRequestError, ServerReason
from hand_gesture.model.classifier import GestureClassifier
from hand_gesture.model.taught import OwnGesture, TaughtGestures, Teacher, load_teacher
from hand_gesture.web.teaching import MAX_CACHED, MAX_WAITING, StreamGestures, Teaching
from tests.hands import ARTIFACTS, CLASSIFIER
from tests.own_gestures import gestures
from tests.unit.model.test_taught import hands_of

L = gestures("L", command="jump")["gestures"]


class Counted:
    """A teacher that counts its calls."""

    def __init__(self) -> None:
        self.teacher = load_teacher(ARTIFACTS, CLASSIFIER)
        self.count = 0
        self.gate = threading.Event()
        self.gate.set()
        teach = self.teacher.teach

        def counted(gestures: Mapping[str, OwnGesture]) -> TaughtGestures:
            self.gate.wait(60)
            self.count += 1
            return teach(gestures)

        self.teacher.teach = counted  # type: ignore[method-assign]

    def make(self, classifier: GestureClassifier) -> Teacher:
        assert classifier is CLASSIFIER
        return self.teacher


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture
def metrics() -> Mock:
    return Mock()


@pytest.fixture
def teaching(counted: Counted, metrics: Mock) -> Teaching:
    return Teaching(CLASSIFIER, counted.make, metrics)


async def taught(teaching: Teaching, own: dict[str, Any]) -> StreamGestures:
    """Gestures of a stream with these settings."""
    told: asyncio.Future[StreamGestures] = asyncio.get_running_loop().create_future()

    def tell(gestures: StreamGestures | None, error: Exception | None) -> None:
        told.set_exception(error) if gestures is None else told.set_result(gestures)  # type: ignore[arg-type]

    teaching.teach(json.dumps({"hold_ms": 150, "gestures": own}), tell)
    return await told


def renamed(number: int) -> dict[str, Any]:
    return {f"L{number}": {**L["L"], "hands": L["L"]["hands"][:1]}}


def test_a_stream_gets_its_gestures(teaching: Teaching) -> None:
    answers = CLASSIFIER.predict(hands_of("L", 5, seed=1))
    for _ in range(2):  # the second time from the cache
        own = asyncio.run(taught(teaching, L))
        predictions = [own(answers, index) for index in range(5)]
        assert {(prediction.gesture, prediction.command) for prediction in predictions} == {("L", "jump")}


def test_the_same_gestures_are_taught_once(teaching: Teaching, counted: Counted, metrics: Mock) -> None:
    async def teach_at_once() -> None:
        await asyncio.gather(*(taught(teaching, L) for _ in range(20)))

    asyncio.run(teach_at_once())
    assert counted.count == 1
    assert metrics.teachings.labels.call_args_list == [call("taught"), *[call("kept")] * 19]
    metrics.teaching_duration.observe.assert_called_once()


def test_gestures_get_a_report(teaching: Teaching, metrics: Mock) -> None:
    asyncio.run(taught(teaching, L))  # the same gestures for another purpose
    for _ in range(2):
        document = asyncio.run(teaching.report(json.dumps({"gestures": L}).encode()))
        (report,) = document["gestures"].values()
        assert [*document] == ["gestures"]
        assert report.right_left_out == report.examples == len(L["L"]["hands"])
    assert metrics.teachings.labels.call_args_list == [call("taught"), call("taught"), call("kept")]


def test_another_command_or_name_or_hand_is_another_set(teaching: Teaching, counted: Counted) -> None:
    other_hand = {"L": {**L["L"], "hands": L["L"]["hands"][1:]}}
    other_command = {"L": {**L["L"], "command": "run"}}
    other_name = {"M": L["L"]}
    for wanted in (L, other_hand, other_command, other_name):
        asyncio.run(taught(teaching, wanted))
    assert counted.count == 4


def test_cache_size_is_limited(teaching: Teaching, counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_CACHED <= 1000
    monkeypatch.setattr("hand_gesture.web.teaching.MAX_CACHED", 3)
    for number in (0, 1, 2, 0, 3):  # 1 is the one not used for longest
        asyncio.run(taught(teaching, renamed(number)))
    assert counted.count == 4
    asyncio.run(taught(teaching, renamed(0)))
    assert counted.count == 4
    asyncio.run(taught(teaching, renamed(1)))
    assert counted.count == 5


def test_requests_beyond_the_queue_are_rejected_at_once(teaching: Teaching, counted: Counted) -> None:
    async def overload() -> list[Any]:
        counted.gate.clear()
        tasks = [asyncio.create_task(taught(teaching, renamed(number))) for number in range(MAX_WAITING + 10)]
        await asyncio.sleep(0)
        refused = [task for task in tasks if task.done()]
        counted.gate.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        return [task.exception() for task in refused]

    refusals = asyncio.run(overload())
    assert len(refusals) == 10
    assert len(asyncio.run(overload())) == 10  # all places were free again
    for refusal in refusals:
        assert isinstance(refusal, FailedRequestError)
        assert (refusal.status, refusal.reason) == (503, ServerReason.OVERLOADED)
        assert refusal.headers == [(b"retry-after", b"1")]
        assert "try again in a second" in str(refusal)


def test_unsupported_classifiers_are_reported() -> None:
    def make(_classifier: GestureClassifier) -> Teacher:
        raise ValueError("Gestures can be taught to neural networks only.")

    with pytest.raises(RejectedRequestError, match="neural networks only") as rejected:
        asyncio.run(taught(Teaching(CLASSIFIER, make, Mock()), L))
    assert (rejected.value.status, rejected.value.reason) == (400, Reason.INVALID_REQUEST)


def test_stored_hands_that_cannot_be_read_now_are_read_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    teaching = Teaching(CLASSIFIER, functools.partial(load_teacher, ARTIFACTS), Mock())
    busy = Mock(side_effect=OSError(errno.EMFILE, "Too many open files"))
    with monkeypatch.context() as patch:
        patch.setattr("hand_gesture.model.taught.read_stored_hands", busy)
        with pytest.raises(OSError, match="Too many open files"):  # not a RejectedRequestError, which would be final
            asyncio.run(taught(teaching, L))
    asyncio.run(taught(teaching, L))


def test_cancelled_requests_free_their_place(teaching: Teaching, counted: Counted) -> None:
    async def cancel() -> None:
        counted.gate.clear()
        settings = [json.dumps({"gestures": renamed(number)}) for number in range(MAX_WAITING)]
        lessons = [teaching.teach(text, lambda _, __: pytest.fail("nobody waits for it")) for text in settings]
        for lesson in lessons:
            lesson.cancel()
        await asyncio.sleep(0)
        counted.gate.set()
        await taught(teaching, L)

    asyncio.run(cancel())
    assert counted.count <= 2  # the first may have begun


def test_hands_that_get_a_taught_gesture_are_counted(counted: Counted) -> None:
    metrics = Mock()
    own = asyncio.run(taught(Teaching(CLASSIFIER, counted.make, metrics), L))
    answers = CLASSIFIER.predict(np.concatenate([hands_of("L", 3, seed=1), hands_of("pinky", 2, seed=1)]))
    assert [own(answers, place).gesture for place in range(3)] == ["L"] * 3
    assert [own(answers, place) for place in (3, 4)] == answers[3:]
    assert metrics.taught_predictions.inc.call_count == 3
