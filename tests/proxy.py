"""HAProxy with the configuration of deploy/haproxy/, except for ports and addresses of replicas."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.server import PROJECT, free_port

CONFIG = PROJECT / "deploy" / "haproxy" / "haproxy.cfg"
HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


@dataclass
class Proxy:
    """HAProxy, running."""

    url: str
    figures: str
    port: int
    tls_port: int
    process: int


@contextlib.contextmanager
def proxy_before(service: str, folder: Path, certificate: Path | None = None, **settings: object) -> Iterator[Proxy]:
    """Start HAProxy, wait until it forwards requests, and stop it afterwards.

    Args:
        service: address of the one replica.
        folder: where the configuration is written to.
        certificate: where it speaks TLS.
        settings: environment variables.
    """
    config = CONFIG.read_text()
    public, tls, figures = (free_port() for _ in range(3))
    for inside, outside in ((8080, public), (8443, tls), (8404, figures)):
        config = config.replace(f"bind :{inside}", f"bind 127.0.0.1:{outside}")
    replica = urlsplit(service).netloc
    config = config.replace('server-template api 50 "${SERVICE}"', f"server api1 {replica}")
    config = config.replace("/usr/local/etc/haproxy/certificate.pem", str(certificate))
    path = folder / "haproxy.cfg"
    path.write_text(config)
    environment = os.environ | {name: str(value) for name, value in settings.items()} | {"TLS_PORT": str(tls)}
    process = subprocess.Popen([str(HAPROXY), "-db", "-f", path], env=environment, stdout=subprocess.DEVNULL)
    proxy = Proxy(f"http://127.0.0.1:{public}", f"http://127.0.0.1:{figures}", public, tls, process.pid)
    try:
        _wait_until_ready(f"https://localhost:{tls}" if certificate else proxy.url)
        yield proxy
    finally:
        process.terminate()
        process.wait()


def _wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/readyz", verify=False, timeout=60).is_success:  # noqa: S501 (its own)
                return
        assert time.monotonic() < deadline, f"{url} did not get ready"
        time.sleep(0.05)
