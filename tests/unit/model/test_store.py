"""Models in a BentoML store, in a process of its own, which has another store than the user's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.server import PROJECT

SCRIPT = """
import json
import shutil
from pathlib import Path

import bentoml
from hand_gesture.model.artifacts import version_of
from hand_gesture.model.store import find_model


def store(**changes):
    manifest = json.dumps(json.loads(Path("artifacts/manifest.json").read_text()) | changes).encode()
    tag = bentoml.Tag("hand_gesture", version_of(manifest))
    with bentoml.models.create(tag) as model:
        shutil.copytree("artifacts", model.path, dirs_exist_ok=True)
        Path(model.path, "manifest.json").write_bytes(manifest)
    return tag


def find(tag):
    try:
        model, manifest = find_model(str(tag))
        print(model.tag == tag, manifest.name)
    except SystemExit as error:
        print(error)


find("hand_gesture:latest")
good = store(name="good.pkl")
find(good)
find(store(feature_contract="mine"))
folder = Path(bentoml.models.get(good).path)
(folder / "model.pkl").write_bytes(b"other")
find(good)
with (folder / "manifest.json").open("a") as file:
    file.write(" ")
find(good)
"""


def test_models_are_verified_before_they_are_served(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=PROJECT,
        env=os.environ | {"BENTOML_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    missing, good, unknown, damaged, changed = result.stdout.splitlines()
    assert missing.startswith("There is no model hand_gesture:latest in the BentoML model store; run ")
    assert good == "True good.pkl"
    assert unknown == "The features 'mine' are unknown; import the model again."
    assert "model.pkl does not match its SHA-256 digest" in damaged
    assert "manifest.json was changed after the import; import the model again" in changed
