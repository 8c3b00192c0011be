"""A Bento that is served from the local store, without an image."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.server import BENTOML, PROJECT, environment, import_model, serve


def test_a_bento_serves_the_model_that_it_was_built_with(own_home: Path, tmp_path: Path) -> None:
    build = [BENTOML, "build", "--output", "tag"]
    result = subprocess.run(build, cwd=PROJECT, env=environment(own_home), capture_output=True, text=True, check=True)
    tag = result.stdout.strip().removeprefix("__tag__:")
    (tmp_path / "mine.json").write_text('{"rock": "jump"}')
    assert import_model(own_home, "--commands", tmp_path / "mine.json").returncode == 0
    commands = []
    for settings in ({}, {"MODEL_TAG": "hand_gesture:latest"}):
        with serve(own_home, tag, **settings) as server:
            commands.append(server.client.get("/reference_hands.json").json()["commands"].get("rock"))
    assert commands == [None, "jump"]
