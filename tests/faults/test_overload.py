"""Overload: four times as many clients as the service accepts at once."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import pytest

from hand_gesture.web.admission import OVERLOAD_PAUSE_SECONDS
from tests.faults.bodies import good_hands
from tests.load import Outcome, Traffic, percentile, traffic
from tests.server import serve

TAKEN = 128  # connections at which throughput is highest
ROUNDS = 3
SECONDS = 3
SECONDS_TO_SETTLE = 1
SECONDS_TO_RECOVER = 2


@pytest.fixture(autouse=True)
def _no_collections() -> Iterator[None]:
    """Disable garbage collection, which would slow down the load by traversing the growing list of results."""
    gc.disable()
    yield
    gc.enable()


def observe(*loads: Traffic, after: float) -> dict[int, list[Outcome]]:
    """Results of the requests of some seconds, with status 200 and 503."""
    time.sleep(after)
    start = perf_counter()
    time.sleep(SECONDS)
    return {
        status: [outcome for load in loads for outcome in load.between(start, start + SECONDS, status)]
        for status in (200, 503)
    }


@pytest.mark.parametrize(
    ("patience", "longer", "rate_kept"),
    [
        pytest.param(1, 0, 0.6, id="clients wait as told"),
        pytest.param(0, 2 * OVERLOAD_PAUSE_SECONDS, 0.3, id="they do not"),
    ],
)
def test_overload_is_rejected_quickly_and_accepted_requests_stay_fast(
    home: Path, patience: float, longer: float, rate_kept: float
) -> None:
    """Compares each overload with the normal load before and after it, because the speed of the machine varies."""
    hands = good_hands()
    crowded: list[dict[int, list[Outcome]]] = []
    with (
        serve(home, MAX_IN_FLIGHT=TAKEN) as server,
        traffic(server.url, hands, connections=TAKEN, patience=patience) as first,
    ):
        loads = [first]
        normal = [observe(first, after=SECONDS_TO_SETTLE)[200]]
        for _ in range(ROUNDS):
            with traffic(server.url, hands, connections=3 * TAKEN, patience=patience) as more:
                loads.append(more)
                crowded.append(observe(first, more, after=SECONDS_TO_SETTLE))
            normal.append(observe(first, after=SECONDS_TO_RECOVER)[200])
    ratios: dict[str, list[float]] = {"accepted p99": [], "refused p99": [], "rate": [], "rate after": []}
    for overload, before, after in zip(crowded, normal, normal[1:], strict=False):
        usual_p99 = (percentile(before, 99) + percentile(after, 99)) / 2
        ratios["accepted p99"].append((percentile(overload[200], 99) - longer) / usual_p99)
        ratios["refused p99"].append((percentile(overload[503], 99) - longer) / usual_p99)
        ratios["rate"].append(2 * len(overload[200]) / (len(before) + len(after)))
        ratios["rate after"].append(len(after) / len(before))
    medians = {name: statistics.median(values) for name, values in ratios.items()}
    rates = [len(outcomes) // SECONDS for outcomes in normal]
    rounded = {name: [round(value, 2) for value in values] for name, values in ratios.items()}
    print(f"\n{TAKEN} clients: {rates} answers a second; {4 * TAKEN} clients, as ratios to that: {rounded}")
    assert medians["refused p99"] <= 3
    assert medians["accepted p99"] <= 3
    assert medians["rate"] >= rate_kept
    assert medians["rate after"] >= 0.5
    for load in loads:
        assert load.lost == load.refused == 0
        assert {outcome.status for outcome in load.wrong()} <= {503}
