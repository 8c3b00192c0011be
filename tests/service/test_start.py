"""Startup errors are one sentence, and two services do not affect each other."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.server import import_model, serve, serve_until_exit

# An unprivileged user, and a separate mount namespace
AS_USER = ("unshare", "--user", "--map-user=1000")
OWN_MOUNTS = ("unshare", "--mount", "--map-root-user")


def may(*wrapper: str) -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*wrapper, "true"], capture_output=True, check=False).returncode == 0


needs_users = pytest.mark.skipif(not may(*AS_USER), reason="there are no user namespaces here")
needs_mounts = pytest.mark.skipif(not may(*OWN_MOUNTS), reason="nothing can be mounted here")


def lowest_port() -> int:
    """The lowest port that an ordinary user may listen on."""
    path = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    return int(path.read_text()) if path.exists() else 1024


def test_taken_port(home: Path) -> None:
    with socket.create_server(("", 0)) as other:
        port = other.getsockname()[1]
        result = serve_until_exit(home, PORT=port)
    assert result.returncode == 1
    assert result.stderr == (
        f"Port {port} is in use by another program; stop that program, or set PORT to another port.\n"
    )
    assert "Traceback" not in result.stdout


@needs_users
@pytest.mark.skipif(lowest_port() <= 80, reason="every user may listen on port 80 here")
def test_privileged_port(home: Path) -> None:
    result = serve_until_exit(home, wrapper=AS_USER, PORT=80)
    assert result.returncode == 1
    assert result.stderr == "This user may not listen on port 80; set PORT to a port above 1023.\n"
    assert "Traceback" not in result.stdout


def test_foreign_address(home: Path) -> None:
    result = serve_until_exit(home, BENTOML_HOST="192.0.2.1")  # documentation address, RFC 5737
    assert result.returncode == 1
    assert result.stderr.startswith("The service cannot listen on port ")
    assert "change PORT or BENTOML_HOST" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_invalid_settings(home: Path) -> None:
    result = serve_until_exit(home, PORT="80 80", WORKERS=0)
    assert result.returncode == 1
    assert result.stderr.startswith("Invalid environment variables: PORT=80 80: ")
    assert "WORKERS=0: " in result.stderr
    assert len(result.stderr.splitlines()) == 1


@needs_mounts
@pytest.mark.parametrize("below", ["", "missing"])
def test_read_only_store(tmp_path: Path, below: str) -> None:
    script = f'mount --bind "{tmp_path}" "{tmp_path}" && mount -o remount,ro,bind "{tmp_path}" && exec "$@"'
    result = import_model(tmp_path / below, wrapper=(*OWN_MOUNTS, "sh", "-c", script, "sh"))
    assert result.returncode == 1
    assert result.stderr == (
        f"The BentoML model store {tmp_path / below} is not writable (Read-only file system); set BENTOML_HOME to a "
        "writable folder.\n"
    )


def test_empty_store(tmp_path: Path) -> None:
    result = serve_until_exit(tmp_path)
    assert result.returncode == 1
    assert "run `.venv/bin/python import_model.py` first" in result.stderr.splitlines()[-1]


def test_log_has_the_address_with_and_without_tls(home: Path, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    request += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*request, "-keyout", key, "-out", certificate], capture_output=True, check=True)
    options = ("--ssl-certfile", str(certificate), "--ssl-keyfile", str(key))
    with serve(home, *options, certificate=certificate) as server, serve(home) as plain:
        for running, scheme in ((server, "https"), (plain, "http")):
            port = running.url.rpartition(":")[2]
            assert f"listening on {scheme}://localhost:{port} (" in running.log.read_text()


def test_two_services_with_one_home_have_separate_metrics(home: Path) -> None:
    with serve(home) as first:
        first.client.post("/predict", content=b"{")
        with serve(home) as second:
            second.client.post("/predict", content=b"{")
            second.client.post("/predict", content=b"{")
            refused = 'hand_gesture_requests_total{route="/predict",status="400"}'
            assert first.metrics()[refused] == 1
            assert second.metrics()[refused] == 2
        first.client.post("/predict", content=b"{")
        assert first.metrics()[refused] == 2
        assert first.metrics()["hand_gesture_workers"] == 1
