"""The supervisor, which `bentoml serve` runs to start, monitor, restart and stop its workers.

BentoML's own looks for lost workers every ten seconds, says nothing of them, and does not replace them in a container;
leaves its workers running, and the port taken, when it is killed itself; drops a SIGTERM that comes while it starts a
worker, and takes a SIGHUP for a reload; shows a stack trace where it may not listen, and http:// where it serves
https://; and wipes the figures of another service that has the same BENTOML_HOME. It has no setting for any of that, so
this reaches into it. tests/unit/bento/test_supervision.py, tests/faults/test_workers.py and
tests/service/test_{start,stop,workers}.py fail where a new BentoML changes what is used here.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Final, Protocol

from bentoml._internal.utils import circus
from circus.process import Process
from circus.sighandler import SysHandler
from circus.watcher import Watcher

CHECK_SECONDS: Final = 1.0
STOP_RETRY_SECONDS: Final = 0.02
SHUTDOWN_SECONDS: Final = 60.0  # no request takes longer
_API_SOCKET: Final = "_bento_api_server"
_SUPERVISOR_PIPE: Final = "HAND_GESTURE_SUPERVISOR_PIPE"  # descriptor of a pipe that closes with the supervisor
_WORKERS: Final = "service"  # circus' watcher of the workers
_METRICS_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"

# A child of BentoML's logger, whose level and format it inherits
logger = logging.getLogger("bentoml.service.hand_gesture.supervision")


class Counter(Protocol):
    """Counter of lost workers."""

    def inc(self) -> None:
        """Count one more."""


class _Arbiter(circus.Arbiter):
    make_counter: ClassVar[Callable[[], Counter]]
    reload_models: ClassVar[Callable[[Any], None]]

    def __init__(self, watchers: list[Watcher], *args: Any, **kwargs: Any) -> None:
        # References to the processes keep their exit codes: subprocess reaps what is garbage collected
        self._workers: dict[int, Process] = {}
        self._reloads = bool(kwargs.get("plugins"))  # BentoML has one plugin, for `bentoml serve --reload`
        for watcher in watchers:  # without plugins, which are added below
            watcher.respawn = True
            watcher.hooks["after_spawn"] = self._after_spawn
            watcher.hooks["after_signal"] = self._after_signal
        super().__init__(watchers, *args, **kwargs | {"check_delay": CHECK_SECONDS})

    def start(self, cb: Callable[[Any], Any] | None = None) -> None:
        del cb  # BentoML's would log another line
        with self._own_metrics_folder(), self._supervisor_pipe():
            self._lost_workers = type(self).make_counter()
            try:
                super().start(self._started)
            except OSError as error:
                raise SystemExit(_explain(error, self.sockets[_API_SOCKET].port)) from None

    @contextlib.contextmanager
    def _own_metrics_folder(self) -> Iterator[None]:
        """Share the metrics of supervisor and workers in a folder of this service alone."""
        with tempfile.TemporaryDirectory(prefix="hand-gesture-figures-", ignore_cleanup_errors=True) as folder:
            os.environ[_METRICS_FOLDER] = folder
            for watcher in self.watchers:
                watcher.env[_METRICS_FOLDER] = folder
            with _locked(folder):
                yield

    @contextlib.contextmanager
    def _supervisor_pipe(self) -> Iterator[None]:
        """Open a pipe that workers watch: it closes when the supervisor ends, also on SIGKILL."""
        watched, kept = os.pipe()
        os.set_inheritable(watched, True)
        for watcher in self.watchers:
            watcher.env[_SUPERVISOR_PIPE] = str(watched)
        try:
            yield
        finally:
            os.close(watched)
            os.close(kept)

    def _after_spawn(self, watcher: Watcher, pid: int, **_: Any) -> bool:
        self._workers[pid] = watcher.processes[pid]
        return True

    def _after_signal(self, pid: int, **_: Any) -> bool:
        # Stopped on purpose, so not lost
        self._workers.pop(pid, None)
        return True

    def _started(self, _: Any) -> None:
        workers = self.get_watcher(_WORKERS)
        socket = self.sockets[_API_SOCKET]
        scheme = "https" if "--ssl-certfile" in workers.args else "http"
        host = "localhost" if socket.host in ("0.0.0.0", "::") else socket.host  # noqa: S104 (compared, not bound)
        logger.info("listening on %s://%s:%d (press CTRL+C to quit)", scheme, host, socket.port)
        if self._reloads:
            type(self).reload_models(workers)

    def manage_watchers(self) -> Any:
        # While workers are restarted, circus would log a ConflictError with a stack trace
        return super().manage_watchers() if self._exclusive_running_command is None else None

    def reap_processes(self) -> None:
        # Not from the watchers' lists: watchers drop exiting workers silently.
        # Nor with waitpid(-1): other children are their parents' to reap.
        for pid, worker in [*self._workers.items()]:
            exit_code = worker.poll()
            if exit_code is not None:
                del self._workers[pid]
                self._report(pid, exit_code)

    def _report(self, pid: int, exit_code: int) -> None:
        how = f"was killed by {_signal_name(-exit_code)}" if exit_code < 0 else f"ended with code {exit_code}"
        logger.error("worker %d %s; another takes its place", pid, how)
        self._lost_workers.inc()

    def stop(self) -> Any:
        # The arbiter drops a command while another one runs, so retry
        if self._exclusive_running_command is None:
            return super().stop()
        self.loop.call_later(STOP_RETRY_SECONDS, self.stop)
        return None


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Keep systemd's cleaner of temporary folders away (https://systemd.io/TEMPORARY_DIRECTORIES)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals have numbers only
        return f"signal {number}"


def _explain(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return "Another program listens on this port; end it, or set PORT to another one."
    if error.errno == errno.EACCES:
        return f"This user may not listen on port {port}; set PORT to one above 1023."
    return f"The service cannot listen on port {port} ({error.strerror}); set PORT or BENTOML_HOST to what it can take."


def _exit_with_supervisor() -> None:
    """In a worker: exit as on SIGTERM when the supervisor is gone, and by SIGKILL if that takes too long."""
    pipe = os.environ.pop(_SUPERVISOR_PIPE, None)
    if pipe is None:
        return
    os.set_inheritable(int(pipe), False)

    def wait() -> None:
        os.read(int(pipe), 1)
        logger.error("the supervisor has gone; this worker ends, too")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(SHUTDOWN_SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, name="pipe", daemon=True).start()


def install_supervisor(make_counter: Callable[[], Counter], reload_models: Callable[[Any], None]) -> None:
    """Make BentoML use this supervisor from now on; in a worker, exit with it.

    Args:
        make_counter: called once, when the folder for shared figures is there; counts workers that ended by themselves.
        reload_models: called once with circus' watcher of the workers, where `bentoml serve --reload` was asked for.
    """
    _exit_with_supervisor()
    _Arbiter.reload_models = staticmethod(reload_models)
    _Arbiter.make_counter = staticmethod(make_counter)
    circus.Arbiter = _Arbiter  # type: ignore[misc]
    SysHandler.handle_hup = SysHandler.handle_term
