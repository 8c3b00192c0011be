"""Requests and streams through a proxy with a path prefix."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.sync.client import connect

from tests.hands import IMAGE_SIZE, LIKE, as_frame
from tests.server import Server, free_port

CONFIG = """
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel 1h
frontend proxy
  bind 127.0.0.1:{port}
  http-request replace-path /gestures/(.*) /\\1
  default_backend service
backend service
  server service {host}:{service_port}
"""


@pytest.fixture
def proxy(server: Server, tmp_path: Path) -> Iterator[str]:
    """HAProxy in front of the service; returns the address with the path prefix."""
    haproxy = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if haproxy is None:
        pytest.skip("haproxy is not installed")
    port, address = free_port(), urlsplit(server.url)
    config = tmp_path / "haproxy.cfg"
    config.write_text(CONFIG.format(port=port, host=address.hostname, service_port=address.port))
    with subprocess.Popen([haproxy, "-db", "-f", config]) as process:
        url = f"http://127.0.0.1:{port}/gestures"
        deadline = time.monotonic() + 60
        try:
            while True:
                try:
                    httpx.get(f"{url}/readyz", timeout=60).raise_for_status()
                    break
                except httpx.HTTPError:
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
            yield url
        finally:
            process.terminate()


def test_requests_and_streams_pass(proxy: str) -> None:
    body = {"landmarks": LIKE, "image_size": IMAGE_SIZE}
    assert httpx.post(f"{proxy}/predict", json=body, timeout=60).json()["gesture"] == "like"
    with connect(proxy.replace("http", "ws") + "/stream") as stream:
        stream.send(json.dumps({"image_size": IMAGE_SIZE}))
        for _ in range(100):
            stream.send(as_frame(LIKE))
            assert json.loads(stream.recv(60))["held"] == "like"
