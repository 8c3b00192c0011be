"""How many examples are generated: each run has the same; FUZZ_TIMES=n (`make fuzz`) gives n times as many new ones."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("FUZZ_TIMES", "0"))


def effort(examples: int) -> settings:
    """Settings for a test that generates as many examples as that, or a multiple."""
    return settings(
        max_examples=examples * (TIMES or 1),
        derandomize=not TIMES,
        deadline=None,
        database=None,
        suppress_health_check=[*HealthCheck],
    )
