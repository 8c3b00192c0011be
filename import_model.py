"""Puts a pickled classifier and its label encoder into the BentoML model store.

python import_model.py                                       the model in artifacts/
python import_model.py --model my.pkl --encoder my_enc.pkl   your own, with the same 63 features
"""

from __future__ import annotations

import argparse
import platform
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Final

import bentoml

from hand_gesture.artifacts import (
    COMMANDS_FILE,
    ENCODER_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    REFERENCE_HANDS_FILE,
    Artifacts,
    ArtifactsError,
    Manifest,
    load_artifacts,
    load_classifier,
    sha256,
)
from hand_gesture.landmarks import FEATURE_CONTRACT

MODEL_NAME: Final = "hand_gesture"
ARTIFACTS: Final = Path(__file__).parent / "artifacts"


def main() -> None:
    """Import and print the tag; end with one sentence and exit code 1 where something is wrong."""
    parser = argparse.ArgumentParser(description="Put a classifier and its label encoder into the BentoML model store.")
    parser.add_argument(
        "--artifacts", type=Path, default=ARTIFACTS, help="folder with a manifest (default: artifacts/)"
    )
    parser.add_argument("--model", type=Path, help="your own pickled classifier, trained on the same 63 features")
    parser.add_argument("--encoder", type=Path, help="the pickled label encoder that goes with --model")
    arguments = parser.parse_args()
    if (arguments.model is None) != (arguments.encoder is None):
        parser.error("--model and --encoder belong together")
    try:
        with tempfile.TemporaryDirectory() as folder:
            if arguments.model is not None:
                source = _describe_pickles(arguments.model, arguments.encoder, arguments.artifacts, Path(folder))
            else:
                source = arguments.artifacts
            _save(source)
    except ArtifactsError as error:
        sys.exit(str(error))


def _describe_pickles(model: Path, encoder: Path, artifacts: Path, folder: Path) -> Path:
    """Make a folder of artifacts around somebody's own pickles."""
    gestures = load_classifier(model, encoder, artifacts / COMMANDS_FILE).gestures
    shutil.copy(model, folder / MODEL_FILE)
    shutil.copy(encoder, folder / ENCODER_FILE)
    shutil.copy(artifacts / COMMANDS_FILE, folder)
    shutil.copy(artifacts / REFERENCE_HANDS_FILE, folder)
    manifest = Manifest(
        feature_contract=FEATURE_CONTRACT,
        gestures=list(gestures),
        sha256={file.name: sha256(file.read_bytes()) for file in sorted(folder.iterdir())},
        versions={"python": platform.python_version()}
        | {package: version(package) for package in ("scikit-learn", "numpy", "joblib")},
    )
    (folder / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=2))
    return folder


def _save(folder: Path) -> None:
    artifacts = load_artifacts(folder)
    tag = f"{MODEL_NAME}:{artifacts.version}"
    if _stored_version(MODEL_NAME) == artifacts.version:
        print(f"{tag} is already in the model store.")
        return
    if _stored_version(tag):
        bentoml.models.delete(tag)  # saved anew below, so that it becomes the latest again
    with bentoml.models.create(tag, labels=_labels(artifacts), metadata=artifacts.manifest.model_dump()) as model:
        for name in (*artifacts.manifest.sha256, MANIFEST_FILE):
            shutil.copy(folder / name, model.path)
    print(f"{tag} is now in the model store.")


def _stored_version(tag: str) -> str | None:
    try:
        return bentoml.models.get(tag).tag.version
    except bentoml.exceptions.NotFound:
        return None


def _labels(artifacts: Artifacts) -> dict[str, str]:
    return {"feature_contract": artifacts.manifest.feature_contract, "gestures": str(len(artifacts.manifest.gestures))}


if __name__ == "__main__":
    main()
