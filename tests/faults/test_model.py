"""A model that raises exceptions, is slow, or starts slowly."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from hand_gesture.errors import ServerReason
from tests.faults.bodies import good_hands, marked
from tests.faults.marks import RAISES, SLOW, SLOW_SECONDS
from tests.fuzz.test_corpus import check_error
from tests.load import post_all
from tests.server import GENEROUS_LIMITS, READY_SECONDS, Server, free_port, serve

TIMEOUT = SLOW_SECONDS / 2
GOOD = [expected.body for expected in good_hands(20)]


@pytest.fixture
def faulty(home: Path) -> Iterator[Server]:
    with serve(home, "tests.faults.faulty:HandGesture", **GENEROUS_LIMITS) as running:
        yield running


@pytest.fixture
def impatient(home: Path) -> Iterator[Server]:
    settings = {**GENEROUS_LIMITS, "REQUEST_TIMEOUT_SECONDS": TIMEOUT}
    with serve(home, "tests.faults.faulty:HandGesture", **settings) as running:
        yield running


def test_a_model_error_affects_only_its_batch(faulty: Server) -> None:
    for _ in range(5):
        answers = asyncio.run(post_all(faulty.url, "/predict", [*GOOD, marked(RAISES)], connections=21))
        failed = [answer for answer in answers if answer.status == 500]
        assert answers[-1] in failed
        assert {answer.status for answer in answers} <= {200, 500}
        for answer in failed:
            check_error(answer.json(), ServerReason.MODEL_FAILED)
        answers = asyncio.run(post_all(faulty.url, "/predict", GOOD, connections=20))
        assert {answer.status for answer in answers} == {200}
    events = [json.loads(line) for line in faulty.log.read_text().splitlines()]
    errors = [event for event in events if event["level"] == "error"]
    assert errors
    for event in errors:
        assert event["message"] == "a request to /predict failed"
        assert event["exception"] == "RuntimeError"
        assert any("faulty.py" in place for place in event["trace"])
    # The exception's message contains hands, which must not be logged
    assert not re.search(r"\d\.\d{4}", json.dumps(errors))


def test_a_stream_survives_model_errors_and_timeouts(impatient: Server) -> None:
    impatient.client.post("/predict", content=marked(SLOW))  # from now on the model is called in a thread
    time.sleep(SLOW_SECONDS)  # the model cannot be interrupted
    with connect(impatient.url.replace("http", "ws") + "/stream") as stream:
        stream.send("{}")
        for mark, reason in ((RAISES, ServerReason.MODEL_FAILED), (SLOW, ServerReason.TIMEOUT)) * 2:
            stream.send(marked(mark).decode())
            check_error(json.loads(stream.recv(60)), reason)
            if mark == SLOW:
                time.sleep(SLOW_SECONDS)  # the model cannot be interrupted
            stream.send(GOOD[0].decode())
            assert "held" in json.loads(stream.recv(60))


def test_a_slow_model_causes_a_timeout_only_for_its_batch(impatient: Server) -> None:
    impatient.client.post("/predict", content=marked(SLOW))  # from now on the model is called in a thread
    for _ in range(2):
        answers = asyncio.run(post_all(impatient.url, "/predict", [marked(SLOW)] * 10, connections=10))
        assert {answer.status for answer in answers} == {504}
        for answer in answers:
            check_error(answer.json(), ServerReason.TIMEOUT)
        assert impatient.client.get("/livez").is_success
        time.sleep(SLOW_SECONDS)  # the model cannot be interrupted
        answers = asyncio.run(post_all(impatient.url, "/predict", GOOD, connections=20))
        assert {answer.status for answer in answers} == {200}


def test_a_slow_model_does_not_block_health_checks_or_metrics(faulty: Server) -> None:
    faulty.client.post("/predict", content=marked(SLOW))
    slow = threading.Thread(target=lambda: httpx.post(f"{faulty.url}/predict", content=marked(SLOW), timeout=60))
    slow.start()
    while faulty.metrics()["hand_gesture_requests_in_flight"] != 1:
        assert slow.is_alive()
    assert faulty.client.get("/livez").is_success
    assert faulty.client.get("/readyz").is_success
    assert slow.is_alive()
    slow.join()


def test_not_ready_before_the_first_prediction(home: Path) -> None:
    seen: list[tuple[float, bool]] = []
    done = threading.Event()
    port, seconds = free_port(), 3.0

    def watch() -> None:
        while not done.wait(0.05):
            try:
                ready = httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=1).is_success
            except httpx.TransportError:
                ready = False
            seen.append((time.monotonic(), ready))

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.monotonic()
    try:
        with serve(home, "tests.faults.faulty:HandGesture", port=port, SECONDS_UNTIL_FIRST_ANSWER=seconds) as server:
            assert server.client.post("/predict", content=GOOD[0]).status_code == 200
            while not any(ready for _, ready in seen):
                assert watcher.is_alive()
                time.sleep(0.05)
    finally:
        done.set()
        watcher.join()
    first = next(moment for moment, ready in seen if ready)
    assert seconds < first - started < READY_SECONDS
