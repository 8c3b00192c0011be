"""SIGTERM ends the service, also while its supervisor is busy starting a worker."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.server import serve, start


def wait_for(condition: Callable[[], object]) -> None:
    """Wait without giving the supervisor time to finish what it is at."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.0005)


def test_while_the_first_worker_starts(own_home: Path) -> None:
    with start(own_home, WORKERS=2) as server:
        wait_for(server.workers)
        assert server.stop() == 0


def test_while_a_lost_worker_is_replaced(own_home: Path) -> None:
    with serve(own_home, WORKERS=2) as server:
        victim, other = server.workers()
        victim.kill()
        wait_for(lambda: {worker.pid for worker in server.workers()} - {victim.pid, other.pid})
        assert server.stop() == 0
