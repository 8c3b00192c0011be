"""How soon the supervisor, which `bentoml serve` runs beside its workers, notices that one of them is gone.

BentoML has it look every ten seconds and offers no setting, so this reaches into it; tests/faults/test_workers.py
fails where a new BentoML changes what is used here.
"""

from __future__ import annotations

from typing import Any, Final

from bentoml._internal.utils import circus

CHECK_SECONDS: Final = 1.0


class _WatchfulArbiter(circus.Arbiter):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs | {"check_delay": CHECK_SECONDS})


def watch_workers_closely() -> None:
    """Have the supervisor that starts after this replace lost workers within about a second."""
    circus.Arbiter = _WatchfulArbiter  # type: ignore[misc]
