"""How the supervisor, which `bentoml serve` runs beside its workers, starts and ends them and looks after them.

BentoML has it look for lost workers every ten seconds and offers no setting, it drops a SIGTERM that comes while it
starts a worker, and a port that is taken ends it with a stack trace; so this reaches into it.
tests/faults/test_workers.py, tests/service/test_stop.py and tests/service/test_start.py fail where a new BentoML
changes what is used here.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any, Final

from bentoml._internal.utils import circus

CHECK_SECONDS: Final = 1.0
STOP_RETRY_SECONDS: Final = 0.02


class _ReliableArbiter(circus.Arbiter):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs | {"check_delay": CHECK_SECONDS})

    def start(self, cb: Callable[[Any], Any] | None = None) -> None:
        try:
            super().start(cb)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise SystemExit("Another program listens on this port; end it, or set PORT to another one.") from None

    def stop(self) -> Any:
        # The arbiter does one thing at a time, and drops a command that comes meanwhile: here this one waits its turn
        if self._exclusive_running_command is None:
            return super().stop()
        self.loop.call_later(STOP_RETRY_SECONDS, self.stop)
        return None


def use_reliable_supervisor() -> None:
    """Have the supervisor that starts after this replace lost workers within about a second, and end when told to."""
    circus.Arbiter = _ReliableArbiter  # type: ignore[misc]
