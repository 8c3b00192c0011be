"""Compares this service with other servers and the baseline: make bench, make bench-quick. See docs/performance.md.

Prints a table, and whether this service meets its performance targets; a full run also writes results/ (JSON and plot).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NoReturn

import matplotlib.pyplot as plt
import psutil
from tqdm import tqdm

from bench import wrk
from bench.promises import PROMISES, Measurement, Round
from bench.servers import CEILING, CONTENDERS, OURS, Contender, Exchange, Running, batch_exchange, install, running
from tests.server import import_model

RESULTS = Path(__file__).with_name("results")
WARM_UP_SECONDS = 1
BATCH_HANDS = 1000
OURS_COLOR, OTHERS_COLOR = "#d1495b", "#8d99ae"


@dataclass(frozen=True, slots=True)
class Plan:
    """Number and length of the measurements."""

    starts: int
    rounds: int
    seconds: int
    connections: tuple[int, ...]


# Many short rounds, because the speed of machines varies from second to second, and ratios are computed within a round.
# Not shorter, because the slow first responses on 64 new connections would affect p99.
FULL = Plan(starts=3, rounds=8, seconds=2, connections=(1, 8, 64, 256))
QUICK = Plan(starts=1, rounds=1, seconds=1, connections=(1, 64, 256))


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description="Compare this service with other servers.")
    parser.add_argument("--quick", action="store_true", help="one short round, without writing results")
    plan = QUICK if parser.parse_args().quick else FULL
    wrk.require_wrk()
    for contender in CONTENDERS:
        install(contender)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        home = Path(folder)
        import_model(home)
        servers = {}
        for contender in tqdm(CONTENDERS, "starting", leave=False):
            servers[contender] = stack.enter_context(_started(contender, home, plan.starts))
            warm_up(contender, servers[contender])
            servers[contender].pause()
        with tqdm(
            total=plan.rounds * len(plan.connections) * len(CONTENDERS), desc="measuring", leave=False
        ) as progress:
            rounds = [_measure_round(plan, servers, progress) for _ in range(plan.rounds)]
    print(_table(rounds, plan), _promises(rounds), sep="\n\n")
    print(f"\n{_machine()}; medians of {plan.rounds} rounds, {time.perf_counter() - started:.0f} s")
    if plan is FULL:
        RESULTS.mkdir(exist_ok=True)
        _write(rounds)
        _plot(rounds)


@contextlib.contextmanager
def _started(contender: Contender, home: Path, starts: int) -> Iterator[Running]:
    """Start a server several times; yields the last one with the median startup time."""
    seconds = []
    for _ in range(starts - 1):
        with running(contender, home) as server:
            seconds.append(server.seconds_to_ready)
    with running(contender, home) as server:
        seconds.append(server.seconds_to_ready)
        yield replace(server, seconds_to_ready=statistics.median(seconds))


def warm_up(contender: Contender, server: Running) -> None:
    """Check the responses of a server, then put it under load for a while."""
    asyncio.run(wrk.check(server.url, contender.route, contender.exchanges))
    _load(server, contender.route, contender.exchanges, connections=64, seconds=WARM_UP_SECONDS)


def _measure_round(plan: Plan, servers: Mapping[Contender, Running], progress: tqdm[NoReturn]) -> Round:
    singles: dict[tuple[Contender, int], Measurement] = {}
    for connections in plan.connections:
        for contender, server in servers.items():
            server.resume()
            singles[contender, connections] = _load(
                server, contender.route, contender.exchanges, connections=connections, seconds=plan.seconds
            )
            server.pause()
            progress.update()
    servers[OURS].resume()
    exchange = batch_exchange(BATCH_HANDS)
    batches = _load(servers[OURS], "/predict_batch", [exchange], connections=1, seconds=plan.seconds)
    servers[OURS].pause()
    return Round(singles, batches, BATCH_HANDS)


def _load(server: Running, route: str, exchanges: Sequence[Exchange], *, connections: int, seconds: int) -> Measurement:
    used, generator_used = server.cpu_seconds(), _children_cpu_seconds()
    load = asyncio.run(wrk.run(server.url, route, exchanges, connections=connections, seconds=seconds))
    return Measurement(
        **asdict(load),
        cpu_per_1000=(server.cpu_seconds() - used) / load.answers * 1000,
        generator_cores=(_children_cpu_seconds() - generator_used) / seconds,
        megabytes=server.megabytes(),
        largest_process_megabytes=server.largest_process_megabytes(),
        seconds_to_ready=server.seconds_to_ready,
    )


def _children_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)  # only exited children count: wrk, while servers run
    return usage.ru_utime + usage.ru_stime


def _table(rounds: Sequence[Round], plan: Plan) -> str:
    lines = [
        "| server | connections | requests/s | to the ceiling | p50 ms | p99 ms | p99.9 ms | errors "
        "| CPU s/1,000 | MB | ready s |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for contender in CONTENDERS:
        for connections in plan.connections:
            m = _medians([r.singles[contender, connections] for r in rounds])
            ratios = [r.singles[contender, connections].rate / r.singles[CEILING, connections].rate for r in rounds]
            cells = [
                contender.name,
                f"{connections}",
                f"{m['rate']:,.0f}",
                f"{statistics.median(ratios):.2f}",
                *(f"{m[name]:.2f}" for name in ("p50", "p99", "p999")),
                f"{m['errors']:.0f}",
                f"{m['cpu_per_1000']:.2f}",
                f"{m['megabytes']:.0f}",
                f"{m['seconds_to_ready']:.1f}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _medians(measurements: Sequence[Measurement]) -> dict[str, float]:
    rows = [asdict(measurement) for measurement in measurements]
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def _promises(rounds: Sequence[Round]) -> str:
    lines = ["| promise | limit | measured | rounds | |", "|---|---|--:|---|---|"]
    for promise in PROMISES:
        values = [promise.value(r) for r in rounds]
        median = statistics.median(values)
        verdict = "holds" if promise.holds(median) else "does not hold"
        rounds_between = f"{min(values):,.3g} to {max(values):,.3g}"
        lines.append(f"| {promise.text} | {promise.limit} | {median:,.3g} | {rounds_between} | {verdict} |")
    return "\n".join(lines)


def _machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def _write(rounds: Sequence[Round]) -> None:
    results = {
        "machine": _machine(),
        "rounds": len(rounds),
        "promises": {promise.text: [promise.value(r) for r in rounds] for promise in PROMISES},
        "batches": _medians([r.batches for r in rounds]),
        "medians": [
            {"server": contender.name, "connections": connections}
            | _medians([r.singles[contender, connections] for r in rounds])
            for contender, connections in rounds[0].singles
        ],
    }
    text = json.dumps(json.loads(json.dumps(results), parse_float=lambda number: round(float(number), 3)), indent=1)
    (RESULTS / "compare.json").write_text(text + "\n")


def _plot(rounds: Sequence[Round]) -> None:
    medians = {contender: _medians([r.singles[contender, 64] for r in rounds]) for contender in CONTENDERS}
    order = sorted(medians, key=lambda contender: medians[contender]["rate"])
    names = [contender.name for contender in order]
    colors = [OURS_COLOR if contender is OURS else OTHERS_COLOR for contender in order]
    figure, (rates, tails) = plt.subplots(1, 2, figsize=(10, 3.4), sharey=True, layout="constrained")
    for axes, key, title in ((rates, "rate", "requests/s"), (tails, "p99", "p99, ms")):
        bars = axes.barh(names, [medians[contender][key] for contender in order], color=colors)
        axes.bar_label(bars, fmt="{:,.0f}", padding=3, fontsize=8)
        axes.set_title(f"{title} at 64 connections", fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0.15)
        axes.locator_params(axis="x", nbins=5)  # fewer ticks, because long labels would overlap
    figure.savefig(RESULTS / "compare.png", dpi=110)


if __name__ == "__main__":
    main()
