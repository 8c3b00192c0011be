"""SIGTERM under load: accepted requests are answered, and the exit code is 0."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry, multiprocess

from tests.faults.bodies import good_hands, marked
from tests.faults.marks import SLOW
from tests.load import Answer, post_all, traffic
from tests.server import GENEROUS_LIMITS, Server, serve


def keep_figures(server: Server, folder: Path) -> None:
    """Hard-link the workers' metric files, because the service deletes them on exit."""
    figures = Path(server.workers()[0].environ()["PROMETHEUS_MULTIPROC_DIR"])
    for file in figures.iterdir():
        (folder / file.name).hardlink_to(file)


def answered_by_server(folder: Path) -> int:
    """Number of answered predictions according to these files."""
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    value = registry.get_sample_value("hand_gesture_requests_total", {"route": "/predict", "status": "200"})
    return round(value or 0)


@pytest.mark.parametrize("workers", [1, 2])
def test_shutdown_answers_every_request(home: Path, tmp_path: Path, workers: int) -> None:
    with (
        serve(home, WORKERS=workers, **GENEROUS_LIMITS) as server,
        traffic(server.url, good_hands(), connections=64) as load,
    ):
        keep_figures(server, tmp_path)
        time.sleep(2)
        started = time.monotonic()
        assert server.stop() == 0
        seconds = time.monotonic() - started
        time.sleep(0.5)
    print(
        f"\n{len(load.outcomes)} answers arrived of {answered_by_server(tmp_path)}, ended after {seconds:.1f} s; "
        f"not accepted: {load.lost} requests on connections that were being closed"
    )
    assert load.wrong() == []
    assert len(load.outcomes) == answered_by_server(tmp_path)


def test_shutdown_finishes_requests_in_flight_and_is_not_ready(home: Path) -> None:
    slow = [marked(SLOW)] * 20
    answers: list[Answer] = []
    with serve(home, "tests.faults.faulty:HandGesture", **GENEROUS_LIMITS) as server:
        client = threading.Thread(
            target=lambda: answers.extend(asyncio.run(post_all(server.url, "/predict", slow, connections=20)))
        )
        # The first slow call blocks the event loop; later ones run in a thread
        httpx.post(f"{server.url}/predict", content=slow[0], timeout=60)
        client.start()
        while server.metrics()["hand_gesture_requests_in_flight"] != len(slow):
            assert client.is_alive()
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        time.sleep(0.2)
        assert server.process.poll() is None
        with contextlib.suppress(httpx.TransportError):
            assert httpx.get(f"{server.url}/readyz", timeout=1).status_code == 503
        client.join()
        stopping.join()
        assert server.process.returncode == 0
    assert Counter(answer.status for answer in answers) == {200: len(slow)}
