"""How the supervisor, which `bentoml serve` runs beside its workers, starts and looks after them.

BentoML has it look for lost workers every ten seconds and offers no setting, and a port that is taken ends it with a
stack trace; so this reaches into it. tests/faults/test_workers.py and tests/service/test_start.py fail where a new
BentoML changes what is used here.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any, Final

from bentoml._internal.utils import circus

CHECK_SECONDS: Final = 1.0


class _WatchfulArbiter(circus.Arbiter):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs | {"check_delay": CHECK_SECONDS})

    def start(self, cb: Callable[[Any], Any] | None = None) -> None:
        try:
            super().start(cb)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise SystemExit("Another program listens on this port; end it, or set PORT to another one.") from None


def watch_workers_closely() -> None:
    """Have the supervisor that starts after this replace lost workers within about a second."""
    circus.Arbiter = _WatchfulArbiter  # type: ignore[misc]
