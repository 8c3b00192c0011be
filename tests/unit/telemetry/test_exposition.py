"""Metrics shared by processes, tested in subprocesses, because prometheus_client chooses its mode at import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.server import PROJECT

BEGIN = """
import json, os, sys
from pathlib import Path
from prometheus_client import Counter, Gauge
from hand_gesture.telemetry import exposition

with exposition.shared_by_workers():
    counter = Counter("things", "Some.")
    gauge = Gauge("now", "Some.", multiprocess_mode="livesum")
counter.inc(3)
gauge.set(5)

def rendered():
    return sorted(line for line in exposition.render_metrics().decode().splitlines() if line[0] != "#")
"""


def run(script: str, folder: Path) -> Any:
    result = subprocess.run(
        [sys.executable, "-c", BEGIN + script],
        cwd=PROJECT,
        env=os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with metrics of a process that has exited."""
    run("print(1)", tmp_path)
    return tmp_path


def test_processes_are_summed_and_live_gauges_of_dead_ones_dropped(folder: Path) -> None:
    assert len([*folder.glob("gauge_livesum_*.db")]) == 1
    assert run("print(json.dumps(rendered()))", folder) == ["now 5.0", "things_total 6.0"]


def test_disk_space_for_metrics_is_allocated_at_start(folder: Path) -> None:
    """The disk may not have space for later writes to a sparse file."""
    taken = run("print(json.dumps([p.stat().st_blocks * 512 for p in exposition._own_files]))", folder)
    assert len(taken) == 2
    assert min(taken) >= 65_536


@pytest.mark.parametrize("pattern", ["*", "counter_{pid}.db"])
def test_deleted_metric_files_are_an_error(folder: Path, pattern: str) -> None:
    script = f"""
for path in Path({str(folder)!r}).glob({pattern!r}.format(pid=os.getpid())):
    path.unlink()
try:
    print(json.dumps(rendered()))
except exposition.MetricsLostError as error:
    print(json.dumps(str(error)))
"""
    assert run(script, folder) == f"Metric files were deleted from {folder} while the service was running; restart it."


@pytest.mark.parametrize("present", [True, False])
def test_without_a_writable_folder_each_process_counts_separately(tmp_path: Path, present: bool) -> None:
    folder = tmp_path / "figures"
    if present:
        folder.write_text("no folder")
    lines = run("print(json.dumps(rendered()))", folder)
    assert {"things_total 3.0", "now 5.0"} <= {*lines}
