"""``make train`` on a user's table, and the resulting model imported and served."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hand_gesture.model.artifacts import load_artifacts
from tests.hands import ARTIFACTS, IMAGE_SIZE, REFERENCE
from tests.server import PROJECT, environment, serve

SHAPES = {"A": "fist", "B": "stop", "C": "call"}
PEOPLE = 3
HANDS = 12  # of each person and letter


def train(home: Path, *variables: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--assume-old=.venv/.runtime", "train", *variables]
    return subprocess.run(command, cwd=PROJECT, env=environment(home), capture_output=True, text=True, check=False)


def write_table(path: Path, letters: Sequence[str]) -> Path:
    """Write hands of several people, each with their own variant of each letter."""
    random = np.random.default_rng(0)
    lines = []
    for person in range(PEOPLE):
        for letter in letters:
            own = np.array(REFERENCE.hands[SHAPES[letter]]) + random.normal(0, [0.006, 0.006, 0.001], (21, 3))
            for _ in range(HANDS):
                hand = own + random.normal(0, [0.003, 0.003, 0.0005], (21, 3))
                row = {"landmarks": hand.tolist(), "label": letter, "size": IMAGE_SIZE, "person": f"p{person}"}
                lines.append(json.dumps(row))
    path.write_text("\n".join(lines))
    return path


def test_letters_are_trained_imported_and_served(tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in ARTIFACTS.iterdir()}
    table = write_table(tmp_path / "letters.jsonl", [*SHAPES])
    (tmp_path / "commands.json").write_text('{"A": "jump"}')
    output = tmp_path / "model"
    result = train(tmp_path, f"TABLE={table}", f"OUTPUT={output}", f"COMMANDS={tmp_path / 'commands.json'}")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "108 hands (A 36, B 36, C 36)" in result.stdout
    assert "Cross-validation, leaving out each person: 100.0 % of gestures correct" in result.stdout
    assert "is now in the model store" in result.stdout
    assert {path.name: path.read_bytes() for path in ARTIFACTS.iterdir()} == before

    figures = load_artifacts(output).manifest.figures
    assert figures == {"left_out_by": "person", "gestures_right": 1.0, "each_right": {"A": 1.0, "B": 1.0, "C": 1.0}}
    with serve(tmp_path) as server:
        document: dict[str, Any] = server.client.get("/reference_hands.json").json()
        assert document["gestures"] == ["A", "B", "C"] == list(document["hands"])
        assert document["commands"] == {"A": "jump"}
        assert not document["model"]["bundled"]
        hands = REFERENCE.hands | document["hands"]
        for letter, shape in SHAPES.items():
            for name in (shape, letter):  # the bundled reference hand, and the one that training has chosen
                answer = server.client.post("/predict", json={"landmarks": hands[name], "image_size": IMAGE_SIZE})
                assert answer.json()["gesture"] == letter
        # Custom gestures work with it
        random = np.random.default_rng(1)
        taught = [(np.array(REFERENCE.hands["peace"]) + random.normal(0, 0.003, (21, 3))).tolist() for _ in range(10)]
        gestures = {"gestures": {"V": {"hands": taught, "image_size": IMAGE_SIZE}}}
        reply = server.client.post("/gestures", json=gestures)
        assert reply.status_code == 200, reply.text
        report = reply.json()["gestures"]["V"]
        assert report["right_left_out"] == report["examples"] == 10
        assert report["resembles"] in SHAPES
        # Other gestures are predicted as none, although the table has no such hands
        body = {"landmarks": REFERENCE.hands["peace"], "image_size": IMAGE_SIZE}
        assert server.client.post("/predict", json=body).json()["gesture"] == "none"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (("TABLE=missing.csv",), "missing.csv cannot be read (No such file or directory)"),
        (("TABLE={table}", "COMMANDS={commands}"), "has a command for D, which is not in the table."),
        (("TABLE={table}", "SIZE=640"), "--size: invalid"),
    ],
)
def test_invalid_input_is_reported_before_training(tmp_path: Path, variables: Sequence[str], message: str) -> None:
    table = write_table(tmp_path / "letters.jsonl", [*SHAPES])
    (tmp_path / "commands.json").write_text('{"D": "jump"}')
    places = {"table": table, "commands": tmp_path / "commands.json"}
    result = train(tmp_path, *(variable.format(**places) for variable in variables), f"OUTPUT={tmp_path / 'model'}")
    assert result.returncode != 0
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "model").exists()
    assert not (tmp_path / "models" / "hand_gesture").exists()


def test_help_describes_the_columns() -> None:
    command = [sys.executable, "-m", "training.own", "--help"]
    result = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    for word in ("x1,y1,z1", "label", "size", "person, source, recording or group", "landmarks"):
        assert word in result.stdout
