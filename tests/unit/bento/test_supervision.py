"""What hand_gesture/bento/supervision.py relies on in circus: if one fails after an update, fix that module.

In a process of its own, because a supervisor changes how its process treats signals and children.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.server import PROJECT

SCRIPT = """
import os, subprocess, sys
from bentoml._internal.utils import circus
from circus.watcher import Watcher
from prometheus_client import Counter
from hand_gesture.bento.supervision import install_supervisor

lost = Counter("lost", "")
install_supervisor(lambda: lost, lambda watcher: None)
watcher = Watcher("workers", "sh", args=["-c", sys.argv[1]])
arbiter = circus.Arbiter([watcher], "tcp://127.0.0.1:0", "tcp://127.0.0.1:0")
arbiter._lost_workers = lost
watcher.initialize(None, arbiter.sockets, arbiter)
watcher._status = "active"
watcher.spawn_process()
(pid,) = watcher.processes
watcher.processes.clear()
print(pid)

other = subprocess.Popen(["sh", "-c", "exit 7"])
os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
while not lost._value.get():
    arbiter.reap_processes()
arbiter.reap_processes()
print(lost._value.get(), other.wait())
"""


@pytest.mark.parametrize(
    ("command", "end"),
    [
        ("exit 1", "exited with code 1"),
        ("kill -9 $$", "was killed by SIGKILL"),
        ("kill -35 $$", "was killed by signal 35"),
    ],
)
def test_worker_dropped_by_its_watcher_is_counted_and_no_other_child(command: str, end: str) -> None:
    """Circus drops a worker that is still exiting and cannot be reaped yet."""
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, command], cwd=PROJECT, capture_output=True, text=True, timeout=60, check=True
    )
    pid, counted, exit_code = result.stdout.split()
    assert (counted, exit_code) == ("1.0", "7")
    assert f"worker {pid} {end}; starting another one" in result.stderr


COMMAND_RUNS = """
from bentoml._internal.utils import circus
from circus.watcher import Watcher
from hand_gesture.bento.supervision import install_supervisor

install_supervisor(lambda: None, lambda watcher: None)
arbiter = circus.Arbiter([Watcher("workers", "true")], "tcp://127.0.0.1:0", "tcp://127.0.0.1:0")
arbiter._exclusive_running_command = "watcher_reload"
print(arbiter.manage_watchers(), arbiter._exclusive_running_command)
"""


def test_workers_are_not_checked_while_another_command_runs() -> None:
    """Circus raises a ConflictError then, and logs it with a stack trace each second."""
    command = [sys.executable, "-c", COMMAND_RUNS]
    result = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False)
    assert (result.stdout, result.stderr) == ("None watcher_reload\n", "")
