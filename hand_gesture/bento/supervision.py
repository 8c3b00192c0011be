"""The supervisor: `bentoml serve` runs it to start, monitor, restart and stop the workers.

This subclass of BentoML's supervisor fixes defects that have no setting; docs/upstream.md lists them.
tests/unit/bento/test_supervision.py, tests/faults/test_workers.py and
tests/service/test_{start,stop,workers,served_model}.py fail if a new BentoML or circus changes what is used here.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import resource
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Final, NoReturn, Protocol

from bentoml._internal.utils import circus
from circus.process import Process
from circus.sighandler import SysHandler
from circus.watcher import Watcher

CHECK_SECONDS: Final = 1.0
STOP_RETRY_SECONDS: Final = 0.02
SHUTDOWN_SECONDS: Final = 60.0  # the maximum of REQUEST_TIMEOUT_SECONDS
_API_SOCKET: Final = "_bento_api_server"
_SUPERVISOR_PIPE: Final = "HAND_GESTURE_SUPERVISOR_PIPE"  # file descriptor of a pipe that closes with the supervisor
_WORKERS: Final = "service"  # name of the workers' watcher
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
        # Keep references: subprocess reaps a process that is garbage collected, and its exit code is lost
        self._workers: dict[int, Process] = {}
        self._exit_code = 0
        self._reloads = bool(kwargs.get("plugins"))  # BentoML's only plugin is that of `bentoml serve --reload`
        for watcher in watchers:  # not those of plugins, which circus adds below
            watcher.respawn = True
            watcher.hooks["after_spawn"] = self._after_spawn
            watcher.hooks["after_signal"] = self._after_signal
        super().__init__(watchers, *args, **kwargs | {"check_delay": CHECK_SECONDS})

    def start(self, cb: Callable[[Any], Any] | None = None) -> None:
        del cb  # BentoML's callback only logs that the service has started; _started does, too
        _raise_file_limit()
        with self._own_metrics_folder(), self._supervisor_pipe():
            self._lost_workers = type(self).make_counter()
            try:
                super().start(self._started)
            except OSError as error:
                raise SystemExit(_explain(error, self.sockets[_API_SOCKET].port)) from None
        if self._exit_code:
            raise SystemExit(self._exit_code)

    @contextlib.contextmanager
    def _own_metrics_folder(self) -> Iterator[None]:
        """Give supervisor and workers a metrics folder that no other service with this BENTOML_HOME shares."""
        with tempfile.TemporaryDirectory(prefix="hand-gesture-metrics-", ignore_cleanup_errors=True) as folder:
            os.environ[_METRICS_FOLDER] = folder
            for watcher in self.watchers:
                watcher.env[_METRICS_FOLDER] = folder
            with _locked(folder):
                yield

    @contextlib.contextmanager
    def _supervisor_pipe(self) -> Iterator[None]:
        """Open a pipe that workers watch: it closes when the supervisor ends, also on SIGKILL."""
        read_end, write_end = os.pipe()
        os.set_inheritable(read_end, True)
        for watcher in self.watchers:
            watcher.env[_SUPERVISOR_PIPE] = str(read_end)
        try:
            yield
        finally:
            os.close(read_end)
            os.close(write_end)

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
        if self._exclusive_running_command is not None:
            return None  # circus would log a ConflictError with a stack trace
        self.reap_processes()  # before circus replaces lost workers, which is useless if the service has to stop
        return self.stop() if self._exit_code else super().manage_watchers()

    def reap_processes(self) -> None:
        # Not from the watchers' lists, because watchers drop exiting workers silently,
        # and not with waitpid(-1), which would reap children that are not workers
        for pid, worker in [*self._workers.items()]:
            exit_code = worker.poll()
            if exit_code is not None:
                del self._workers[pid]
                self._report(pid, exit_code)

    def _report(self, pid: int, exit_code: int) -> None:
        if exit_code == os.EX_CONFIG:
            logger.error("worker %d cannot start; stopping the service", pid)
            self._exit_code = exit_code
            return
        how = f"was killed by {_signal_name(-exit_code)}" if exit_code < 0 else f"exited with code {exit_code}"
        logger.error("worker %d %s; starting another one", pid, how)
        self._lost_workers.inc()

    def stop(self) -> Any:
        # The arbiter drops a command while another one runs, so retry
        if self._exclusive_running_command is None:
            return super().stop()
        self.loop.call_later(STOP_RETRY_SECONDS, self.stop)
        return None


def _raise_file_limit() -> None:
    """Let the workers open as many connections as the system allows; the soft limit is often 1024 files."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError):  # macOS accepts no soft limit as high as its hard limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Keep systemd from deleting a temporary folder that is old (https://systemd.io/TEMPORARY_DIRECTORIES)."""
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
        return f"Port {port} is in use by another program; stop that program, or set PORT to another port."
    if error.errno == errno.EACCES:
        return f"This user may not listen on port {port}; set PORT to a port above 1023."
    return f"The service cannot listen on port {port} ({error.strerror}); change PORT or BENTOML_HOST."


def _exit_with_supervisor() -> None:
    """In a worker: shut down gracefully when the supervisor is gone, and by SIGKILL if that takes too long."""
    pipe = os.environ.pop(_SUPERVISOR_PIPE, None)
    if pipe is None:
        return
    os.set_inheritable(int(pipe), False)

    def wait() -> None:
        os.read(int(pipe), 1)
        logger.error("the supervisor is gone; this worker shuts down")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(SHUTDOWN_SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, name="pipe", daemon=True).start()


def stop_service(reason: str) -> NoReturn:
    """In a worker that is starting: exit, and make the supervisor stop the service with ``os.EX_CONFIG``.

    For errors that a restarted worker would run into again.

    Args:
        reason: a sentence for the log.
    """
    logger.critical("%s", reason)
    os._exit(os.EX_CONFIG)  # uvicorn catches SystemExit during startup, logs its stack trace and exits with code 0


def install_supervisor(make_counter: Callable[[], Counter], reload_models: Callable[[Any], None]) -> None:
    """In the supervisor process, make BentoML use this supervisor; in a worker, shut down when the supervisor is gone.

    Args:
        make_counter: called once the metrics folder exists; returns the counter of workers that exited unexpectedly.
        reload_models: called with the workers' watcher (``circus.watcher.Watcher``) by `bentoml serve --reload`.
    """
    _exit_with_supervisor()
    _Arbiter.reload_models = staticmethod(reload_models)
    _Arbiter.make_counter = staticmethod(make_counter)
    circus.Arbiter = _Arbiter  # type: ignore[misc]
    SysHandler.handle_hup = SysHandler.handle_term
