"""Schemathesis tests the running service against its OpenAPI document, with all of its checks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.server import Server

CASES = 100  # for each operation in each phase


def test_responses_match_the_openapi_document(server: Server, tmp_path: Path) -> None:
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{server.url}/docs.json"),
        *("--checks", "all", "--mode", "all", "--seed", "1", "--max-examples", f"{CASES}"),
        # One worker: with threads, Python 3.11's ast.parse, which it calls, fails now and then (SystemError)
        *("--workers", "1", "--continue-on-failure", "--no-color"),
    ]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    print(result.stdout[-1500:])
    assert result.returncode == 0, result.stdout
    assert "Warnings:" not in result.stdout, result.stdout
