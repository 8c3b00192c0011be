from __future__ import annotations

import numpy as np
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from hand_gesture.telemetry.metrics import observe_all

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
