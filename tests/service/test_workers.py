"""Two workers: every figure is right, whichever of them answers /metrics, and one may die."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.hands import IMAGE_SIZE, LIKE, shaken_hands
from tests.load import post_all
from tests.server import Server, serve


@pytest.fixture
def pair(own_home: Path) -> Iterator[Server]:
    with serve(own_home, WORKERS=2, ALLOWED_ORIGINS="https://game.example") as running:
        yield running


def send(server: Server, bodies: list[dict[str, Any]]) -> None:
    """Over enough connections that both workers get some."""
    asyncio.run(post_all(server.url, "/predict", bodies, connections=16))


def test_figures_add_up_over_workers(pair: Server) -> None:
    good, bad = 400, 100
    bodies = shaken_hands(good) + [{"landmarks": LIKE[:19], "image_size": IMAGE_SIZE}] * bad
    send(pair, bodies)
    for _ in range(6):  # fresh connections: either worker answers
        with httpx.Client(base_url=pair.url) as pair.client:
            figures = pair.metrics()
        assert figures['hand_gesture_requests_total{route="/predict",status="200"}'] == good
        assert figures['hand_gesture_requests_total{route="/predict",status="400"}'] == bad
        assert figures["hand_gesture_missing_landmarks_total"] == 2 * bad
        assert figures['hand_gesture_invalid_requests_total{reason="missing_landmarks"}'] == bad
        assert figures["hand_gesture_prediction_confidence_count"] == good
        assert figures['hand_gesture_batch_size_sum{route="/predict"}'] == good
        assert figures['hand_gesture_request_duration_seconds_count{route="/predict"}'] == good + bad
        assert (
            sum(value for name, value in figures.items() if name.startswith("hand_gesture_predictions_total")) == good
        )
        assert figures["hand_gesture_workers"] == 2
        assert figures["hand_gesture_requests_in_flight"] == 0
        assert [value for name, value in figures.items() if name.startswith("hand_gesture_model_info")] == [1]
    resident = sum(process.memory_info().rss for process in [*pair.workers()])
    assert resident < figures["hand_gesture_memory_bytes"] < 2 * resident


def test_cpu_gauge_follows_what_the_processes_use(pair: Server) -> None:
    def used() -> float:
        times = [process.cpu_times() for process in pair.workers()]
        return sum(time.user + time.system for time in times)

    bodies = shaken_hands(500)
    started, before = time.monotonic(), used()
    gauges = []
    while time.monotonic() - started < 12:
        send(pair, bodies)
        gauges.append(pair.metrics()["hand_gesture_cpu_usage_percent"])
    average = 100 * (used() - before) / (time.monotonic() - started)
    assert max(gauges) == pytest.approx(average, rel=0.5)


def test_killed_worker_comes_back_and_counters_do_not_fall(pair: Server) -> None:
    send(pair, shaken_hands(100))
    victim = pair.workers()[0]
    victim.kill()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        time.sleep(0.2)
        try:
            with httpx.Client(base_url=pair.url, timeout=2) as pair.client:
                figures = pair.metrics()
        except httpx.TransportError:
            continue
        if figures["hand_gesture_workers"] == 2 and victim.pid not in {process.pid for process in pair.workers()}:
            break
    assert figures["hand_gesture_workers"] == 2
    assert figures['hand_gesture_requests_total{route="/predict",status="200"}'] == 100


def test_only_configured_origins_may_call(pair: Server) -> None:
    answers = {
        origin: pair.client.get("/livez", headers={"Origin": origin}).headers.get("access-control-allow-origin")
        for origin in ("https://game.example", "https://other.example")
    }
    assert answers == {"https://game.example": "https://game.example", "https://other.example": None}
