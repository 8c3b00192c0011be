"""A real `bentoml serve` on a free port, for tests and benchmarks."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

PROJECT = Path(__file__).parents[1]
BENTOML = str(Path(sys.executable).with_name("bentoml"))
READY_SECONDS = 60.0


@dataclass
class Server:
    """A running service."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    metrics_token: object = ""
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.Client(base_url=self.url, timeout=30)

    def metrics(self) -> dict[str, float]:
        """Every sample on /metrics, by its name with labels as Prometheus writes them."""
        samples = {}
        headers = {"Authorization": f"Bearer {self.metrics_token}"} if self.metrics_token else {}
        for family in text_string_to_metric_families(self.client.get("/metrics", headers=headers).text):
            for sample in family.samples:
                labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
                samples[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
        return samples

    def workers(self) -> list[psutil.Process]:
        """The worker processes."""
        return psutil.Process(self.process.pid).children()

    def stop(self) -> int:
        """Ask it to end as an orchestrator would, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            workers = self.workers()
            self.process.kill()
            for worker in workers:
                worker.kill()
            raise


def environment(home: Path, **settings: object) -> dict[str, str]:
    """The environment of a service whose model store is its own."""
    return {
        **os.environ,
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "True",
        **{name: str(value) for name, value in settings.items()},
    }


def import_model(home: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run import_model.py with a model store of its own."""
    home.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "import_model.py", *map(str, arguments)]
    return subprocess.run(command, cwd=PROJECT, env=environment(home), capture_output=True, text=True, check=False)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def serve_in_vain(home: Path, **settings: object) -> subprocess.CompletedProcess[str]:
    """Start the service where something keeps it from running, and wait until it has ended."""
    return subprocess.run(
        [BENTOML, "serve"],
        cwd=PROJECT,
        env=environment(home, **settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=READY_SECONDS,
    )


@contextlib.contextmanager
def start(
    home: Path, service: str = "", *, port: int = 0, wrapper: Sequence[str] = (), **settings: object
) -> Iterator[Server]:
    """Start the service, or another one, and end it afterwards.

    A wrapper is a command that takes a command and becomes it, such as ``env``.
    """
    port = port or free_port()
    log = home / f"serve-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*wrapper, BENTOML, "serve", *filter(None, [service])],
            cwd=PROJECT,
            env=environment(home, PORT=port, **settings),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    server = Server(f"http://127.0.0.1:{port}", process, log, settings.get("METRICS_TOKEN", ""))
    try:
        yield server
    finally:
        server.client.close()
        if process.poll() is None:
            server.stop()


@contextlib.contextmanager
def serve(
    home: Path, service: str = "", *, port: int = 0, wrapper: Sequence[str] = (), **settings: object
) -> Iterator[Server]:
    """Start the service, or another one, wait until it is ready, and end it afterwards."""
    with start(home, service, port=port, wrapper=wrapper, **settings) as server:
        _wait_until_ready(server, int(str(settings.get("WORKERS", 1))))
        yield server


def _wait_until_ready(server: Server, workers: int) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        with contextlib.suppress(httpx.TransportError):
            if server.client.get("/readyz").is_success and server.metrics().get("hand_gesture_workers") == workers:
                return
        time.sleep(0.05)
    raise AssertionError(f"the service did not get ready:\n{server.log.read_text()}")
