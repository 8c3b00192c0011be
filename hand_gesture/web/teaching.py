"""Teaches custom gestures in a thread, so that the event loop is not blocked.

There is one thread, because of the GIL. Results are cached, because clients send the same gestures when they reconnect.
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

TEACHING_SECONDS: Final = 15.0  # deadline; 16 gestures take seconds on a busy machine
MAX_WAITING: Final = 64  # clients; each takes about 10 ms, at most one second
MAX_CACHED: Final = 256  # results of up to 10 kB

_Result = TypeVar("_Result")
Reports = dict[str, GestureReport]
Taught = Callable[["StreamGestures | None", Exception | None], None]


class Teaching:
    """Teaches gestures and reports on them, for one worker."""

    def __init__(
        self, classifier: GestureClassifier, make_teacher: Callable[[GestureClassifier], Teacher], metrics: Metrics
    ) -> None:
        """Start without loading the teacher.

        Args:
            classifier: its hidden layer gives the features of the gestures.
            make_teacher: makes the teacher when it is first needed; raises ValueError if the classifier has none.
            metrics: of the worker.
        """
        self._classifier = classifier
        self._make_teacher = functools.cache(functools.partial(make_teacher, classifier))
        self._metrics = metrics
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="teaching")
        self._waiting = 0
        self._cache: OrderedDict[tuple[str, bytes], Any] = OrderedDict()  # only used in the thread

    async def report(self, body: bytes) -> dict[str, Reports]:
        """Answer ``POST /gestures``.

        Raises:
            FailedRequestError: the body is invalid, or too many clients are waiting.
        """
        return {"gestures": await self._submit(self._report, body)}

    def teach(self, settings: str, done: Taught) -> Cancellable:
        """Teach the ``gestures`` of a stream's settings.

        Args:
            settings: the settings message.
            done: called once, in a later iteration of the event loop, with the stream's gestures, or with an error: a
                ``RejectedRequestError`` if the gestures are invalid.

        Raises:
            FailedRequestError: too many clients are waiting.
        """

        def on_done(future: asyncio.Future[TaughtGestures]) -> None:
            if future.cancelled():
                return
            try:
                taught = future.result()
            except Exception as error:
                done(None, error)
            else:
                done(StreamGestures(taught, self._metrics), None)

        future = self._submit(self._teach, settings)
        future.add_done_callback(on_done)
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

    def _cached(self, kind: str, gestures: Mapping[str, OwnGesture], make: Callable[[], _Result]) -> _Result:
        """The cached result for the same gestures, or a new one."""
        key = (kind, digest_of(gestures))
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
    """Replaces the classifier's prediction where a hand shows one of the stream's custom gestures."""

    __slots__ = ("_metrics", "_taught")

    def __init__(self, taught: TaughtGestures, metrics: Metrics) -> None:
        self._taught = taught
        self._metrics = metrics

    def __call__(self, answers: Predictions, index: int) -> Prediction:
        """The prediction for the hand at ``index`` of a batch."""
        prediction = self._taught.predict(answers, index)
        if prediction is not answers[index]:
            self._metrics.taught_predictions.inc()
        return prediction


def digest_of(gestures: Mapping[str, OwnGesture]) -> bytes:
    """Digest of names, commands and examples, as the key of the cache."""
    digest = hashlib.sha256()
    for name, gesture in gestures.items():
        digest.update(repr((name, gesture.command, gesture.examples.shape)).encode())
        digest.update(gesture.examples.tobytes())
    return digest.digest()
