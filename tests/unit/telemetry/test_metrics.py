from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from hand_gesture.errors import Reason
from hand_gesture.model.classifier import Prediction
from hand_gesture.model.execution import Execution
from hand_gesture.telemetry.measured_model import BATCHES_IN_THREADS, MeasuredModel
from hand_gesture.telemetry.metrics import MODEL_CALLS_SECONDS, Metrics, ProcessTreeSampler, observe_all
from tests.server import PROJECT

BOUNDS = (0.2, 0.5, 0.9, 1.0)


def test_observe_all_equals_single_observations() -> None:
    at_once, one_by_one = CollectorRegistry(), CollectorRegistry()
    values = [*np.random.default_rng(0).random(500).tolist(), *BOUNDS, 0, 2]
    observe_all(Histogram("h", "Some.", buckets=BOUNDS, registry=at_once), values)
    histogram = Histogram("h", "Some.", buckets=BOUNDS, registry=one_by_one)
    for value in sorted(values):
        histogram.observe(value)

    def figures(registry: CollectorRegistry) -> list[tuple[str, float]]:
        lines = generate_latest(registry).decode().splitlines()
        samples = (line.rpartition(" ") for line in lines if not line.startswith("#") and "_created" not in line)
        return [(name, round(float(value), 6)) for name, _, value in samples]

    assert figures(at_once) == figures(one_by_one)


HANDS = np.zeros((2, 63))


@pytest.fixture(scope="module")
def metrics() -> Iterator[Metrics]:
    """Metrics of this process, not shared between workers."""
    made = Metrics()
    yield made
    for metric in vars(made).values():
        if isinstance(metric, Counter | Gauge | Histogram):
            REGISTRY.unregister(metric)


# Dashboards and alerts of users depend on them. By name: type, labels, and how the values of workers are combined
SERIES = {
    "hand_gesture_inference_duration_seconds": ("histogram", (), ""),
    "hand_gesture_batch_size": ("histogram", ("route",), ""),
    "hand_gesture_missing_landmarks": ("counter", (), ""),
    "hand_gesture_invalid_requests": ("counter", ("reason",), ""),
    "hand_gesture_predictions": ("counter", ("gesture",), ""),
    "hand_gesture_taught_predictions": ("counter", (), ""),
    "hand_gesture_teachings": ("counter", ("result",), ""),
    "hand_gesture_teaching_duration_seconds": ("histogram", (), ""),
    "hand_gesture_prediction_confidence": ("histogram", (), ""),
    "hand_gesture_requests": ("counter", ("route", "status"), ""),
    "hand_gesture_request_duration_seconds": ("histogram", ("route",), ""),
    "hand_gesture_requests_in_flight": ("gauge", (), "livesum"),
    "hand_gesture_streams": ("gauge", (), "livesum"),
    "hand_gesture_closed_streams": ("counter", ("code",), ""),
    "hand_gesture_frames": ("counter", ("hands",), ""),
    "hand_gesture_changes": ("counter", ("gesture",), ""),
    "hand_gesture_cpu_usage_percent": ("gauge", (), "livemostrecent"),
    "hand_gesture_memory_bytes": ("gauge", (), "livemostrecent"),
    "hand_gesture_workers": ("gauge", (), "livesum"),
    "hand_gesture_model_info": ("gauge", ("version", "digest", "feature_contract", "kind"), "livemax"),
}


def test_names_types_and_labels_stay(metrics: Metrics) -> None:
    made = [metric for metric in vars(metrics).values() if isinstance(metric, Counter | Gauge | Histogram)]
    assert {
        metric._name: (metric._type, metric._labelnames, getattr(metric, "_multiprocess_mode", "")) for metric in made
    } == SERIES


def test_one_flush_is_scheduled_for_all_requests_of_an_iteration(
    metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = Mock()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: loop)
    for iteration in (1, 2):
        for _ in range(3):
            metrics.begin_request()
            metrics.end_request("/flushed", 200, 0.5)
        assert loop.call_soon.call_count == iteration
        loop.call_soon.call_args.args[0]()
        assert counted("/flushed") == (3 * iteration, 0, 1.5 * iteration)


def counted(route: str) -> tuple[float, float, float]:
    """Accepted and rejected requests of a route, and their total duration in seconds."""
    names = [("requests_total", {"route": route, "status": status}) for status in ("200", "400")]
    samples = [*names, ("request_duration_seconds_sum", {"route": route})]
    values = (REGISTRY.get_sample_value(f"hand_gesture_{name}", labels) for name, labels in samples)
    answered, refused, seconds = (value or 0 for value in values)
    return answered, refused, round(seconds, 6)


def test_requests_are_counted_in_the_next_event_loop_iteration(metrics: Metrics) -> None:
    async def main() -> list[tuple[float, float, float]]:
        found = []
        for requests in ([(200, 0.5)], [], [(200, 0.25), (400, 0.125), (200, 0.0)]):
            for status, seconds in requests:
                metrics.count_answer("/turns", status, seconds)
            await asyncio.sleep(0)
            found.append(counted("/turns"))
        return found

    assert asyncio.run(main()) == [(1, 0, 0.5), (1, 0, 0.5), (3, 1, 0.875)]


def test_an_error_while_counting_does_not_stop_later_counting(
    metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError("no space left")

    async def main() -> None:
        failed = list[Any]()
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context["exception"]))
        with monkeypatch.context() as full_disk:
            full_disk.setattr(metrics, "_requests_of", fail)
            metrics.count_answer("/after", 200, 0.5)
            await asyncio.sleep(0)
        assert [type(error) for error in failed] == [OSError]
        metrics.count_answer("/after", 200, 0.25)
        await asyncio.sleep(0)

    asyncio.run(main())
    assert counted("/after") == (1, 0, 0.25)


def sample(name: str) -> float:
    return REGISTRY.get_sample_value(f"hand_gesture_{name}") or 0


def test_processes_without_permission_are_skipped(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = ProcessTreeSampler(metrics)
    sampler.sample()
    before = sample("memory_bytes")
    assert before > 0

    def refuse(process: psutil.Process) -> Any:
        raise psutil.AccessDenied(process.pid)

    monkeypatch.setattr(psutil.Process, "memory_info", refuse)
    sampler.sample()
    assert sample("memory_bytes") == 0
    monkeypatch.undo()
    sampler.sample()
    assert sample("memory_bytes") > before / 2


def test_cpu_usage_is_of_the_process_tree_since_the_previous_sample(metrics: Metrics) -> None:
    """Uses CPU for a share of the time, also on a slow machine."""
    sampler = ProcessTreeSampler(metrics)
    sampler.sample()
    times, started = psutil.Process().cpu_times(), time.monotonic()
    while psutil.Process().cpu_times().user < times.user + 0.3:
        pass
    used = 0.3 / (time.monotonic() - started)
    sampler.sample()
    assert sample("cpu_usage_percent") > 50 * used


def test_a_failed_sample_is_logged_once_and_sampling_continues(
    metrics: Metrics, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    children = psutil.Process.children
    results = iter([False, True, False, False, True, False, True])
    taken = list[bool]()

    def fail_at_times(process: psutil.Process, *, recursive: bool) -> list[psutil.Process]:
        assert recursive
        taken.append(next(results))
        if not taken[-1]:
            raise psutil.AccessDenied(process.pid)
        return children(process, recursive=recursive)

    async def main() -> None:
        task = asyncio.create_task(ProcessTreeSampler(metrics).sample_forever(0.001))
        while len(taken) < 7:
            assert not task.done()
            await asyncio.sleep(0.001)
        task.cancel()

    monkeypatch.setattr(psutil.Process, "children", fail_at_times)
    asyncio.run(main())
    assert [record.message for record in caplog.records] == [
        "CPU and memory cannot be measured; their values in /metrics are stale"
    ] * 3


def test_unknown_close_codes_are_counted_together(metrics: Metrics) -> None:
    def counts() -> list[float]:
        values = (
            REGISTRY.get_sample_value("hand_gesture_closed_streams_total", {"code": c}) for c in ("1001", "other")
        )
        return [value or 0 for value in values]

    before = counts()
    for code in (1001, 4000, 4999):
        metrics.open_stream()
        metrics.close_stream(code)
    assert [after - value for after, value in zip(counts(), before, strict=True)] == [1, 2]


def test_rejected_requests_count_missing_landmarks(metrics: Metrics) -> None:
    def counts() -> list[float]:
        labels = {"reason": "missing_landmarks"}
        rejected = REGISTRY.get_sample_value("hand_gesture_invalid_requests_total", labels)
        return [rejected or 0, sample("missing_landmarks_total")]

    before = counts()
    metrics.count_rejected(Reason.MISSING_LANDMARKS, 3)
    metrics.count_rejected(Reason.MISSING_LANDMARKS)
    assert [after - value for after, value in zip(counts(), before, strict=True)] == [2, 3]


def test_model_calls_count_their_hands(metrics: Metrics) -> None:
    predictions = [Prediction("like", 0.9, "up"), Prediction("like", 0.5, "up"), Prediction("none", 0.25, None)]

    async def main() -> None:
        metrics.count_model_call("/a_route", predictions[:1], 0.125)
        metrics.count_model_call("/a_route", predictions[1:], 0.25)
        await asyncio.sleep(2 * MODEL_CALLS_SECONDS)

    asyncio.run(main())
    route = {"route": "/a_route"}
    expected = {
        ("inference_duration_seconds_count", ()): 2,
        ("inference_duration_seconds_sum", ()): 0.375,
        ("batch_size_sum", tuple(route.items())): 3,
        ("batch_size_count", tuple(route.items())): 2,
        ("predictions_total", (("gesture", "like"),)): 2,
        ("predictions_total", (("gesture", "none"),)): 1,
        ("prediction_confidence_sum", ()): 1.65,
    }
    for (name, labels), value in expected.items():
        assert REGISTRY.get_sample_value(f"hand_gesture_{name}", dict(labels)) == pytest.approx(value), name


def test_model_calls_are_counted_for_their_route(metrics: Metrics) -> None:
    async def main() -> list[Prediction]:
        model = MeasuredModel(Execution(lambda hands: [Prediction("like", 0.9, None)] * len(hands), HANDS), metrics)
        predictions = await model.predict(HANDS, "/measured") + await model.predict_in_thread(HANDS[:1], "/measured")
        metrics.flush()
        return predictions

    assert asyncio.run(main()) == [Prediction("like", 0.9, None)] * 3
    labels = {"route": "/measured"}
    assert REGISTRY.get_sample_value("hand_gesture_batch_size_sum", labels) == 3
    assert REGISTRY.get_sample_value("hand_gesture_batch_size_count", labels) == 2


def test_model_calls_whose_caller_is_cancelled_are_counted(metrics: Metrics) -> None:
    """Requests are cancelled at their deadline, so those calls are the slowest."""
    hands, begun, release = np.zeros((2, 63)), threading.Event(), threading.Event()

    def predict(hands: NDArray[np.float64]) -> list[Prediction]:
        if len(hands) > 1:
            begun.set()
            assert release.wait(60)
        return [Prediction("like", 0.9, None)] * len(hands)

    def calls() -> float:
        labels = {"route": "/cancelled"}
        return REGISTRY.get_sample_value("hand_gesture_batch_size_count", labels) or 0

    async def main() -> float:
        model = MeasuredModel(Execution(predict, hands[:1]), metrics)
        caller = asyncio.create_task(model.predict_in_thread(hands, "/cancelled"))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        release.set()
        deadline = time.monotonic() + 10
        while not calls() and time.monotonic() < deadline:
            await asyncio.sleep(MODEL_CALLS_SECONDS)
        return calls()

    assert asyncio.run(main()) == 1


def test_cancelled_batches_leave_the_queue_and_leave_threads_for_others(metrics: Metrics) -> None:
    hands, release = np.zeros((2, 63)), threading.Event()
    sizes: list[int] = []

    def predict(hands: NDArray[np.float64]) -> list[Prediction]:
        sizes.append(len(hands))
        if len(hands) > 1:
            assert release.wait(60)
        return [Prediction("like", 0.9, None)] * len(hands)

    async def main() -> None:
        execution = Execution(predict, hands[:1])
        model = MeasuredModel(execution, metrics)
        batches = [asyncio.create_task(model.predict_in_thread(hands, "/batches")) for _ in range(40)]
        while sizes.count(2) < BATCHES_IN_THREADS:
            await asyncio.sleep(0.001)
        await asyncio.to_thread(execution.call_inline, hands[:1])
        for batch in batches:
            batch.cancel()
        await asyncio.gather(*batches, return_exceptions=True)
        release.set()
        await model.predict_in_thread(hands[:1], "/batches")  # the threads are free again
        metrics.flush()

    asyncio.run(main())
    assert sizes.count(2) == BATCHES_IN_THREADS


def test_flush_records_everything(metrics: Metrics) -> None:
    before = sample("inference_duration_seconds_count")

    async def main() -> tuple[float, tuple[float, float, float]]:
        metrics.count_model_call("/at_once", [Prediction("like", 0.9, None)], 0.5)
        metrics.count_answer("/at_once", 200, 0.5)
        metrics.flush()
        return sample("inference_duration_seconds_count") - before, counted("/at_once")

    assert asyncio.run(main()) == (1, (1, 0, 0.5))


def test_series_of_the_model_exist_from_the_start(metrics: Metrics) -> None:
    metrics.declare_model(gestures=["wave"], version="v", digest="d", feature_contract="f", kind="SVC")
    labels = {"version": "v", "digest": "d", "feature_contract": "f", "kind": "SVC"}
    assert REGISTRY.get_sample_value("hand_gesture_model_info", labels) == 1
    assert REGISTRY.get_sample_value("hand_gesture_predictions_total", {"gesture": "wave"}) == 0
    for reason in Reason:
        labels = {"reason": reason.value}
        assert REGISTRY.get_sample_value("hand_gesture_invalid_requests_total", labels) is not None
    assert REGISTRY.get_sample_value("hand_gesture_closed_streams_total", {"code": "1006"}) is not None
    assert sample("workers") == 1


def test_metrics_match_the_documentation(metrics: Metrics) -> None:
    """Dashboards and alerts depend on names and labels, which must not change by accident."""
    text = (PROJECT / "docs" / "reference.md").read_text()
    documented = set()
    for name, labels in re.findall(r"`(hand_gesture_[a-z_]+)(?:{([a-z_,]+)})?`", text):
        documented.add((name.removesuffix("_total"), tuple(labels.split(",")) if labels else ()))
    made = {
        (metric._name, tuple(metric._labelnames))
        for metric in vars(metrics).values()
        if isinstance(metric, Counter | Gauge | Histogram)
    }
    assert made <= documented
    missing = {name for name, _ in documented} - {name for name, _ in made}
    assert missing <= {"hand_gesture_lost_workers"}  # a metric of the supervisor
    for metric in vars(metrics).values():
        if isinstance(metric, Counter | Gauge | Histogram):
            assert metric._documentation.endswith(".")


def test_only_gauges_of_workers_are_summed(metrics: Metrics) -> None:
    modes = {metric._name: metric._multiprocess_mode for metric in vars(metrics).values() if isinstance(metric, Gauge)}
    assert modes == {
        "hand_gesture_requests_in_flight": "livesum",
        "hand_gesture_streams": "livesum",
        "hand_gesture_workers": "livesum",
        "hand_gesture_cpu_usage_percent": "livemostrecent",
        "hand_gesture_memory_bytes": "livemostrecent",
        "hand_gesture_model_info": "livemax",
    }


def test_requests_in_flight(metrics: Metrics) -> None:
    async def main() -> list[float]:
        found = []
        for begun, ended in ((3, 0), (1, 2), (0, 2)):
            for _ in range(begun):
                metrics.begin_request()
            for _ in range(ended):
                metrics.end_request("/in_flight", 200, 0.25)
            await asyncio.sleep(0)
            found.append(sample("requests_in_flight"))
        return found

    assert asyncio.run(main()) == [3, 2, 0]
    assert counted("/in_flight") == (4, 0, 1.0)


def test_open_streams(metrics: Metrics) -> None:
    assert [metrics.open_stream() for _ in range(3)] == [1, 2, 3]
    assert sample("streams") == 3
    for left in (2, 1, 0):
        metrics.close_stream(1000)
        assert sample("streams") == left


def test_frames_are_counted_by_their_number_of_hands(metrics: Metrics) -> None:
    async def main() -> None:
        for hands in (2, 0, 2, None):
            metrics.count_answer("/stream", 200, 0.1, hands)
        await asyncio.sleep(0)
        metrics.count_answer("/stream", 200, 0.1, 2)
        await asyncio.sleep(0)

    asyncio.run(main())
    found = {
        hands: REGISTRY.get_sample_value("hand_gesture_frames_total", {"hands": hands}) for hands in ("0", "1", "2")
    }
    assert found == {"0": 1, "1": None, "2": 3}


def test_custom_gestures_are_counted_together(metrics: Metrics) -> None:
    metrics.declare_model(gestures=["nod"], version="v2", digest="d", feature_contract="f", kind="SVC")
    assert REGISTRY.get_sample_value("hand_gesture_changes_total", {"gesture": "nod"}) == 0
    for gesture in ("nod", "a secret", "another", "nod"):
        metrics.count_change(gesture)
    found = {
        gesture: REGISTRY.get_sample_value("hand_gesture_changes_total", {"gesture": gesture})
        for gesture in ("nod", "other", "a secret")
    }
    assert found == {"nod": 2, "other": 2, "a secret": None}
