"""Number of generated examples: the same in each run; FUZZ_TIMES=n (`make fuzz`) generates n times as many new ones."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("FUZZ_TIMES", "0"))


def effort(examples: int) -> settings:
    """Hypothesis settings for this number of examples, or a multiple of it."""
    return settings(
        max_examples=examples * (TIMES or 1),
        derandomize=not TIMES,
        deadline=None,
        database=None,
        suppress_health_check=[*HealthCheck],
    )
