"""A real `bentoml serve` on a free port, for tests and benchmarks."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

PROJECT = Path(__file__).parents[1]
BENTOML = str(Path(sys.executable).with_name("bentoml"))
READY_SECONDS = 180.0  # on a machine that does much else
# Limits that no pause of a busy machine reaches, for tests in which nothing may be refused
GENEROUS_LIMITS: Mapping[str, object] = {"REQUEST_TIMEOUT_SECONDS": 60, "MAX_BATCH_WAIT_MS": 60_000}


@dataclass
class Server:
    """A running service."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    metrics_token: str = ""
    certificate: Path | None = None
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        verify = ssl.create_default_context(cafile=self.certificate) if self.certificate else False
        self.client = httpx.Client(base_url=self.url, timeout=60, verify=verify)

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
        """The worker processes, as soon as they are ones: the service has other children while it starts."""
        return [child for child in psutil.Process(self.process.pid).children() if _is_worker(child)]

    def stop(self) -> int:
        """Ask it to end as an orchestrator would, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=120)
        except subprocess.TimeoutExpired:
            workers = self.workers()
            self.process.kill()
            for worker in workers:
                worker.kill()
            raise


def _is_worker(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return "_bentoml_impl.worker.service" in process.cmdline()
    return False


def environment(home: Path, **settings: object) -> dict[str, str]:
    """The environment of a service whose model store is its own."""
    return {
        **os.environ,
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "True",
        **{name: str(value) for name, value in settings.items()},
    }


def import_model(home: Path, *arguments: str | Path, wrapper: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run import_model.py with a model store of its own."""
    command = [*wrapper, sys.executable, "import_model.py", *map(str, arguments)]
    return subprocess.run(command, cwd=PROJECT, env=environment(home), capture_output=True, text=True, check=False)


def free_port() -> int:
    """A port that nothing listens on, and that no connection gets meanwhile: below those that the system gives away."""
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            port = 10_000 + secrets.randbelow(20_000)
            probe.bind(("127.0.0.1", port))
            return port


def serve_until_exit(home: Path, wrapper: Sequence[str] = (), **settings: object) -> subprocess.CompletedProcess[str]:
    """Start the service where something keeps it from running, and wait until it has ended."""
    return subprocess.run(
        [*wrapper, BENTOML, "serve"],
        cwd=PROJECT,
        env=environment(home, **settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=READY_SECONDS,
    )


@contextlib.contextmanager
def start(
    home: Path,
    *arguments: str,
    port: int = 0,
    wrapper: Sequence[str] = (),
    certificate: Path | None = None,
    **settings: object,
) -> Iterator[Server]:
    """Start the service, and end it afterwards.

    Args:
        home: BentoML's folder, with the model; the log goes there, too.
        arguments: of ``bentoml serve``: another service, options.
        port: where to listen; 0: any that is free.
        wrapper: a command that takes a command and becomes it, such as ``env``.
        certificate: that of the service, where it speaks TLS.
        settings: environment variables.
    """
    port = port or free_port()
    log = home / f"serve-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*wrapper, BENTOML, "serve", *arguments],
            cwd=PROJECT,
            env=environment(home, **{"PORT": port, **settings}),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    scheme = "https" if certificate else "http"
    token = str(settings.get("METRICS_TOKEN", "")).strip()
    server = Server(f"{scheme}://127.0.0.1:{port}", process, log, token, certificate)
    try:
        yield server
    finally:
        server.client.close()
        if process.poll() is None:
            server.stop()


@contextlib.contextmanager
def serve(home: Path, *arguments: str, **options: Any) -> Iterator[Server]:
    """Start the service as ``start`` does, wait until it is ready, and end it afterwards."""
    with start(home, *arguments, **options) as server:
        wait_until_ready(server, int(options.get("WORKERS", 1)))
        yield server


def wait_until_ready(server: Server, workers: int = 0) -> None:
    """Wait until /readyz says so and, where a number is given, as many workers of this service are up."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        with contextlib.suppress(httpx.TransportError):
            ready = server.client.get("/readyz").is_success
            if ready and (not workers or server.metrics().get("hand_gesture_workers") == workers):
                return
        time.sleep(0.05)
    raise AssertionError(f"the service did not get ready:\n{server.log.read_text()}")
