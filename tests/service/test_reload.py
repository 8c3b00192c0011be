"""`bentoml serve --reload` serves a model that is imported while it runs."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx

from tests.server import READY_SECONDS, Server, import_model, serve


def described(server: Server) -> dict[str, Any]:
    document: dict[str, Any] = server.client.get("/reference_hands.json").json()
    return document


def wait_for(server: Server, version: str) -> dict[str, Any]:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            document = described(server)
        except httpx.TransportError:  # while the worker restarts
            continue
        if document["model"]["version"] == version:
            return document
        time.sleep(0.1)
    raise AssertionError(f"{version} is not served:\n{server.log.read_text()}")


def test_reload_serves_a_newly_imported_model(own_home: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text('{"rock": "jump"}')
    with serve(own_home, "--reload") as server:
        before = described(server)
        for arguments, commands in (
            (("--commands", tmp_path / "mine.json"), {"rock": "jump"}),
            ((), before["commands"]),  # and back
        ):
            result = import_model(own_home, *arguments)
            assert result.returncode == 0, result.stderr
            version = result.stdout.splitlines()[-1].split()[0].partition(":")[2]
            assert wait_for(server, version)["commands"] == commands
        assert server.metrics()["hand_gesture_lost_workers_total"] == 0
    events = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert any(
        f"listening on http://localhost:{server.url.rpartition(':')[2]} " in event["message"] for event in events
    )
    assert not [event for event in events if event["level"] == "error"]


def test_without_reload_a_running_service_keeps_its_model(own_home: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text('{"rock": "jump"}')
    with serve(own_home) as server:
        before = described(server)
        assert import_model(own_home, "--commands", tmp_path / "mine.json").returncode == 0
        (worker,) = server.workers()
        worker.kill()
        worker.wait()
        wait_for(server, before["model"]["version"])
        assert described(server) == before
