"""Measures the CPU time to parse or reject valid and malicious bodies, minimum of ten: python -m bench.bodies."""

from __future__ import annotations

from tests.fuzz.account import reading_cost
from tests.fuzz.corpus import MAX_BODY_BYTES, SEVERAL_HANDS

TIMES = 10


def main() -> None:
    """Print the time for each body of the corpus for /predict_batch, the slowest first."""
    read = {name: body for name, (body, _) in SEVERAL_HANDS.items() if len(body) <= MAX_BODY_BYTES}
    costs = {name: min(reading_cost(body) for _ in range(TIMES)) for name, body in read.items()}
    for name, cost in sorted(costs.items(), key=lambda item: -item[1]):
        print(f"{1000 * cost:6.1f} ms  {len(read[name]) / 1e6:5.2f} MB  {name}")


if __name__ == "__main__":
    main()
