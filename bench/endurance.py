"""Checks memory and latency for growth over ten minutes of full load: python -m bench.endurance."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from tqdm import trange

from bench import wrk
from bench.servers import OURS, running
from tests.server import import_model

MINUTES = 10
CONNECTIONS = 64
EARLY_REQUESTS = 10_000
LATE_REQUESTS = 1_000_000


def main() -> None:
    """Print the memory after 10,000 and after a million requests, and p99 in each minute."""
    wrk.require_wrk()
    memory: dict[int, float] = {}
    tails: list[float] = []
    answers = errors = 0
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        import_model(home)
        with running(OURS, home) as server:
            while answers < EARLY_REQUESTS:
                load = _load(server.url, seconds=1)
                answers, errors = answers + load.answers, errors + load.errors
            memory[answers] = server.largest_process_megabytes()
            for _ in trange(MINUTES, desc="minutes", leave=False):
                load = _load(server.url, seconds=60)
                answers, errors = answers + load.answers, errors + load.errors
                tails.append(load.p99)
                memory[answers] = server.largest_process_megabytes()
    early = min(memory)
    late = min((count for count in memory if count >= LATE_REQUESTS), default=max(memory))
    print(f"{answers:,} requests, {errors} errors")
    print(f"memory of the worker: {', '.join(f'{memory[count]:.1f} MB after {count:,}' for count in sorted(memory))}")
    print(f"after {late:,} requests {memory[late] / memory[early]:.3f} times that after {early:,} (at most 1.05)")
    print(f"p99 in each minute: {', '.join(f'{tail:.1f}' for tail in tails)} ms")
    print(f"p99 in the last minute {tails[-1] / tails[0]:.2f} times that in the first (at most 1.2)")


def _load(url: str, *, seconds: int) -> wrk.Load:
    return asyncio.run(wrk.run(url, OURS.route, OURS.exchanges, connections=CONNECTIONS, seconds=seconds))


if __name__ == "__main__":
    main()
