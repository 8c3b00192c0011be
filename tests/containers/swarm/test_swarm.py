"""Scaling, updates and failures of replicas under load."""

from __future__ import annotations

import json
import subprocess
import textwrap
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.containers.conftest import docker, eventually
from tests.containers.swarm.conftest import CAMERAS, REPLICAS, Swarm, cameras
from tests.containers.test_stack import MAY_BE_EMPTY, be_busy, filled_in, panels
from tests.hands import IMAGE_SIZE, LIKE, as_frame

SECONDS_TO_HOLD = 0.2
# Series that exist only after a failure
OF_FAILURES = {"instance:hand_gesture_request_errors:ratio1m"}


def build(tag: str, dockerfile: str) -> str:
    command = ["docker", "build", "--quiet", "--tag", tag, "-"]
    subprocess.run(command, input=dockerfile, text=True, check=True, capture_output=True)
    return tag


@pytest.fixture(scope="module")
def other_image(image: str) -> Iterator[str]:
    """Another image of the same service."""
    yield build("hand-gesture:other", f"FROM {image}\nLABEL other=yes\n")
    docker("rmi", "hand-gesture:other", check=False)


@pytest.fixture(scope="module")
def image_that_never_gets_ready(image: str) -> Iterator[str]:
    """An image that starts but never gets ready."""
    yield build("hand-gesture:stuck", f'FROM {image}\nENTRYPOINT ["sleep", "3600"]\n')
    docker("rmi", "hand-gesture:stuck", check=False)


def test_prometheus_has_every_replica(swarm: Swarm) -> None:
    for job, count in (("hand_gesture", REPLICAS), ("haproxy", 1)):
        series = eventually(partial(has, swarm, f'up{{job="{job}"}} == 1', count), seconds=120)
        assert len({one["metric"]["instance"] for one in series}) == count


def test_secrets_reach_the_service(swarm: Swarm) -> None:
    script = """
        import http.client, sys
        connection = http.client.HTTPConnection("127.0.0.1", 3000)
        connection.request("GET", "/metrics", headers={"Authorization": sys.argv[1]})
        print(connection.getresponse().status)
    """
    run = ("exec", swarm.containers("api")[0], "python", "-c", textwrap.dedent(script))
    assert [docker(*run, token) for token in ("Bearer a-token", "Bearer another")] == ["200", "401"]


def has(swarm: Swarm, expression: str, count: int) -> list[dict[str, Any]]:
    series = swarm.query(expression)
    return series if len(series) == count else []


def test_scaling(swarm: Swarm) -> None:
    swarm.scale(2)
    with cameras(swarm.url) as load:
        swarm.scale(4)
        swarm.scale(2)
    load.assert_nothing_lost()
    swarm.scale(REPLICAS)


def test_rolling_update(swarm: Swarm, image: str, other_image: str) -> None:
    before = set(swarm.containers("api"))
    with cameras(swarm.url) as load, hold_like(swarm) as stream:
        assert swarm.update("--image", other_image) == "completed"
        assert code_of_end(stream) == 1012
        with opened(swarm) as again:  # a new stream does not have the previous state
            assert ask(again) == ("none", False)
    load.assert_nothing_lost()
    assert len(load.streams.outages) >= CAMERAS
    eventually(lambda: before.isdisjoint(swarm.containers("api")), seconds=120)  # may still be stopping
    docker("service", "update", "--image", image, f"{swarm.name}_api")
    swarm.settle()


def opened(swarm: Swarm) -> ClientConnection:
    stream = connect(swarm.url.replace("http", "ws") + "/stream")
    stream.send(json.dumps({"image_size": IMAGE_SIZE, "hold_ms": 1000 * SECONDS_TO_HOLD}))
    return stream


def hold_like(swarm: Swarm) -> ClientConnection:
    stream = opened(swarm)
    while ask(stream)[0] != "like":
        pass
    return stream


def code_of_end(stream: ClientConnection) -> int:
    try:
        while True:
            ask(stream)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 1006


def ask(stream: ClientConnection) -> tuple[str, bool]:
    stream.send(as_frame(LIKE))
    answer = json.loads(stream.recv(60))
    return answer["held"], answer["changed"]


def test_update_that_never_gets_ready_is_rolled_back(swarm: Swarm, image_that_never_gets_ready: str) -> None:
    before = set(swarm.containers("api"))
    with cameras(swarm.url) as load:
        assert swarm.update("--image", image_that_never_gets_ready) == "rollback_completed"
    load.assert_nothing_lost()
    assert load.streams.closed == []
    swarm.settle()
    assert before == set(swarm.containers("api"))


def test_killed_replica(swarm: Swarm) -> None:
    victim = swarm.containers("api")[0]
    with cameras(swarm.url) as load:
        docker("kill", "--signal", "KILL", victim)
        swarm.settle()
    load.assert_nothing_wrong()
    # At most what was in flight on it
    assert load.http.lost + load.http.refused <= CAMERAS
    load.assert_only_frames_in_flight_lost(bool(load.streams.outages))
    assert 0 < len(load.streams.outages) <= CAMERAS


def test_frozen_replica(swarm: Swarm) -> None:
    victim = swarm.containers("api")[0]
    with cameras(swarm.url) as load:
        docker("pause", victim)
        try:
            eventually(lambda: swarm.servers() == REPLICAS - 1, seconds=120)
            eventually(lambda: len(load.streams.outages) > 0, seconds=120)
        finally:
            docker("unpause", victim, check=False)  # may already be replaced
        swarm.settle()
    load.assert_nothing_wrong()
    assert load.http.lost + load.http.refused <= CAMERAS


def test_proxy_reload(swarm: Swarm) -> None:
    (proxy,) = swarm.containers("haproxy")
    with cameras(swarm.url) as load:
        for _ in range(3):
            wanted = len(load.http.outcomes) + 10 * CAMERAS
            docker("kill", "--signal", "USR2", proxy)
            eventually(partial(load.has_answered, wanted), seconds=60)
    load.assert_nothing_lost(unavailable=3)  # on a busy machine a new proxy may not know its replicas yet
    assert load.streams.closed == []


@pytest.fixture(scope="module")
def busy(swarm: Swarm) -> Swarm:
    """The stack after all kinds of traffic to every replica."""
    for _ in range(4):
        be_busy(swarm.url)
        time.sleep(4)
    return swarm


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: str(panel["title"]))
def test_every_panel_has_data_of_replicas(busy: Swarm, panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        expression = filled_in(target["expr"])
        if panel["title"] in MAY_BE_EMPTY:
            busy.query(expression)
            continue
        series = eventually(partial(busy.query, expression), seconds=120)
        if "{{instance}}" in target.get("legendFormat", ""):
            assert len({one["metric"]["instance"] for one in series}) >= REPLICAS


def test_every_rule_is_healthy_with_replicas(busy: Swarm) -> None:
    groups = busy.get("prometheus", "http://localhost:9090/api/v1/rules")["data"]["groups"]
    assert {rule["health"] for group in groups for rule in group["rules"]} <= {"ok", "unknown"}  # unknown: not due yet
    recorded = {rule["name"] for group in groups for rule in group["rules"] if rule["name"].startswith("instance:")}
    assert recorded > OF_FAILURES
    for name in recorded - OF_FAILURES:
        instances = {one["metric"]["instance"] for one in eventually(partial(busy.query, name), seconds=120)}
        assert len(instances) >= REPLICAS, name
