"""POST /gestures on a running service."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bentoml
import httpx
import pytest

from tests.hands import LIKE
from tests.own_gestures import gestures, recording
from tests.server import Server, serve

JSON = {"Content-Type": "application/json"}
TAUGHT = 'hand_gesture_teachings_total{result="taught"}'
CROWD = 16
KEPT = 'hand_gesture_teachings_total{result="kept"}'


def test_each_gesture_gets_a_report(server: Server) -> None:
    answer = server.client.post("/gestures", json=gestures("L", "pinky", command="jump"))
    assert answer.status_code == 200
    reports = answer.json()["gestures"]
    assert [*reports] == ["L", "pinky"]
    for report in reports.values():
        assert (report["examples"], report["right_left_out"], report["right_tilted"]) == (10, 10, 10)
        assert 0 < report["taken"] < 0.02
        assert report["advice"].endswith(".")


def test_clients_that_leave_are_not_waited_for(server: Server) -> None:
    in_flight, left = "hand_gesture_requests_in_flight", 'hand_gesture_requests_total{route="/gestures",status="499"}'
    before = server.metrics().get(left, 0)
    url = httpx.URL(server.url)
    with contextlib.ExitStack() as clients:
        for client in range(CROWD):
            body = json.dumps(
                {"gestures": {f"g{n}": {"hands": recording("L", 20, seed=16 * client + n)} for n in range(16)}}
            ).encode()
            connection = clients.enter_context(socket.create_connection((url.host, url.port)))
            head = f"POST /gestures HTTP/1.1\r\nHost: {url.host}\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)
        while not server.metrics()[in_flight]:
            time.sleep(0.01)
    while server.metrics()[in_flight]:
        time.sleep(0.01)
    assert server.metrics().get(left, 0) - before > CROWD / 2
    assert server.client.post("/gestures", json=gestures("L")).is_success  # after what was being taught


def test_a_slow_uplink_has_the_time_of_the_route(server: Server) -> None:
    def pieces() -> Iterator[bytes]:
        body = json.dumps(gestures("L", "pinky")).encode()
        yield body[:1000]
        time.sleep(3)  # longer than the bodies of predictions may take
        yield body[1000:]

    answer = server.client.post("/gestures", content=pieces(), headers=JSON)
    assert (answer.status_code, [*answer.json()["gestures"]]) == (200, ["L", "pinky"])


def test_sets_are_counted_without_their_names(server: Server) -> None:
    body = gestures("L", seed=7)
    body["gestures"] = {"sesame": body["gestures"]["L"]}
    before = server.metrics()
    for _ in range(2):
        assert server.client.post("/gestures", json=body).is_success
    after = server.metrics()
    assert after[TAUGHT] - before[TAUGHT] == 1
    assert after[KEPT] - before[KEPT] == 1
    route = 'hand_gesture_requests_total{route="/gestures",status="200"}'
    assert after[route] - before.get(route, 0) == 2
    assert "sesame" not in server.client.get("/metrics").text
    assert "sesame" not in server.log.read_text()


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"[]", 400, "invalid_request"),
        (b'{"gestures": {"\\ud800": {"hands": []}}}', 400, "invalid_request"),
        (json.dumps({"gestures": {"like": {"hands": [LIKE]}}}).encode(), 400, "invalid_request"),
        (json.dumps({"gestures": {"x": {"hands": [[[float("nan")] * 3] * 21]}}}).encode(), 400, "missing_landmarks"),
        (b" " * 1_000_001, 413, "body_too_large"),
        (b"[" * 10_000_000, 413, "body_too_large"),
    ],
)
def test_invalid_requests_are_rejected_as_on_other_routes(
    server: Server, body: bytes, status: int, reason: str
) -> None:
    before = server.metrics()
    answer = server.client.post("/gestures", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    counted = f'hand_gesture_invalid_requests_total{{reason="{reason}"}}'
    assert server.metrics()[counted] - before[counted] == 1


def test_only_post_is_allowed(server: Server) -> None:
    answer = server.client.get("/gestures")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_api_key_is_required(home: Path) -> None:
    with serve(home, API_KEY="open sesame") as server:
        assert server.client.post("/gestures", json=gestures("L")).status_code == 401
        headers = {"Authorization": "Bearer open sesame"}
        assert server.client.post("/gestures", json=gestures("L"), headers=headers).is_success


def test_python_client_has_the_route(server: Server) -> None:
    with bentoml.SyncHTTPClient(server.url) as client:
        report = client.gestures(**gestures("L", image_size=[640, 480]))
    assert report["gestures"]["L"]["examples"] == 10


def test_many_teaching_requests_do_not_affect_predictions(server: Server) -> None:
    """A hundred sets at once: each gets a report or a 503, and predictions continue."""

    async def crowd() -> tuple[list[int], list[int]]:
        limits = httpx.Limits(max_connections=150)
        async with httpx.AsyncClient(base_url=server.url, timeout=120, limits=limits) as client:

            async def post(route: str, body: Any) -> int:
                return (await client.post(route, json=body)).status_code

            sets = [{"gestures": {f"g{n}": {"hands": recording("L", 10, seed=n)}}} for n in range(100)]
            teachers = asyncio.gather(*(post("/gestures", body) for body in sets))
            players = await asyncio.gather(*(post("/predict", {"landmarks": LIKE}) for _ in range(50)))
            return await teachers, players

    teachers, players = asyncio.run(crowd())
    assert {*players} <= {200, 503, 504}
    assert players.count(200) > 0
    assert {*teachers} <= {200, 503, 504}
    assert teachers.count(200) > 0
    assert server.client.post("/gestures", json=gestures("L")).is_success
