"""SIGTERM under load: what was accepted is answered, and the service ends well."""

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
from tests.faults.marks import SLOW, SLOW_SECONDS
from tests.load import Answer, post_all, traffic
from tests.server import serve

SECONDS_TO_DRAIN = 10


def answered_by_server(home: Path) -> int:
    """Predictions that the service has answered, from the files that its workers leave."""
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry, str(home / "prometheus_multiproc_dir"))  # type: ignore[no-untyped-call]
    value = registry.get_sample_value("hand_gesture_requests_total", {"route": "/predict", "status": "200"})
    return round(value or 0)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_answer_arrives(home: Path, workers: int) -> None:
    with serve(home, WORKERS=workers) as server, traffic(server.url, good_hands(), connections=64) as load:
        time.sleep(2)
        started = time.monotonic()
        assert server.stop() == 0
        seconds = time.monotonic() - started
        time.sleep(0.5)
    print(
        f"\n{len(load.outcomes)} answers arrived of {answered_by_server(home)}, ended after {seconds:.1f} s; "
        f"not accepted: {load.lost} requests on connections that were being closed"
    )
    assert seconds < SECONDS_TO_DRAIN
    assert load.wrong() == []
    assert len(load.outcomes) == answered_by_server(home)


def test_requests_that_the_model_works_on_are_answered_and_the_service_is_not_ready(home: Path) -> None:
    slow = [marked(SLOW)] * 20
    answers: list[Answer] = []
    with serve(home, "tests.faults.faulty:HandGesture") as server:
        client = threading.Thread(
            target=lambda: answers.extend(asyncio.run(post_all(server.url, "/predict", slow, connections=20)))
        )
        # The first slow call is made in the event loop, which cannot accept more meanwhile; from then on in a thread
        httpx.post(f"{server.url}/predict", content=slow[0], timeout=5)
        client.start()
        time.sleep(SLOW_SECONDS / 2)
        assert server.metrics()["hand_gesture_requests_in_flight"] == len(slow)
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
