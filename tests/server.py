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
READY_SECONDS = 180.0  # generous for a busy machine
# Limits that a busy machine does not reach, for tests in which nothing may be rejected
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
        """All samples of /metrics, by name with labels in Prometheus' notation."""
        samples = {}
        headers = {"Authorization": f"Bearer {self.metrics_token}"} if self.metrics_token else {}
        for family in text_string_to_metric_families(self.client.get("/metrics", headers=headers).text):
            for sample in family.samples:
                labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
                samples[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
        return samples

    def workers(self) -> list[psutil.Process]:
        """The worker processes; other child processes during startup are skipped."""
        return [child for child in psutil.Process(self.process.pid).children() if _is_worker(child)]

    def stop(self) -> int:
        """Send SIGTERM, as orchestrators do, and return the exit code."""
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
    """Environment variables of a service with its own model store."""
    return {
        **os.environ,
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "True",
        **{name: str(value) for name, value in settings.items()},
    }


def import_model(home: Path, *arguments: str | Path, wrapper: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run import_model.py with a separate model store."""
    command = [*wrapper, sys.executable, "import_model.py", *map(str, arguments)]
    return subprocess.run(command, cwd=PROJECT, env=environment(home), capture_output=True, text=True, check=False)


def free_port() -> int:
    """A free port below the range of ephemeral ports, so that no outgoing connection takes it."""
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            port = 10_000 + secrets.randbelow(20_000)
            probe.bind(("127.0.0.1", port))
            return port


def serve_until_exit(home: Path, wrapper: Sequence[str] = (), **settings: object) -> subprocess.CompletedProcess[str]:
    """Start a service that cannot run, and wait until it exits."""
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
    """Start the service, and stop it afterwards.

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
    """Start the service, wait until it is ready, and stop it afterwards."""
    with start(home, *arguments, **options) as server:
        wait_until_ready(server, int(options.get("WORKERS", 1)))
        yield server


def wait_until_ready(server: Server, workers: int = 0) -> None:
    """Wait until /readyz returns 200 and, if given, this number of workers runs."""
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
