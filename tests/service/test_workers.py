"""Two workers: metrics are correct from either one, also after one was killed."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.hands import IMAGE_SIZE, LIKE, shaken_hands
from tests.load import post_all
from tests.server import Server, import_model, serve

SAMPLE_SECONDS = 5


@pytest.fixture
def pair(home: Path) -> Iterator[Server]:
    with serve(home, WORKERS=2) as running:
        yield running


def send(server: Server, bodies: list[dict[str, Any]]) -> None:
    """Send requests over enough connections that both workers get some."""
    asyncio.run(post_all(server.url, "/predict", bodies, connections=16))


def test_metrics_are_summed_over_workers(pair: Server) -> None:
    good, bad = 400, 100
    bodies = shaken_hands(good) + [{"landmarks": LIKE[:19], "image_size": IMAGE_SIZE}] * bad
    send(pair, bodies)
    for _ in range(6):  # new connections may reach either worker
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


def test_metrics_are_available_while_a_worker_starts(server: Server) -> None:
    figures = Path(server.workers()[0].environ()["PROMETHEUS_MULTIPROC_DIR"])
    started = figures / "counter_0.db"
    started.touch()  # prometheus_client creates files before writing to them
    try:
        answer = server.client.get("/metrics")
    finally:
        started.unlink()
    assert answer.status_code == 200
    assert "hand_gesture_workers 1.0" in answer.text


def test_deleted_metric_files_cause_an_error_and_a_log_message(pair: Server) -> None:
    figures = Path(pair.workers()[0].environ()["PROMETHEUS_MULTIPROC_DIR"])
    shutil.rmtree(figures)
    answer = pair.client.get("/metrics")
    assert answer.status_code == 500
    assert answer.text == f"Metric files were deleted from {figures} while the service was running; restart it.\n"
    (event,) = (json.loads(line) for line in pair.log.read_text().splitlines() if '"error"' in line)
    assert event["message"] == answer.text.strip()
    assert pair.client.post("/predict", json=shaken_like()).is_success


def test_metric_files_are_locked_against_cleaners(pair: Server) -> None:
    folder = os.open(pair.workers()[0].environ()["PROMETHEUS_MULTIPROC_DIR"], os.O_RDONLY)
    with pytest.raises(BlockingIOError):
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(folder)


def test_cpu_gauge_follows_the_processes(pair: Server) -> None:
    def used() -> float:
        times = [process.cpu_times() for process in pair.workers()]
        return sum(time.user + time.system for time in times)

    def measure() -> tuple[float, float, float]:
        return time.monotonic(), used(), pair.metrics()["hand_gesture_cpu_usage_percent"]

    bodies = shaken_hands(500)
    measured = [measure()]
    ratios: list[float] = []  # of the gauge, when it changes, to what was used within the span that it tells of
    while len(ratios) < 4:
        send(pair, bodies)
        measured.append(measure())
        now, cpu, gauge = measured[-1]
        before = [(time, cpu) for time, cpu, _ in measured if time <= now - SAMPLE_SECONDS]
        if before and gauge != measured[-2][2]:
            since, cpu_before = before[-1]
            ratios.append(gauge / (100 * (cpu - cpu_before) / (now - since)))
    assert 0.5 < statistics.median(ratios) < 2


def replaced(server: Server, victim: psutil.Process, number: int = signal.SIGKILL) -> dict[str, float]:
    """Kill a worker, wait until it is counted and replaced, and return the metrics."""
    server.client = httpx.Client(base_url=server.url, timeout=5)
    lost = server.metrics()["hand_gesture_lost_workers_total"]
    victim.send_signal(number)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(0.1)
        with contextlib.suppress(httpx.TransportError), httpx.Client(base_url=server.url, timeout=5) as server.client:
            figures = server.metrics()
            if figures["hand_gesture_lost_workers_total"] > lost and figures["hand_gesture_workers"] == 2:
                return figures
    raise AssertionError("the worker was not replaced")


def test_killed_worker_is_replaced_and_counters_do_not_decrease(pair: Server) -> None:
    send(pair, shaken_hands(100))
    assert pair.metrics()["hand_gesture_lost_workers_total"] == 0
    victim = pair.workers()[0]
    figures = replaced(pair, victim)
    assert figures['hand_gesture_requests_total{route="/predict",status="200"}'] == 100
    assert figures["hand_gesture_lost_workers_total"] == 1
    assert f"worker {victim.pid} was killed by SIGKILL; starting another one" in pair.log.read_text()


def test_worker_that_is_killed_by_a_signal_without_a_name_is_counted_and_replaced(pair: Server) -> None:
    victim = pair.workers()[0]
    assert replaced(pair, victim, 35)["hand_gesture_lost_workers_total"] == 1
    assert f"worker {victim.pid} was killed by signal 35; starting another one" in pair.log.read_text()


def test_replaced_worker_serves_the_model_of_the_service_start(own_home: Path, tmp_path: Path) -> None:
    (tmp_path / "commands.json").write_text('{"like": "jump"}')
    with serve(own_home, WORKERS=2) as server:
        assert import_model(own_home, "--commands", tmp_path / "commands.json").returncode == 0
        for victim in server.workers():
            figures = replaced(server, victim)
        models = [name for name in figures if name.startswith("hand_gesture_model_info")]
        answers = asyncio.run(post_all(server.url, "/predict", [shaken_like()] * 32, connections=16))
        assert {answer.json()["command"] for answer in answers} == {"up"}
    with serve(own_home) as server:
        assert server.client.post("/predict", json=shaken_like()).json()["command"] == "jump"
        (version,) = re.findall(r"serving model hand_gesture:(\w+)", server.log.read_text())
    assert len(models) == 1
    assert version not in models[0]


def shaken_like() -> dict[str, Any]:
    return {"landmarks": LIKE, "image_size": IMAGE_SIZE}
