"""Four times as many clients as the service takes at once."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import pytest

from hand_gesture.web.admission import OVERLOAD_PAUSE_SECONDS
from tests.faults.bodies import good_hands
from tests.load import percentile, traffic
from tests.server import serve

TAKEN = 128  # connections at which the service is as fast as it gets
SECONDS = 5
SECONDS_TO_RECOVER = 2


@pytest.fixture(autouse=True)
def _no_collections() -> Iterator[None]:
    """Outcomes pile up, and walking through them again and again would slow down the load."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize(
    ("patience", "longer", "rate_kept"),
    [
        pytest.param(1, 0, 0.6, id="clients wait as told"),
        pytest.param(0, 2 * OVERLOAD_PAUSE_SECONDS, 0.3, id="they do not"),
    ],
)
def test_what_is_too_much_is_refused_quickly_and_the_rest_stays_fast(
    home: Path, patience: float, longer: float, rate_kept: float
) -> None:
    hands = good_hands()
    with serve(home, MAX_IN_FLIGHT=TAKEN) as server:
        with traffic(server.url, hands, connections=TAKEN, patience=patience) as first:
            time.sleep(1)
            start = perf_counter()
            time.sleep(SECONDS)
            full = first.between(start, start + SECONDS)
            with traffic(server.url, hands, connections=3 * TAKEN, patience=patience) as more:
                time.sleep(1)
                start = perf_counter()
                time.sleep(SECONDS)
                accepted, refused = (
                    [outcome for load in (first, more) for outcome in load.between(start, start + SECONDS, status)]
                    for status in (200, 503)
                )
            start = perf_counter() + SECONDS_TO_RECOVER
            time.sleep(SECONDS_TO_RECOVER + SECONDS)
            after = first.between(start, start + SECONDS)
    full_p99, accepted_p99, refused_p99 = (percentile(outcomes, 99) for outcomes in (full, accepted, refused))
    print(
        f"\n{TAKEN} clients: {len(full) / SECONDS:.0f}/s, p99 {1000 * full_p99:.0f} ms; "
        f"{4 * TAKEN}: {len(accepted) / SECONDS:.0f}/s, p99 {1000 * accepted_p99:.0f} ms, and "
        f"{len(refused) / SECONDS:.0f}/s refused, p99 {1000 * refused_p99:.0f} ms; "
        f"{TAKEN} again, after {SECONDS_TO_RECOVER} s: {len(after) / SECONDS:.0f}/s"
    )
    assert refused_p99 <= 3 * full_p99 + longer
    assert accepted_p99 <= 3 * full_p99 + longer
    assert len(accepted) >= rate_kept * len(full)
    assert len(after) >= 0.5 * len(full)  # machines themselves change their speed by a third
    for load in (first, more):
        assert load.lost == load.refused == 0
        assert {outcome.status for outcome in load.wrong()} <= {503}
