"""How the supervisor, which `bentoml serve` runs beside its workers, starts and ends them and looks after them.

BentoML's own looks for lost workers every ten seconds, says nothing of them, and does not replace them in a container;
drops a SIGTERM that comes while it starts a worker, and takes a SIGHUP for a reload; shows a stack trace where it may
not listen, and http:// where it serves https://; and wipes the figures of another service that has the same
BENTOML_HOME. It has no setting for any of that, so this reaches into it. tests/faults/test_workers.py and
tests/service/test_{start,stop,workers}.py fail where a new BentoML changes what is used here.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Final, Protocol

from bentoml._internal.utils import circus
from circus.sighandler import SysHandler

CHECK_SECONDS: Final = 1.0
STOP_RETRY_SECONDS: Final = 0.02
_API_SOCKET: Final = "_bento_api_server"
_SERVICE: Final = "service"  # circus' watcher of the workers
_FIGURES: Final = "PROMETHEUS_MULTIPROC_DIR"

# BentoML shows what its own loggers say
logger = logging.getLogger("bentoml.service.hand_gesture.supervision")


class Counter(Protocol):
    """What counts lost workers."""

    def inc(self) -> None:
        """Count one more."""


class _ReliableArbiter(circus.Arbiter):
    make_counter: ClassVar[Callable[[], Counter]]
    follow_model: ClassVar[Callable[[Any], None]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs | {"check_delay": CHECK_SECONDS})
        self._reloads = bool(kwargs.get("plugins"))  # BentoML's only one, of `bentoml serve --reload`

    def start(self, cb: Callable[[Any], Any] | None = None) -> None:
        del cb  # BentoML's own line about the start
        with self._own_figures():
            self._lost_workers = type(self).make_counter()
            for watcher in self.watchers:
                watcher.respawn = True
            try:
                super().start(self._started)
            except OSError as error:
                raise SystemExit(_sentence(error, self.sockets[_API_SOCKET].port)) from None

    @contextlib.contextmanager
    def _own_figures(self) -> Iterator[None]:
        """Have supervisor and workers share their figures in a folder that no other service has."""
        with tempfile.TemporaryDirectory(prefix="hand-gesture-figures-", ignore_cleanup_errors=True) as folder:
            os.environ[_FIGURES] = folder
            for watcher in self.watchers:
                watcher.env[_FIGURES] = folder
            yield

    def _started(self, _: Any) -> None:
        workers = self.get_watcher(_SERVICE)
        socket = self.sockets[_API_SOCKET]
        scheme = "https" if "--ssl-certfile" in workers.args else "http"
        host = "localhost" if socket.host in ("0.0.0.0", "::") else socket.host  # noqa: S104 (compared, not bound)
        logger.info("listening on %s://%s:%d (press CTRL+C to quit)", scheme, host, socket.port)
        if self._reloads:
            type(self).follow_model(workers)

    def manage_watchers(self) -> Any:
        # While workers are restarted, circus would log a ConflictError with a stack trace
        return super().manage_watchers() if self._exclusive_running_command is None else None

    def reap_processes(self) -> None:
        # Not by the watchers' lists: a watcher strikes off, and tells nobody of, a worker that is ending still
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                self._report(pid, os.waitstatus_to_exitcode(status))

    def _report(self, pid: int, exit_code: int) -> None:
        how = f"was killed by {signal.Signals(-exit_code).name}" if exit_code < 0 else f"ended with code {exit_code}"
        logger.error("worker %d %s; another takes its place", pid, how)
        self._lost_workers.inc()

    def stop(self) -> Any:
        # The arbiter does one thing at a time, and drops a command that comes meanwhile: here this one waits its turn
        if self._exclusive_running_command is None:
            return super().stop()
        self.loop.call_later(STOP_RETRY_SECONDS, self.stop)
        return None


def _sentence(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return "Another program listens on this port; end it, or set PORT to another one."
    if error.errno == errno.EACCES:
        return f"This user may not listen on port {port}; set PORT to one above 1023."
    return f"The service cannot listen on port {port} ({error.strerror}); set PORT or BENTOML_HOST to what it can take."


def use_reliable_supervisor(make_counter: Callable[[], Counter], follow_model: Callable[[Any], None]) -> None:
    """Have the supervisor that starts after this look after its workers, and end when told to.

    Args:
        make_counter: called once, when the folder for shared figures is there; counts workers that ended by themselves.
        follow_model: called once with circus' watcher of the workers, where `bentoml serve --reload` was asked for.
    """
    _ReliableArbiter.follow_model = staticmethod(follow_model)
    _ReliableArbiter.make_counter = staticmethod(make_counter)
    circus.Arbiter = _ReliableArbiter  # type: ignore[misc]
    SysHandler.handle_hup = SysHandler.handle_term
