"""The disk is full or read-only: predictions continue without shared metrics."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from pathlib import Path

import pytest

from tests.faults.bodies import good_hands
from tests.load import post_all
from tests.server import GENEROUS_LIMITS, Server, serve

# A separate mount namespace, so that mounts are not visible elsewhere
OWN_MOUNTS = ("unshare", "--mount", "--map-root-user")
BODIES = [expected.body for expected in good_hands(100)]


def may_mount() -> bool:
    command = [*OWN_MOUNTS, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


pytestmark = pytest.mark.skipif(not may_mount(), reason="nothing can be mounted here (Linux with user namespaces may)")


def mounted(folder: Path, *options: str) -> list[str]:
    """A command prefix that mounts a small file system over a folder."""
    folder.mkdir(parents=True)
    script = f'mount -t tmpfs -o {",".join(options)} tmpfs "{folder}" && exec "$@"'
    return [*OWN_MOUNTS, "sh", "-c", script, "sh"]


def check_predictions(server: Server, count: int) -> None:
    answers = asyncio.run(post_all(server.url, "/predict", BODIES[:count], connections=10))
    assert [answer.status for answer in answers] == [200] * count


def test_without_disk_space_for_metrics_each_worker_counts_separately(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    with serve(home, wrapper=mounted(folder, "size=256k"), TMPDIR=folder, **GENEROUS_LIMITS) as server:
        check_predictions(server, 100)
        assert server.metrics()['hand_gesture_requests_total{route="/predict",status="200"}'] == 100
        assert "metrics cannot be shared between workers, /metrics shows those of one worker" in server.log.read_text()


def test_predictions_go_on_when_the_disk_gets_full(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    with serve(home, wrapper=mounted(folder, "size=3m"), TMPDIR=folder, **GENEROUS_LIMITS) as server:
        check_predictions(server, 10)
        worker = server.workers()[0]
        filler = Path(f"/proc/{worker.pid}/root/{folder}/filler")
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass
        for route in ("/predict_batch", "/predict/command", "/predict"):  # creates new series
            server.client.post(route, content=b"{")
        check_predictions(server, 100)
        assert server.client.get("/readyz").is_success
        assert server.metrics()['hand_gesture_requests_total{route="/predict",status="200"}'] == 110
        assert [process.pid for process in server.workers()] == [worker.pid]
