"""Teaches gestures of clients' own in a thread, so that the event loop goes on meanwhile.

There is one such thread: it shares the interpreter with the event loop, and two would only take turns. What it has
taught it keeps for a while, because a client that connects again brings the same gestures.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from time import perf_counter
from typing import Any, Final, TypeVar

from hand_gesture.errors import FailedRequestError, Reason, RejectedRequestError, ServerReason
from hand_gesture.model.classifier import GestureClassifier, Prediction, Predictions
from hand_gesture.model.taught import OwnGesture, TaughtGestures, Teacher
from hand_gesture.model.taught_report import GestureReport, report_on
from hand_gesture.telemetry.metrics import Metrics
from hand_gesture.web.admission import Cancellable
from hand_gesture.web.taught_decoding import decode_gestures_of_settings, decode_gestures_request

TEACHING_SECONDS: Final = 15.0  # longest that a client waits: 16 gestures take seconds on a busy machine
MAX_WAITING: Final = 64  # for the thread; each takes it about 10 ms, at most a second
MAX_CACHED: Final = 256  # sets of gestures, of 10 kB at most

_Result = TypeVar("_Result")
Reports = dict[str, GestureReport]
Taught = Callable[["StreamGestures | None", Exception | None], None]


class Teaching:
    """What a worker does for clients that bring gestures."""

    def __init__(
        self, classifier: GestureClassifier, make_teacher: Callable[[GestureClassifier], Teacher], metrics: Metrics
    ) -> None:
        """Prepare to teach.

        Args:
            classifier: whose hidden layer the gestures are told by.
            make_teacher: makes what teaches, when it is first needed; a ValueError says why there is none.
            metrics: of this worker.
        """
        self._classifier = classifier
        self._make_teacher = functools.cache(functools.partial(make_teacher, classifier))
        self._metrics = metrics
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="teaching")
        self._waiting = 0
        self._cache: OrderedDict[tuple[str, bytes], Any] = OrderedDict()  # used in the thread only

    async def report(self, body: bytes) -> dict[str, Reports]:
        """Answer ``POST /gestures``.

        Raises:
            FailedRequestError: the body is refused, or too many wait.
        """
        return {"gestures": await self._submit(self._report, body)}

    def teach(self, settings: str, done: Taught) -> Cancellable:
        """Teach the ``gestures`` of a stream's settings.

        Args:
            settings: the message, as JSON.
            done: called once in a later turn of the event loop, with what the stream's hands are told by, or with why
                there is none: a ``RejectedRequestError`` where the gestures are refused.

        Raises:
            FailedRequestError: too many wait.
        """

        def tell(future: asyncio.Future[TaughtGestures]) -> None:
            if future.cancelled():
                return
            try:
                taught = future.result()
            except Exception as error:
                done(None, error)
            else:
                done(StreamGestures(taught, self._metrics), None)

        future = self._submit(self._teach, settings)
        future.add_done_callback(tell)
        return future

    def _submit(self, work: Callable[[Any], _Result], argument: Any) -> asyncio.Future[_Result]:
        if self._waiting >= MAX_WAITING:
            text = "The server is teaching as many gestures as it can; try again in a second."
            headers = [(b"retry-after", b"1")]
            raise FailedRequestError(HTTPStatus.SERVICE_UNAVAILABLE, ServerReason.OVERLOADED, text, headers)
        self._waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._thread, work, argument)
        future.add_done_callback(self._release)
        return future

    def _release(self, _: object) -> None:
        self._waiting -= 1

    def _report(self, body: bytes) -> Reports:
        gestures = decode_gestures_request(body, self._classifier.gestures)
        return self._cached("report", gestures, lambda: report_on(self._teacher(), gestures))

    def _teach(self, settings: str) -> TaughtGestures:
        gestures = decode_gestures_of_settings(settings, self._classifier.gestures)
        return self._cached("head", gestures, lambda: self._teacher().teach(gestures))

    def _teacher(self) -> Teacher:
        try:
            return self._make_teacher()
        except ValueError as error:
            raise RejectedRequestError(HTTPStatus.BAD_REQUEST, Reason.INVALID_REQUEST, str(error)) from None

    def _cached(self, what: str, gestures: Mapping[str, OwnGesture], make: Callable[[], _Result]) -> _Result:
        """What was made of the same gestures before, or what is made of them now."""
        key = (what, digest_of(gestures))
        if key in self._cache:
            self._cache.move_to_end(key)
            self._metrics.teachings.labels("kept").inc()
            cached: _Result = self._cache[key]
            return cached
        started = perf_counter()
        result = make()
        self._metrics.teaching_duration.observe(perf_counter() - started)
        self._metrics.teachings.labels("taught").inc()
        self._cache[key] = result
        if len(self._cache) > MAX_CACHED:
            self._cache.popitem(last=False)
        return result


class StreamGestures:
    """Gives a stream its predictions: those of its own gestures, and else the classifier's."""

    __slots__ = ("_metrics", "_taught")

    def __init__(self, taught: TaughtGestures, metrics: Metrics) -> None:
        self._taught = taught
        self._metrics = metrics

    def __call__(self, answers: Predictions, index: int) -> Prediction:
        """The prediction for one hand of a batch that was shared with other streams and requests."""
        prediction = self._taught.predict(answers, index)
        if prediction is not answers[index]:
            self._metrics.taught_predictions.inc()
        return prediction


def digest_of(gestures: Mapping[str, OwnGesture]) -> bytes:
    """A digest of all that the answers depend on."""
    digest = hashlib.sha256()
    for name, gesture in gestures.items():
        digest.update(repr((name, gesture.command, gesture.examples.shape)).encode())
        digest.update(gesture.examples.tobytes())
    return digest.digest()
