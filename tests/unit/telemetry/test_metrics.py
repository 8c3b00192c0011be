from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Histogram, generate_latest

from hand_gesture.telemetry.metrics import Metrics, observe_all

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
def metrics() -> Metrics:
    """Of this process, not shared by workers."""
    return Metrics()


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
