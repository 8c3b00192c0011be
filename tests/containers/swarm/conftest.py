"""Fixtures on a real Docker Swarm: replicas behind HAProxy, and cameras that count lost frames."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import pytest
import uvloop

from tests.containers.conftest import docker, eventually
from tests.hands import IMAGE_SIZE, LIKE, shaken_hands
from tests.load import OVERLOAD, Expected, Traffic, traffic
from tests.server import PROJECT, free_port
from tests.stream_load import StreamTraffic, binary_frame, stream

CAMERAS = 12  # over HTTP, and the same number of streams
MOST_IN_FLIGHT = 0.02  # of all frames, when streams end
MOST_OVERLOADED = 0.01  # of all answers: where the machine is busy for a second, the service has to shed load
INTERVAL = 1 / 30
SETTINGS = orjson.dumps({"image_size": IMAGE_SIZE})  # a hand on the border is another where it is not told
REPLICAS = 3


@dataclass
class Swarm:
    """The stack, up."""

    name: str
    url: str
    environment: dict[str, str]

    def service(self, name: str) -> dict[str, Any]:
        """Swarm's description of a service."""
        (details,) = json.loads(docker("service", "inspect", f"{self.name}_{name}"))
        found: dict[str, Any] = details
        return found

    def containers(self, name: str) -> list[str]:
        """The running containers of a service, oldest last."""
        label = f"label=com.docker.swarm.service.name={self.name}_{name}"
        return docker("ps", "--quiet", "--filter", label, "--filter", "status=running").split()

    def healthy(self, name: str) -> list[str]:
        """The healthy containers of a service."""
        label = f"label=com.docker.swarm.service.name={self.name}_{name}"
        return docker("ps", "--quiet", "--filter", label, "--filter", "health=healthy").split()

    def servers(self) -> int:
        """Replicas to which the proxy sends requests."""
        series = self.query('haproxy_backend_active_servers{proxy="requests"}')
        return int(float(series[0]["value"][1])) if series else 0

    def scale(self, replicas: int) -> None:
        """Scale, and wait until engine and proxy have the new number of replicas."""
        docker("service", "scale", "--detach", f"{self.name}_api={replicas}")
        self.settle(replicas)

    def settle(self, replicas: int = REPLICAS) -> None:
        """Wait until exactly this number of replicas runs and is healthy."""
        eventually(lambda: len(self.healthy("api")) == len(self.containers("api")) == replicas, seconds=240)
        eventually(lambda: self.servers() == replicas, seconds=120)

    def update(self, *options: str) -> str:
        """Update the service and return the final state of the update."""
        docker("service", "update", "--detach", *options, f"{self.name}_api")
        ended = ("completed", "rollback_completed", "paused", "rollback_paused")
        eventually(lambda: self._update_state() in ended, seconds=300)
        return self._update_state()

    def _update_state(self) -> str:
        return str(self.service("api").get("UpdateStatus", {}).get("State"))

    def get(self, service: str, address: str) -> Any:
        """Send a request from inside a container, to a service without a published port."""
        return json.loads(docker("exec", self.containers(service)[0], "wget", "-qO-", address))

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Result of a Prometheus query."""
        answer = self.get("prometheus", f"http://localhost:9090/api/v1/query?query={quote(expression)}")
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result


@pytest.fixture(scope="session")
def swarm(image: str) -> Iterator[Swarm]:
    """Three replicas, proxy, Prometheus and Alertmanager; Grafana has no image on some networks."""
    was_active = docker("info", "--format", "{{.Swarm.LocalNodeState}}") == "active"
    if not was_active:
        docker("swarm", "init", "--advertise-addr", "127.0.0.1")
    port, name = free_port(), f"handgesture{uuid.uuid4().hex[:8]}"
    environment = {
        **os.environ,
        "API_PORT": str(port),
        "TLS_PORT": str(free_port()),
        "GRAFANA_REPLICAS": "0",
        "GRAFANA_ADMIN_PASSWORD": "unused",
        "METRICS_TOKEN": "a-token",
        "IMAGE": image,
        "REQUESTS_PER_SECOND": "100000",  # all of the load comes from one address
        "REPLICAS": str(REPLICAS),
        "STACK": name,
    }
    running = Swarm(name, f"http://127.0.0.1:{port}", environment)
    try:
        command = [sys.executable, "deploy/swarm/up.py"]
        result = subprocess.run(
            command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False, timeout=180
        )
        assert result.returncode == 0, result.stdout + result.stderr
        eventually(lambda: running.healthy("prometheus") and running.healthy("haproxy"), seconds=240)
        running.settle()
        eventually(lambda: httpx.get(f"{running.url}/readyz", timeout=5).is_success, seconds=60)
        yield running
    finally:
        docker("stack", "rm", name, check=False)
        label = f"label=com.docker.stack.namespace={name}"
        eventually(lambda: not docker("ps", "--all", "--quiet", "--filter", label), seconds=120)
        for kind in ("volume", "network"):
            found = docker(kind, "ls", "--quiet", "--filter", label).split()
            if found:
                docker(kind, "rm", *found, check=False)
        if not was_active:
            docker("swarm", "leave", "--force", check=False)


@dataclass
class Load:
    """Results of requests and frames."""

    http: Traffic
    streams: StreamTraffic = field(default_factory=StreamTraffic)

    def __str__(self) -> str:
        failed = [outcome for outcome in self.http.outcomes if outcome.status != 200]
        worst = max((outcome.seconds for outcome in self.http.outcomes), default=0)
        return (
            f"HTTP: {len(self.http.outcomes)} answered ({len(failed)} not 200, {len(self.http.wrong())} wrong, the "
            f"slowest after {worst:.2f} s), {self.http.lost} lost, {self.http.refused} refused; streams: "
            f"{len(self.streams.seconds)} frames answered ({len(self.streams.wrong)} wrong), {self.streams.unanswered} "
            f"lost, {self.streams.refused} refused, closed with {sorted(set(self.streams.closed))}, "
            f"{len(self.streams.outages)} came back, the last after {max(self.streams.outages, default=0):.2f} s"
        )

    def has_answered(self, requests: int) -> bool:
        """Whether this number of requests has been answered."""
        return len(self.http.outcomes) >= requests

    def assert_nothing_wrong(self, *, unavailable: int = 0) -> None:
        """Assert that all answers were right, or said that the service is overloaded, if the machine is busy.

        ``unavailable`` requests may have got a 503 of the proxy's.
        """
        requests = [outcome for outcome in self.http.wrong() if not outcome.is_overload]
        assert [outcome for outcome in requests if outcome.status != 503] == [], str(self)
        assert len(requests) <= unavailable, str(self)
        assert [answer for answer in self.streams.wrong if OVERLOAD not in answer] == [], str(self)
        wrong, answered = [*self.http.wrong(), *self.streams.wrong], [*self.http.outcomes, *self.streams.seconds]
        assert len(wrong) <= MOST_OVERLOADED * len(answered), str(self)

    def assert_only_frames_in_flight_lost(self, streams_ended: bool) -> None:
        """Assert that no frames were lost, or few if streams ended: how many are in flight depends on the machine."""
        assert self.streams.unanswered <= streams_ended * MOST_IN_FLIGHT * len(self.streams.seconds), str(self)

    def assert_nothing_lost(self, *, unavailable: int = 0) -> None:
        """Assert that all requests were answered, and all frames except those in flight when their stream was closed.

        ``unavailable`` requests may have got a 503 of the proxy's.
        """
        self.assert_nothing_wrong(unavailable=unavailable)
        assert (self.http.lost, self.http.refused, self.streams.refused) == (0, 0, 0), str(self)
        self.assert_only_frames_in_flight_lost(bool(self.streams.closed))
        assert set(self.streams.closed) <= {1012}, str(self)
        assert len(self.http.outcomes) > CAMERAS
        assert len(self.streams.seconds) > CAMERAS


@contextlib.contextmanager
def cameras(url: str) -> Iterator[Load]:
    """Run cameras at 30 frames per second within the context, half over HTTP, half as streams."""
    bodies = shaken_hands(50)
    frames = [binary_frame(body) for body in bodies]
    expected = [Expected(json.dumps({"landmarks": LIKE}).encode(), 200, b'"gesture":"like"')]
    with traffic(url, expected, connections=CAMERAS, interval=INTERVAL) as http:
        load = Load(http)
        stopped = threading.Event()

        async def run() -> None:
            stop = asyncio.Event()
            loop = asyncio.get_running_loop()
            waiting = loop.run_in_executor(None, stopped.wait)
            waiting.add_done_callback(lambda _: stop.set())
            await stream(
                url,
                frames,
                cameras=CAMERAS,
                stop=stop,
                result=load.streams,
                settings=SETTINGS,
                interval=INTERVAL,
                ramp=1,
            )

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            thread = threading.Thread(target=runner.run, args=(run(),))
            thread.start()
            try:
                eventually(lambda: load.streams.opened >= CAMERAS and len(http.outcomes) > CAMERAS, seconds=60)
                yield load
            finally:
                stopped.set()
                thread.join()
    print(f"\n{load}")
