"""Reads untrusted model files in a sandboxed subprocess.

The process cannot open files, sockets or pipes, because its limit of file descriptors is used up (POSIX); memory
(Linux) and CPU time (POSIX) are limited; an audit hook blocks Python functions that start processes or change files.
Not blocked are system calls without file descriptors, such as unlink, if an exploit runs native code. On Windows there
are only the audit hook and the timeout.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any, BinaryIO, Final

from pydantic import BaseModel, ValidationError

from hand_gesture.model.artifacts import (
    Artifacts,
    ArtifactsError,
    check_gestures,
    check_reference_hands,
    load_classifier,
    read_artifacts,
)
from hand_gesture.model.inspection import (
    Finding,
    InspectionError,
    ModelFile,
    Options,
    Reference,
    inspect,
    libraries_for,
)

MAX_FILE_BYTES: Final = 500_000_000
SPARE_BYTES: Final = 300_000_000  # memory for loading a small model and predicting
BYTES_PER_FILE_BYTE: Final = 6  # memory for the file: raw, decompressed, as objects, and serialized again
CPU_SECONDS: Final = 180
SECONDS: Final = 600.0  # wall-clock timeout, generous for a busy machine
_PROJECT: Final = Path(__file__).parents[2]
REFUSED: Final = (
    *(
        "open",
        "import",
        "socket.",
        "subprocess.",
        "shutil.",
        "tempfile.",
        "glob.",
        "webbrowser.",
        "ftplib.",
        "sqlite3.",
    ),
    *("os.chdir", "os.chmod", "os.chown", "os.exec", "os.fork", "os.forkpty", "os.kill", "os.killpg", "os.link"),
    *("os.listdir", "os.mkdir", "os.posix_spawn", "os.putenv", "os.remove", "os.rename", "os.rmdir", "os.scandir"),
    *("os.spawn", "os.startfile", "os.symlink", "os.system", "os.truncate", "os.unsetenv", "os.utime"),
    *("ctypes.dlopen", "ctypes.string_at", "ctypes.wstring_at", "mmap.", "pty.", "signal.", "syslog.", "winreg."),
)


class _Request(BaseModel):
    """Request to the subprocess: inspect a model, or check artifacts."""

    files: dict[str, tuple[str, int]] = {}  # role to name and size
    options: Options = Options()
    reference: Reference | None = None
    artifacts: str | None = None


class _Answer(BaseModel):
    error: str = ""
    finding: Finding | None = None


def inspect_in_sandbox(
    model: ModelFile, encoder: ModelFile | None, scaler: ModelFile | None, options: Options, reference: Reference
) -> tuple[Finding, bytes]:
    """Run ``inspection.inspect`` in the sandbox.

    Raises:
        InspectionError: the model cannot be used, or exceeded the limits on memory or time.
    """
    files = {role: file for role, file in (("model", model), ("encoder", encoder), ("scaler", scaler)) if file}
    for file in files.values():
        if len(file.content) > MAX_FILE_BYTES:
            raise InspectionError(f"{file.name} is larger than {MAX_FILE_BYTES // 1_000_000} MB.")
    request = _Request(
        files={role: (file.name, len(file.content)) for role, file in files.items()},
        options=options,
        reference=reference,
    )
    answer, content = _ask(request, [file.content for file in files.values()], model.name)
    if answer.finding is None:
        raise InspectionError(answer.error)
    return answer.finding, content


def check_in_sandbox(folder: Path) -> None:
    """Load a folder of artifacts in the sandbox as the service will, and classify the reference hands.

    Raises:
        ArtifactsError: the artifacts cannot be used, or exceeded the limits on memory or time.
    """
    try:
        answer, _ = _ask(_Request(artifacts=str(folder.resolve())), [], str(folder))
    except InspectionError as error:
        raise ArtifactsError(str(error)) from None
    if answer.error:
        raise ArtifactsError(answer.error)


def _ask(request: _Request, contents: list[bytes], name: str) -> tuple[_Answer, bytes]:
    environment = {key: value for key, value in os.environ.items() if key in {"PATH", "LD_LIBRARY_PATH", "SYSTEMROOT"}}
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment["PYTHONHASHSEED"] = "0"  # so that the same model is always serialized to the same bytes
    with subprocess.Popen(
        [sys.executable, "-m", "hand_gesture.model.sandbox"],
        cwd=_PROJECT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            output, errors = process.communicate(
                b"".join([request.model_dump_json().encode(), b"\n", *contents]), timeout=SECONDS
            )
        except subprocess.TimeoutExpired:
            process.kill()
            raise InspectionError(f"{name} was not loaded: reading it took longer than {SECONDS:g} seconds.") from None
    head, _, content = output.partition(b"\n")
    try:
        return _Answer.model_validate_json(head), content
    except ValidationError:
        raise InspectionError(f"{name} was not loaded: {_explain_end(process.returncode, errors)}.") from None


def _explain_end(code: int, errors: bytes) -> str:
    """Explain why the subprocess exited without an answer."""
    if code == -getattr(signal, "SIGXCPU", 0):
        return f"reading it took more than {CPU_SECONDS} seconds"
    if b"MemoryError" in errors or b"bad_alloc" in errors or b"llocat" in errors:
        return "it needs too much memory"
    if code < 0:
        return f"reading it ended the process ({signal.Signals(-code).name}), so it is damaged or malicious"
    lines = errors.decode(errors="replace").strip().splitlines()
    return f"reading it failed ({lines[-1][:200] if lines else f'exit code {code}'})"


# --- In the subprocess


def main() -> None:
    """Process one request from standard input."""
    warnings.simplefilter("ignore")
    source, target = sys.stdin.buffer, sys.stdout.buffer
    request = _Request.model_validate_json(source.readline())
    content = b""
    try:
        if request.artifacts is not None:
            answer = _check(Path(request.artifacts))
        else:
            answer, content = _inspect(request, source)
    except (InspectionError, ArtifactsError) as error:
        answer = _Answer(error=str(error))
    except MemoryError:
        answer = _Answer(error="The model was not loaded: it needs too much memory.")
    target.write(answer.model_dump_json().encode() + b"\n" + content)
    target.flush()
    os._exit(0)  # run no destructors of objects from the file


def _inspect(request: _Request, source: BinaryIO) -> tuple[_Answer, bytes]:
    files = {role: ModelFile(name, source.read(size)) for role, (name, size) in request.files.items()}
    _restrict([file.content for file in files.values()])
    assert request.reference is not None  # noqa: S101 (always set together with a model)
    finding, content = inspect(
        files["model"], files.get("encoder"), files.get("scaler"), request.options, request.reference
    )
    return _Answer(finding=finding), content


def _check(folder: Path) -> _Answer:
    files, manifest, version = read_artifacts(folder)
    _restrict([*files.values()])
    classifier = load_classifier(files, manifest)
    check_reference_hands(Artifacts(classifier, manifest, version), files)
    check_gestures(classifier, files)
    return _Answer()


def _restrict(contents: list[bytes]) -> None:
    """Import the libraries that the files may need, then enter the sandbox."""
    from hand_gesture.model import estimators  # noqa: PLC0415 (not imported in the parent process)

    estimators.import_all(libraries_for(*contents))
    with contextlib.suppress(ImportError):  # not on Windows
        limit(sum(map(len, contents)))
    sys.addaudithook(refuse)


def limit(size: int) -> None:
    """Limit the resources of this process for files of ``size`` bytes, and close all but the standard streams."""
    import resource  # noqa: PLC0415

    def lower(kind: int, value: int, *, spare: int = 0) -> None:
        _, hard = resource.getrlimit(kind)
        most = sys.maxsize if hard == resource.RLIM_INFINITY else hard
        resource.setrlimit(kind, (min(value, most), min(value + spare, most)))

    lower(resource.RLIMIT_CPU, CPU_SECONDS, spare=1)  # SIGXCPU, which _explain_end knows, comes before SIGKILL
    lower(resource.RLIMIT_CORE, 0)
    lower(resource.RLIMIT_FSIZE, 0)
    if (now := _address_space()) and sys.platform.startswith("linux"):
        lower(resource.RLIMIT_AS, now + SPARE_BYTES + BYTES_PER_FILE_BYTE * size)
    lower(resource.RLIMIT_NPROC, 0)
    os.closerange(3, 4096)
    lower(resource.RLIMIT_NOFILE, 0)


def _address_space() -> int:
    with contextlib.suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def refuse(event: str, _arguments: tuple[Any, ...]) -> None:
    """Audit hook that blocks the events in ``REFUSED``."""
    if event.startswith(REFUSED):
        raise PermissionError(f"{event} is not allowed while reading a model file")


if __name__ == "__main__":
    main()
