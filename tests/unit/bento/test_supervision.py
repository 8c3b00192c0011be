"""In a process of its own, because the supervisor takes every child that has ended."""

from __future__ import annotations

import subprocess
import sys

from tests.server import PROJECT

SCRIPT = """
import subprocess
from bentoml._internal.utils import circus
from prometheus_client import Counter
from hand_gesture.bento.supervision import use_reliable_supervisor

lost = Counter("lost", "")
use_reliable_supervisor(lambda: lost)
arbiter = circus.Arbiter([], "tcp://127.0.0.1:0", "tcp://127.0.0.1:0")
arbiter._lost_workers = lost
worker = subprocess.Popen(["false"])
while not lost._value.get():
    arbiter.reap_processes()
print("counted once:", lost._value.get() == 1, worker.pid)
"""


def test_worker_that_its_watcher_has_struck_off_is_counted() -> None:
    """As circus strikes off one that is ending still, which cannot be reaped yet."""
    command = [sys.executable, "-c", SCRIPT]
    result = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.startswith("counted once: True")
    assert f"worker {result.stdout.split()[-1]} ended with code 1" in result.stderr
