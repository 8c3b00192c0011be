from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import psutil
import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from hand_gesture.errors import Reason
from hand_gesture.model.classifier import Prediction
from hand_gesture.telemetry.metrics import Metrics, ProcessTreeSampler, observe_all

BOUNDS = (0.2, 0.5, 0.9, 1.0)


def test_values_observed_at_once_count_like_those_observed_one_by_one() -> None:
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


@pytest.fixture(scope="module")
def metrics() -> Iterator[Metrics]:
    """Of this process, not shared by workers."""
    made = Metrics()
    yield made
    for metric in vars(made).values():
        if isinstance(metric, Counter | Gauge | Histogram):
            REGISTRY.unregister(metric)


def counted(route: str) -> tuple[float, float, float]:
    """Requests of a route that were answered and refused, and the seconds that they took together."""
    names = [("requests_total", {"route": route, "status": status}) for status in ("200", "400")]
    samples = [*names, ("request_duration_seconds_sum", {"route": route})]
    values = (REGISTRY.get_sample_value(f"hand_gesture_{name}", labels) for name, labels in samples)
    answered, refused, seconds = (value or 0 for value in values)
    return answered, refused, round(seconds, 6)


def test_requests_are_counted_once_each_in_the_next_turn_of_the_loop(metrics: Metrics) -> None:
    async def main() -> list[tuple[float, float, float]]:
        found = []
        for requests in ([(200, 0.5)], [], [(200, 0.25), (400, 0.125), (200, 0.0)]):
            for status, seconds in requests:
                metrics.count_answer("/turns", status, seconds)
            await asyncio.sleep(0)
            found.append(counted("/turns"))
        return found

    assert asyncio.run(main()) == [(1, 0, 0.5), (1, 0, 0.5), (3, 1, 0.875)]


def test_a_turn_that_cannot_be_counted_does_not_keep_the_next_from_it(
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


def test_a_process_that_may_not_be_measured_is_left_out(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_cpu_is_that_of_the_whole_tree_since_the_sample_before(metrics: Metrics) -> None:
    """Busy for its part of the time, so that a slow machine makes it no less."""
    sampler = ProcessTreeSampler(metrics)
    sampler.sample()
    times, started = psutil.Process().cpu_times(), time.monotonic()
    while psutil.Process().cpu_times().user < times.user + 0.3:
        pass
    used = 0.3 / (time.monotonic() - started)
    sampler.sample()
    assert sample("cpu_usage_percent") > 50 * used


def test_a_sample_that_fails_is_said_once_and_the_next_is_taken(
    metrics: Metrics, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    children = psutil.Process.children
    results = iter([True, False, False, True, False, True])
    taken = list[bool]()

    def fail_at_times(process: psutil.Process, *, recursive: bool) -> list[psutil.Process]:
        assert recursive
        taken.append(next(results))
        if not taken[-1]:
            raise psutil.AccessDenied(process.pid)
        return children(process, recursive=recursive)

    async def main() -> None:
        task = asyncio.create_task(ProcessTreeSampler(metrics).sample_forever(0.001))
        while len(taken) < 6:
            assert not task.done()
            await asyncio.sleep(0.001)
        task.cancel()

    monkeypatch.setattr(psutil.Process, "children", fail_at_times)
    asyncio.run(main())
    assert [record.message for record in caplog.records] == [
        "CPU and memory cannot be measured; what /metrics shows of them is old"
    ] * 2


def test_streams_are_counted_by_codes_that_are_known(metrics: Metrics) -> None:
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


def test_rejected_requests_are_counted_with_their_missing_points(metrics: Metrics) -> None:
    def counts() -> list[float]:
        labels = {"reason": "missing_landmarks"}
        rejected = REGISTRY.get_sample_value("hand_gesture_invalid_requests_total", labels)
        return [rejected or 0, sample("missing_landmarks_total")]

    before = counts()
    metrics.count_rejected(Reason.MISSING_LANDMARKS, 3)
    metrics.count_rejected(Reason.MISSING_LANDMARKS)
    assert [after - value for after, value in zip(counts(), before, strict=True)] == [2, 3]


def test_a_model_call_is_counted_once_and_its_hands_each(metrics: Metrics) -> None:
    predictions = [Prediction("like", 0.9, "up"), Prediction("like", 0.5, "up"), Prediction("none", 0.25, None)]
    metrics.count_model_call("/a_route", predictions, 0.125)
    route = {"route": "/a_route"}
    expected = {
        ("inference_duration_seconds_count", ()): 1,
        ("inference_duration_seconds_sum", ()): 0.125,
        ("batch_size_sum", tuple(route.items())): 3,
        ("batch_size_count", tuple(route.items())): 1,
        ("predictions_total", (("gesture", "like"),)): 2,
        ("predictions_total", (("gesture", "none"),)): 1,
        ("prediction_confidence_sum", ()): 1.65,
    }
    for (name, labels), value in expected.items():
        assert REGISTRY.get_sample_value(f"hand_gesture_{name}", dict(labels)) == pytest.approx(value), name


def test_a_model_that_is_declared_has_its_series_from_the_start(metrics: Metrics) -> None:
    metrics.declare_model(gestures=["wave"], version="v", digest="d", feature_contract="f", kind="SVC")
    labels = {"version": "v", "digest": "d", "feature_contract": "f", "kind": "SVC"}
    assert REGISTRY.get_sample_value("hand_gesture_model_info", labels) == 1
    assert REGISTRY.get_sample_value("hand_gesture_predictions_total", {"gesture": "wave"}) == 0
    for reason in Reason:
        labels = {"reason": reason.value}
        assert REGISTRY.get_sample_value("hand_gesture_invalid_requests_total", labels) is not None
    assert REGISTRY.get_sample_value("hand_gesture_closed_streams_total", {"code": "1006"}) is not None
    assert sample("workers") == 1
