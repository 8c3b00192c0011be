"""Fixtures on a real Docker engine: builds the image, starts the stack, and removes everything afterwards."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.server import PROJECT, free_port

IMAGE = "hand-gesture:latest"


def docker(*arguments: str, check: bool = True) -> str:
    """Run docker and return its output."""
    result = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, timeout=120)
    assert not check or result.returncode == 0, result.stdout + result.stderr
    return result.stdout.strip()


def eventually(condition: Callable[[], Any], *, seconds: float, every: float = 0.2) -> Any:
    """Wait until a condition is truthy and return its value."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if found := condition():
                return found
        except (httpx.HTTPError, AssertionError):
            pass
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(every)


@pytest.fixture(scope="session")
def image() -> str:
    """The image, built with ``make image``."""
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
    ):
        pytest.skip("there is no Docker engine here")
    command = ["make", "image", f"CONTAINERIZE_OPTS={os.environ.get('CONTAINERIZE_OPTS', '')}"]
    result = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=900)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return IMAGE


@dataclass
class Container:
    """A running container of the image."""

    name: str
    client: httpx.Client


@pytest.fixture
def start(image: str) -> Iterator[Callable[..., Container]]:
    """Starts hardened containers: read-only, without capabilities, on another port."""
    started: list[Container] = []

    def run(**settings: object) -> Container:
        name, port = f"hand-gesture-{uuid.uuid4().hex[:8]}", free_port()
        options = [f"--env={key}={value}" for key, value in settings.items()]
        docker(
            *("run", "--detach", "--name", name, "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"),  # noqa: S108
            *("--security-opt", "no-new-privileges", f"--publish=127.0.0.1:{port}:{port}", f"--env=PORT={port}"),
            *(*options, image),
        )
        container = Container(name, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10))
        started.append(container)
        return container

    yield run
    for container in started:
        container.client.close()
        docker("rm", "--force", container.name, check=False)


@dataclass
class Stack:
    """The compose project without Grafana, whose image some networks cannot pull."""

    project: str
    environment: dict[str, str]
    client: httpx.Client

    def compose(self, *arguments: str, check: bool = True) -> str:
        """Run compose, whichever version is installed."""
        v2 = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
        command = [*(["docker", "compose"] if v2 else ["docker-compose"]), "--project-name", self.project, *arguments]
        result = subprocess.run(
            command, cwd=PROJECT, env=self.environment, capture_output=True, text=True, check=False, timeout=180
        )
        assert not check or result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def get(self, service: str, address: str) -> Any:
        """Send a request from inside a container, to a service without a published port."""
        return json.loads(self.compose("exec", "-T", service, "wget", "-qO-", address))

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Result of a Prometheus query."""
        answer = self.get("prometheus", f"http://localhost:9090/api/v1/query?query={quote(expression)}")
        assert answer["status"] == "success"
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result


@pytest.fixture(scope="session")
def stack(image: str) -> Iterator[Stack]:
    """Service, Prometheus and Alertmanager, up."""
    port = free_port()
    environment = {
        **os.environ,
        "API_PORT": str(port),
        "GRAFANA_ADMIN_PASSWORD": "unused",
        "IMAGE": image,
        "WORKERS": "2",
        "API_KEY": "a-key",
        "METRICS_TOKEN": "a-token",
    }
    key = {"Authorization": "Bearer a-key"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10, headers=key) as client:
        running = Stack(f"handgesture{uuid.uuid4().hex[:8]}", environment, client)
        try:
            running.compose("up", "--detach", "api", "prometheus", "alertmanager")
            yield running
        finally:
            running.compose("down", "--volumes", check=False)
