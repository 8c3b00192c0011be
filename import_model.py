"""Puts a pickled classifier and its label encoder into the BentoML model store.

python import_model.py                                       the model in artifacts/
python import_model.py --model my.pkl --encoder my_enc.pkl   your own, trained on 63 or 42 features
python import_model.py --commands my_commands.json           the same model, other commands
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

import bentoml

from hand_gesture.model.artifacts import (
    BUNDLED,
    COMMANDS_FILE,
    ENCODER_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    ORIGIN,
    OWN,
    Artifacts,
    ArtifactsError,
    Manifest,
    installed_versions,
    load_artifacts,
    load_classifier,
    sha256,
    verify_artifacts,
)

MODEL_NAME: Final = "hand_gesture"
ARTIFACTS: Final = Path(__file__).parent / "artifacts"


def main() -> None:
    """Import and print the tag; end with one sentence and exit code 1 where something is wrong."""
    parser = argparse.ArgumentParser(description="Put a classifier and its label encoder into the BentoML model store.")
    parser.add_argument(
        "--artifacts", type=Path, default=ARTIFACTS, help="folder with a manifest (default: artifacts/)"
    )
    parser.add_argument("--model", type=Path, help="your own pickled classifier")
    parser.add_argument("--encoder", type=Path, help="the pickled label encoder that goes with --model")
    parser.add_argument("--commands", type=Path, help="your own table from gesture to command (JSON)")
    parser.add_argument(
        "--keep-own", action="store_true", help="import nothing where the latest model in the store is your own"
    )
    arguments = parser.parse_args()
    if arguments.keep_own and (own := _latest_own()):
        print(f"{own}, your own model, stays the one to serve; import_model.py without --keep-own replaces it.")
        return
    if (arguments.model is None) != (arguments.encoder is None):
        parser.error("--model and --encoder belong together")
    try:
        if arguments.model is None and arguments.commands is None:
            is_bundled = arguments.artifacts.resolve() == ARTIFACTS.resolve()
            _save(arguments.artifacts, origin=BUNDLED if is_bundled else OWN)
        else:
            with tempfile.TemporaryDirectory() as folder:
                _assemble(arguments, Path(folder))
                _save(Path(folder), origin=OWN)
    except ArtifactsError as error:
        sys.exit(str(error))
    except OSError as error:  # of artifacts it is an ArtifactsError
        store = f"The BentoML model store {os.environ.get('BENTOML_HOME', '~/bentoml')}"
        sys.exit(f"{store} cannot be written ({error.strerror}); set BENTOML_HOME to a folder that can.")


def _assemble(arguments: argparse.Namespace, folder: Path) -> None:
    """Make a folder of artifacts with somebody's own files in place of the bundled ones."""
    manifest, _ = verify_artifacts(arguments.artifacts)
    bundled = {name: arguments.artifacts / name for name in manifest.sha256}
    own = {MODEL_FILE: arguments.model, ENCODER_FILE: arguments.encoder, COMMANDS_FILE: arguments.commands}
    files = bundled | {name: path for name, path in own.items() if path is not None}
    classifier = load_classifier(
        files[MODEL_FILE],
        files[ENCODER_FILE],
        files[COMMANDS_FILE],
    )
    for name, path in files.items():
        shutil.copy(path, folder / name)
    if arguments.model is not None:
        manifest = Manifest(
            feature_contract=classifier.features.name,
            gestures=list(classifier.classes),
            versions=installed_versions(),
        )
    manifest.sha256 = {name: sha256((folder / name).read_bytes()) for name in sorted(files)}
    (folder / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=2))


def _latest_own() -> str | None:
    """The latest model in the store, where it did not come with the project.

    One without the label, imported by an earlier version, may be anyone's and counts as own.
    """
    try:
        latest = bentoml.models.get(MODEL_NAME)
    except bentoml.exceptions.NotFound:
        return None
    return None if latest.info.labels.get(ORIGIN) == BUNDLED else str(latest.tag)


def _save(folder: Path, *, origin: str) -> None:
    artifacts = load_artifacts(folder)
    tag = f"{MODEL_NAME}:{artifacts.version}"
    if _stored_version(MODEL_NAME) == artifacts.version:
        print(f"{tag} is already in the model store.")
        return
    if _stored_version(tag):
        bentoml.models.delete(tag)  # saved anew below, so that it becomes the latest again
    with bentoml.models.create(
        tag, labels=_labels(artifacts, origin), metadata=artifacts.manifest.model_dump()
    ) as model:
        for name in (*artifacts.manifest.sha256, MANIFEST_FILE):
            shutil.copy(folder / name, model.path)
    print(f"{tag} is now in the model store.")


def _stored_version(tag: str) -> str | None:
    try:
        return bentoml.models.get(tag).tag.version
    except bentoml.exceptions.NotFound:
        return None


def _labels(artifacts: Artifacts, origin: str) -> dict[str, str]:
    return {
        ORIGIN: origin,
        "kind": artifacts.classifier.kind,
        "feature_contract": artifacts.manifest.feature_contract,
        "gestures": str(len(artifacts.manifest.gestures)),
    }


if __name__ == "__main__":
    main()
