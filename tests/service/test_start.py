"""What keeps the service from starting is said in a sentence."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.server import serve_in_vain


def test_taken_port(own_home: Path) -> None:
    with socket.create_server(("", 0)) as other:
        result = serve_in_vain(own_home, PORT=other.getsockname()[1])
    assert result.returncode == 1
    assert result.stderr == "Another program listens on this port; end it, or set PORT to another one.\n"
    assert "Traceback" not in result.stdout


def test_setting_that_does_not_fit(own_home: Path) -> None:
    result = serve_in_vain(own_home, PORT="80 80", WORKERS=0)
    assert result.returncode == 1
    assert result.stderr.startswith("These environment variables do not fit: PORT=80 80: ")
    assert "WORKERS=0: " in result.stderr
    assert len(result.stderr.splitlines()) == 1
