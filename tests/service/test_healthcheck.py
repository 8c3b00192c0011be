"""The health check of the image."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server import PROJECT, free_port, serve

SCRIPT = PROJECT / "deploy" / "healthcheck.py"


def check(**settings: object) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.endswith("PORT")}
    return subprocess.run(
        [sys.executable, SCRIPT],
        env=environment | {name: str(value) for name, value in settings.items()},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({}, ("127.0.0.1", 3000)),
        ({"PORT": ""}, ("127.0.0.1", 3000)),
        ({"PORT": "80"}, ("127.0.0.1", 80)),
        ({"PORT": "", "BENTOML_PORT": "81"}, ("127.0.0.1", 3000)),
        ({"PORT": "80", "BENTOML_PORT": "81"}, ("127.0.0.1", 80)),
        ({"BENTOML_PORT": "81"}, ("127.0.0.1", 81)),
        ({"BENTOML_HOST": "0.0.0.0"}, ("127.0.0.1", 3000)),  # noqa: S104
        ({"BENTOML_HOST": "::"}, ("::1", 3000)),
        ({"BENTOML_HOST": "192.0.2.1"}, ("192.0.2.1", 3000)),
    ],
    ids=str,
)
def test_address(settings: dict[str, str], address: tuple[str, int]) -> None:
    assert runpy.run_path(str(SCRIPT))["address"](settings) == address


@pytest.mark.parametrize("variable", ["PORT", "BENTOML_PORT"])
def test_where_the_service_listens(home: Path, variable: str) -> None:
    port = free_port()
    others = {"PORT", "BENTOML_PORT"} - {variable}
    with serve(home, port=port, wrapper=("env", "-u", *others), **{variable: port}):
        assert check(**{variable: port}).returncode == 0


def test_unhealthy_without_a_service() -> None:
    result = check(PORT=free_port())
    assert result.returncode == 1
    assert result.stderr.startswith("Nothing answers on 127.0.0.1, port ")
    assert len(result.stderr.splitlines()) == 1
