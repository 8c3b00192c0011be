"""Loads model files like the import, each in a fork of this process: `read_in_fork` from elsewhere.

The process itself only imports, so that no thread of a compiled library is lost in a fork.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hand_gesture.model import estimators, sandbox
from hand_gesture.model.inspection import InspectionError, ModelFile, Options, Reference, inspect
from tests.hands import PROJECT, REFERENCE

HANDS = Reference(image_size=REFERENCE.image_size, gestures=[*REFERENCE.hands], hands=[*REFERENCE.hands.values()])
OPTIONS = Options(labels="0,1,2", features="raw_xyz")


@dataclass
class Outcome:
    """Result of loading a file."""

    code: int  # negative: a signal
    message: str
    opened: list[str]
    peak_bytes: int


@contextlib.contextmanager
def start() -> Iterator[Callable[[bytes], Outcome]]:
    """Start a process that loads files; yields a function."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.fuzz.reader"]
    with subprocess.Popen(
        command, cwd=PROJECT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:

        def read(content: bytes) -> Outcome:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(base64.b64encode(content) + b"\n")
            process.stdin.flush()
            return Outcome(**json.loads(process.stdout.readline()))

        yield read
        process.stdin.close()  # type: ignore[union-attr]


def main() -> None:
    estimators.import_all()
    for line in sys.stdin.buffer:
        print(json.dumps(vars(_read_in_fork(base64.b64decode(line)))), flush=True)


def _read_in_fork(content: bytes) -> Outcome:
    read_end, write_end = os.pipe()
    child = os.fork()
    if not child:
        os.close(read_end)
        os.dup2(write_end, 1)
        _read(content)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        output = pipe.read()
    _, status, usage = os.wait4(child, 0)
    message, opened = json.loads(output) if output else ("", [])
    return Outcome(os.waitstatus_to_exitcode(status), message, opened, usage.ru_maxrss * 1024)


def _read(content: bytes) -> None:
    """Runs in the fork, and never returns."""
    opened: list[str] = []
    message = "accepted"
    try:
        warnings.simplefilter("ignore")
        sandbox.limit(len(content))
        sys.addaudithook(lambda event, arguments: _note(event, arguments, opened))
        sys.addaudithook(sandbox.refuse)
        inspect(ModelFile("model.pkl", content), None, None, OPTIONS, HANDS)
    except InspectionError as error:
        message = str(error)
    except BaseException as error:
        message = f"UNEXPECTED {type(error).__name__}: {error}"
    os.write(1, json.dumps([message[:500], opened]).encode())
    os._exit(0)


def _note(event: str, arguments: tuple[object, ...], opened: list[str]) -> None:
    """Record blocked events, except lazy imports of libraries, which are blocked, too."""
    target = str(arguments[0] if arguments else "")
    if event.startswith(sandbox.REFUSED) and event != "import" and not target.startswith((sys.prefix, sys.base_prefix)):
        opened.append(f"{event} {target}")


if __name__ == "__main__":
    main()
