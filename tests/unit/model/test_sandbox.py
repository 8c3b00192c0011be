from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hand_gesture.model import sandbox
from hand_gesture.model.inspection import InspectionError, ModelFile, Options, Reference
from tests.server import PROJECT

LIMIT = 2_000_000
SMALL = ModelFile("small.pkl", b"no pickle")
REFERENCE = Reference(image_size=(1, 1), gestures=[], hands=[])


@pytest.mark.parametrize("role", ["model", "encoder", "scaler"])
def test_files_above_the_limit_are_rejected_unread(monkeypatch: pytest.MonkeyPatch, role: str) -> None:
    """A file takes several times its size in memory while it is read."""
    monkeypatch.setattr(sandbox, "MAX_FILE_BYTES", LIMIT)
    files = {role: ModelFile("large.pkl", bytes(LIMIT + 1))}
    with pytest.raises(InspectionError, match=r"^large\.pkl is larger than 2 MB\.$"):
        sandbox.inspect_in_sandbox(
            files.get("model", SMALL), files.get("encoder"), files.get("scaler"), Options(), REFERENCE
        )


def test_a_file_of_the_largest_size_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "MAX_FILE_BYTES", LIMIT)
    with pytest.raises(InspectionError, match="it is not a pickle"):
        sandbox.inspect_in_sandbox(
            ModelFile("largest.pkl", b"no pickle".ljust(LIMIT)), None, None, Options(), REFERENCE
        )


@pytest.mark.parametrize(
    ("code", "errors", "sentence"),
    [
        (-24, b"", "reading it took more than 180 seconds"),
        (1, b"Traceback:\n\nMemoryError\n", "it needs too much memory"),
        (-6, b"terminate called after throwing an instance of 'std::bad_alloc'", "it needs too much memory"),
        (1, b"numpy._ArrayMemoryError: Unable to allocate 9 GiB", "it needs too much memory"),
        (-9, b"", "reading it ended the process (SIGKILL), so it is damaged or malicious"),
        (-11, b"some output", "reading it ended the process (SIGSEGV), so it is damaged or malicious"),
        (1, b"Traceback:\nValueError: \xff\n", "reading it failed (ValueError: \ufffd)"),
        (1, b"x" * 300, f"reading it failed ({'x' * 200})"),
        (3, b"", "reading it failed (exit code 3)"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="signals have other numbers elsewhere")
def test_the_end_of_the_process_is_explained(code: int, errors: bytes, sentence: str) -> None:
    assert sandbox._explain_end(code, errors) == sentence


@pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is complete on Linux only")
def test_cpu_time_is_limited_by_a_signal_that_tells_the_reason() -> None:
    code = """
import time
from hand_gesture.model import sandbox
sandbox.CPU_SECONDS = int(time.process_time()) + 1
sandbox.limit(0)
while True:
    pass
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=False)
    assert result.returncode == -signal.SIGXCPU


@pytest.mark.skipif(sys.platform == "win32", reason="a script takes the place of Python")
def test_the_process_gets_no_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\nenv > '{tmp_path}/environment'\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    for name in ("API_KEY", "METRICS_TOKEN", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "secret")
    with pytest.raises(InspectionError):
        sandbox.inspect_in_sandbox(SMALL, None, None, Options(), REFERENCE)
    names = {line.partition("=")[0] for line in (tmp_path / "environment").read_text().splitlines()}
    of_the_shell = {"PWD", "OLDPWD", "SHLVL", "_"}
    threads = {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"}
    assert names - of_the_shell - {"LD_LIBRARY_PATH"} == {"PATH", "PYTHONHASHSEED"} | threads


# Each raises MemoryError or OSError if it is blocked
ESCAPES = (
    "bytearray(2_000_000_000)",
    "os.open('/etc/hostname', os.O_RDONLY)",
    "open('/etc/hostname')",
    "socket.socket()",
    "os.pipe()",
    "os.system('true')",
    "os.fork()",
    "os.listdir('/')",
    "os.kill(os.getpid(), 0)",
    "if library.socket(2, 1, 0) < 0: raise OSError",  # a system call without Python
    "if library.fork() < 0: raise OSError",
)
CODE = """
import ctypes, io, os, pathlib, socket, sys
from hand_gesture.model import sandbox
library = ctypes.CDLL(None)
codes = [(line, compile(line, "escape", "exec")) for line in sys.argv[2:]]

def escape(*_):
    for line, code in codes:
        try:
            exec(code, globals())
            os.write(1, f"{line}\\n".encode())
        except (MemoryError, OSError):
            pass
    os._exit(7)

sandbox.inspect = sandbox.load_classifier = escape
if sys.argv[1] == "model":
    reference = sandbox.Reference(image_size=(1, 1), gestures=[], hands=[])
    request = sandbox._Request(files={"model": ("model.pkl", 0)}, reference=reference)
    sandbox._inspect(request, io.BytesIO())
else:
    sandbox._check(pathlib.Path("artifacts"))
"""


@pytest.mark.parametrize("what", ["model", "artifacts"])
@pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is complete on Linux only")
def test_code_in_a_file_cannot_escape(what: str) -> None:
    """Even code that gets past the unpickler has no memory, files, sockets or processes."""
    escapes = [line for line in ESCAPES if "library.fork" not in line or os.geteuid() != 0]  # root has no such limit
    command = [sys.executable, "-c", CODE, what, *escapes]
    result = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (7, ""), result.stderr
