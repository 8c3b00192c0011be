"""All Prometheus metrics of the service.

Created on first use in a worker, when the folder of the shared metric files is known.
"""

from __future__ import annotations

import asyncio
import bisect
import collections
import functools
import logging
import math
from collections.abc import Sequence
from functools import cache
from typing import Final

import psutil
from prometheus_client import Counter, Gauge, Histogram

from hand_gesture.errors import Reason
from hand_gesture.model.classifier import Prediction
from hand_gesture.telemetry.exposition import shared_by_workers

# A child of BentoML's logger, to inherit its level and format
logger = logging.getLogger("bentoml.service.hand_gesture.metrics")

_INFERENCE_BUCKETS: Final = (
    *(0.00005, 0.0001, 0.00015, 0.0002, 0.0003, 0.0005, 0.00075),
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25),
)
_REQUEST_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.04, 0.06, 0.1, 0.15, 0.25, 0.5, 1, 2.5)
_TEACHING_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
_BATCH_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_CONFIDENCE_BUCKETS: Final = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
MODEL_CALLS_SECONDS: Final = 0.01  # for which model calls are collected before they are recorded
# Close codes of RFC 6455 and the IANA registry that can occur
_CLOSE_CODES: Final = frozenset({1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1011, 1012, 1013})


class Metrics:
    """The metrics of one worker. Base units: seconds, bytes; 100 percent of CPU is one core."""

    def __init__(self) -> None:
        self.inference_duration = Histogram(
            "hand_gesture_inference_duration_seconds",
            "Duration of one model call, which classifies a batch, including features.",
            buckets=_INFERENCE_BUCKETS,
        )
        self.batch_size = Histogram(
            "hand_gesture_batch_size",
            "Hands per model call, by route.",
            ["route"],
            buckets=_BATCH_BUCKETS,
        )
        self.missing_landmarks = Counter(
            "hand_gesture_missing_landmarks", "Landmarks that were absent, null or not finite."
        )
        self.invalid_requests = Counter("hand_gesture_invalid_requests", "Invalid requests, by reason.", ["reason"])
        self.predictions = Counter("hand_gesture_predictions", "Hands classified, by gesture or none.", ["gesture"])
        self.taught_predictions = Counter(
            "hand_gesture_taught_predictions",
            "Hands classified as a client's custom gesture; hand_gesture_predictions_total counts the classifier's "
            "prediction for them.",
        )
        self.teachings = Counter(
            "hand_gesture_teachings", "Sets of custom gestures: newly trained (taught) or cached (kept).", ["result"]
        )
        self.teaching_duration = Histogram(
            "hand_gesture_teaching_duration_seconds",
            "Time to train a set of custom gestures, or to report on it.",
            buckets=_TEACHING_BUCKETS,
        )
        self.confidence = Histogram(
            "hand_gesture_prediction_confidence",
            "Probability of the predicted class, including none.",
            buckets=_CONFIDENCE_BUCKETS,
        )
        self.requests = Counter(
            "hand_gesture_requests",
            "Prediction requests and stream frames, by route and status.",
            ["route", "status"],
        )
        self.request_duration = Histogram(
            "hand_gesture_request_duration_seconds",
            "Time from the first byte of a prediction request or stream frame to its response, including the wait for "
            "a batch.",
            ["route"],
            buckets=_REQUEST_BUCKETS,
        )
        self.in_flight = Gauge(
            "hand_gesture_requests_in_flight", "Prediction requests being processed.", multiprocess_mode="livesum"
        )
        self.streams = Gauge("hand_gesture_streams", "Open streams.", multiprocess_mode="livesum")
        self.closed_streams = Counter("hand_gesture_closed_streams", "Closed streams, by close code.", ["code"])
        self.frames = Counter("hand_gesture_frames", "Classified stream frames, by number of hands.", ["hands"])
        self.changes = Counter(
            "hand_gesture_changes",
            "Changes of the held gesture on streams, by the new gesture or none.",
            ["gesture"],
        )
        self.cpu_usage = Gauge(
            "hand_gesture_cpu_usage_percent",
            "CPU usage of all processes of the service since the previous sample; 100 is one core.",
            multiprocess_mode="livemostrecent",
        )
        self.memory = Gauge(
            "hand_gesture_memory_bytes",
            "Resident memory of all processes of the service.",
            multiprocess_mode="livemostrecent",
        )
        self.workers = Gauge("hand_gesture_workers", "Running worker processes.", multiprocess_mode="livesum")
        self.model_info = Gauge(
            "hand_gesture_model_info",
            "The served model; always 1.",
            ["version", "digest", "feature_contract", "kind"],
            multiprocess_mode="livemax",
        )
        self.workers.set(1)
        # Create all series at start, so that rate() sees their first increment
        for reason in Reason:
            self.invalid_requests.labels(reason.value)
        for result in ("taught", "kept"):
            self.teachings.labels(result)
        for code in _CLOSE_CODES:
            self.closed_streams.labels(code)
        # Looking up a series by its labels takes as long as incrementing it, so cache those used for every request
        self._batch_size_of = cache(self.batch_size.labels)
        self._predictions_of = cache(self.predictions.labels)
        self._requests_of = cache(self.requests.labels)
        self._request_duration_of = cache(self.request_duration.labels)
        self._changes_of = cache(self.changes.labels)
        self._answered: collections.defaultdict[tuple[str, int], list[float]] = collections.defaultdict(list)
        self._being_answered = 0
        self._open_streams = 0
        self._is_scheduled = False  # a flush in the next event-loop iteration
        self._frames_of = cache(self.frames.labels)
        self._hands_in_frames: list[int] = []
        self._model_calls: list[tuple[str, Sequence[Prediction], float]] = []
        self._gestures: frozenset[str] = frozenset()

    def declare_model(
        self, *, gestures: Sequence[str], version: str, digest: str, feature_contract: str, kind: str
    ) -> None:
        """Set the model's info metric, and create a series for each gesture."""
        self.model_info.labels(version=version, digest=digest, feature_contract=feature_contract, kind=kind).set(1)
        self._gestures = frozenset(gestures)
        for gesture in gestures:
            self.predictions.labels(gesture)
            self.changes.labels(gesture)

    def begin_request(self) -> None:
        """Count a prediction request as in flight until ``end_request``."""
        self._being_answered += 1
        self._schedule_flush()

    def end_request(self, route: str, status: int, seconds: float) -> None:
        """Count a finished prediction request and its duration."""
        self._being_answered -= 1
        self.count_answer(route, status, seconds)

    def count_answer(self, route: str, status: int, seconds: float, hands: int | None = None) -> None:
        """Count the response to a request or a frame.

        ``hands`` is the number of hands of a classified stream frame. All responses of one event-loop iteration are
        recorded together, which takes a quarter of the time, because the requests of a batch are answered together.
        """
        self._answered[route, status].append(seconds)
        if hands is not None:
            self._hands_in_frames.append(hands)
        self._schedule_flush()

    def _schedule_flush(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._flush_answers)

    def _flush_answers(self) -> None:
        self._is_scheduled = False
        self.in_flight.set(self._being_answered)
        answered, self._answered = self._answered, collections.defaultdict(list)
        for (route, status), seconds in answered.items():
            self._requests_of(route, status).inc(len(seconds))
            observe_all(self._request_duration_of(route), seconds)
        if self._hands_in_frames:
            for hands, frames in collections.Counter(self._hands_in_frames).items():
                self._frames_of(hands).inc(frames)
            self._hands_in_frames.clear()

    def count_model_call(self, route: str, predictions: Sequence[Prediction], seconds: float) -> None:
        """Count a model call: its duration, its batch size by route, and its predictions.

        Recorded together with the calls of the next 10 ms, because recording each takes a third of the time of a small
        batch.
        """
        if not self._model_calls:
            asyncio.get_running_loop().call_later(MODEL_CALLS_SECONDS, self._flush_model_calls)
        # A copy without the hidden layer's activations
        self._model_calls.append((route, [*predictions], seconds))

    def _flush_model_calls(self) -> None:
        calls, self._model_calls = self._model_calls, []
        observe_all(self.inference_duration, [seconds for _, _, seconds in calls])
        batch_sizes: collections.defaultdict[str, list[float]] = collections.defaultdict(list)
        for route, predictions, _ in calls:
            batch_sizes[route].append(len(predictions))
        for route, sizes in batch_sizes.items():
            observe_all(self._batch_size_of(route), sizes)
        hands = [prediction for _, predictions, _ in calls for prediction in predictions]
        for gesture, count in collections.Counter(prediction.gesture for prediction in hands).items():
            self._predictions_of(gesture).inc(count)
        observe_all(self.confidence, [prediction.confidence for prediction in hands])

    def flush(self) -> None:
        """Record what has been counted so far."""
        self._flush_answers()
        self._flush_model_calls()

    def count_change(self, gesture: str) -> None:
        """Count a change of the held gesture; custom gestures count as ``other``."""
        self._changes_of(gesture if gesture in self._gestures else "other").inc()

    def open_stream(self) -> int:
        """Count an opened stream; returns the number of open streams of this worker."""
        self._open_streams += 1
        self.streams.set(self._open_streams)
        return self._open_streams

    def close_stream(self, code: int) -> None:
        """Count a closed stream; codes outside of the registry count as ``other``."""
        self._open_streams -= 1
        self.streams.set(self._open_streams)
        self.closed_streams.labels(code if code in _CLOSE_CODES else "other").inc()

    def count_rejected(self, reason: Reason, missing_landmarks: int = 0) -> None:
        """Count an invalid request."""
        self.invalid_requests.labels(reason).inc()
        if missing_landmarks:
            self.missing_landmarks.inc(missing_landmarks)


def observe_all(histogram: Histogram, values: Sequence[float]) -> None:
    """Observe several values in one call.

    Single observations would take a sixth of the time of a batch. prometheus_client has no public API for this;
    tests/unit/telemetry/test_metrics.py fails if a new version changes the private attributes used here.
    """
    if len(values) == 1:
        histogram.observe(values[0])
        return
    buckets = map(functools.partial(bisect.bisect_left, histogram._upper_bounds), values)
    for index, count in collections.Counter(buckets).items():
        histogram._buckets[index].inc(count)
    histogram._sum.inc(math.fsum(values))


@cache
def get_metrics() -> Metrics:
    """This worker's metrics, created on first use."""
    with shared_by_workers():
        return Metrics()


def make_lost_workers_counter() -> Counter:
    """The only metric of the supervisor: a crashed worker cannot count itself."""
    with shared_by_workers():
        return Counter("hand_gesture_lost_workers", "Worker processes that exited unexpectedly.")


class ProcessTreeSampler:
    """Measures CPU and memory of the process tree: the supervisor of `bentoml serve` and all its workers.

    Every worker samples the whole tree, so that the metrics stay current when one of them exits.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._processes: dict[int, psutil.Process] = {}

    def sample(self) -> None:
        """Take a sample; the first one only starts the measurement of CPU usage."""
        supervisor = psutil.Process().parent() or psutil.Process()
        tree = {process.pid: process for process in [supervisor, *supervisor.children(recursive=True)]}
        # cpu_percent() measures since the previous call on the same object
        self._processes = {pid: self._processes.get(pid, process) for pid, process in tree.items()}
        cpu, memory = 0.0, 0
        for process in self._processes.values():
            try:
                cpu += process.cpu_percent()
                memory += process.memory_info().rss
            except (psutil.NoSuchProcess, psutil.AccessDenied):  # exited meanwhile
                continue
        self._metrics.cpu_usage.set(cpu)
        self._metrics.memory.set(memory)

    async def sample_forever(self, seconds: float) -> None:
        """Take a sample every ``seconds``; a failure is logged and does not stop the sampling."""
        is_failing = False
        while True:
            try:
                await asyncio.to_thread(self.sample)
                is_failing = False
            except Exception:
                if not is_failing:  # log only the first of consecutive failures
                    logger.exception("CPU and memory cannot be measured; their values in /metrics are stale")
                is_failing = True
            await asyncio.sleep(seconds)
