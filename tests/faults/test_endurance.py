"""Ten minutes of valid and invalid requests: memory, file descriptors and threads do not grow."""

from __future__ import annotations

import time
from pathlib import Path

from tests.faults.bodies import one_in_five_bad
from tests.load import traffic
from tests.server import GENEROUS_LIMITS, Server, serve

MINUTES = 10
WARM_UP_SECONDS = 60
CONNECTIONS = 32


def holdings(server: Server) -> dict[str, int]:
    """Resources of the service's processes."""
    processes = [*server.workers()]
    return {
        "bytes": sum(process.memory_info().rss for process in processes),
        "descriptors": sum(process.num_fds() for process in processes),
        "threads": sum(process.num_threads() for process in processes),
    }


def test_nothing_grows(home: Path) -> None:
    requests = 0
    with serve(home, **GENEROUS_LIMITS) as server:
        before: dict[str, int] = {}
        started = time.monotonic()
        while time.monotonic() < started + 60 * MINUTES:
            # One second each, so that connections are reopened, and the list of results stays short
            with traffic(server.url, one_in_five_bad(), connections=CONNECTIONS) as load:
                time.sleep(10)
            requests += len(load.outcomes)
            assert load.lost == load.refused == 0
            assert load.wrong() == []
            server.metrics()
            if not before and time.monotonic() > started + WARM_UP_SECONDS:
                before = holdings(server)
        after = holdings(server)
        errors = [line for line in server.log.read_text().splitlines() if '"level": "error"' in line]
    print(f"\n{requests} requests; after a minute {before}, after {MINUTES} {after}")
    assert errors == []
    assert after["bytes"] <= 1.05 * before["bytes"]
    assert after["descriptors"] <= before["descriptors"]
    assert after["threads"] <= before["threads"] + 1
