"""SIGTERM and SIGHUP stop the service, also while the supervisor starts a worker."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from picows import WSCloseCode

from tests.fuzz.test_streams import RawStream
from tests.server import Server, serve, start


def wait_for(condition: Callable[[], object]) -> None:
    """Wait with little delay, so that the supervisor is still busy."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.0005)


def test_while_the_first_worker_starts(home: Path) -> None:
    with start(home, WORKERS=2) as server:
        wait_for(server.workers)
        assert server.stop() == 0


def test_while_a_lost_worker_is_replaced(home: Path) -> None:
    with serve(home, WORKERS=2) as server:
        victim, other = server.workers()
        victim.kill()
        wait_for(lambda: {worker.pid for worker in server.workers()} - {victim.pid, other.pid})
        assert server.stop() == 0


def test_when_its_terminal_is_closed(home: Path) -> None:
    with serve(home, WORKERS=2) as server:
        workers = server.workers()
        server.process.send_signal(signal.SIGHUP)
        assert server.process.wait(timeout=120) == 0
        assert not any(worker.is_running() for worker in workers)
        assert_port_is_free(server)


def test_workers_end_when_their_supervisor_is_killed(home: Path) -> None:
    with serve(home, WORKERS=2) as server, RawStream(server).socket as open_stream:
        workers = server.workers()
        server.process.kill()
        server.process.wait()
        psutil.wait_procs(workers, timeout=120)
        assert not any(worker.is_running() for worker in workers)
        assert WSCloseCode.SERVICE_RESTART.value.to_bytes(2) in open_stream.recv(65_536)  # as on SIGTERM
        assert_port_is_free(server)


def test_worker_ends_when_its_supervisor_was_killed_while_it_started(home: Path) -> None:
    with start(home, WORKERS=1) as server:
        wait_for(server.workers)
        workers = server.workers()
        server.process.kill()
        server.process.wait()
        psutil.wait_procs(workers, timeout=120)
        assert not any(worker.is_running() for worker in workers)
        assert_port_is_free(server)


def assert_port_is_free(server: Server) -> None:
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", int(server.url.rpartition(":")[2])))
