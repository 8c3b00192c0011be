"""Imports a classifier into the BentoML model store, from which the service loads it.

python import_model.py                                         the bundled model in artifacts/
python import_model.py --model my.pkl --encoder my_enc.pkl     your own model
python import_model.py --model my.pkl --labels a,b,c           your own model, without an encoder
python import_model.py --commands my_commands.json             the latest model with other game commands
python import_model.py --gestures my_gestures.json             the latest model with custom gestures (docs/teach.md)
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import bentoml

from hand_gesture.errors import RejectedRequestError
from hand_gesture.model.artifacts import (
    BUNDLED,
    COMMANDS_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    ORIGIN,
    OWN,
    REFERENCE_HANDS_FILE,
    ArtifactsError,
    Manifest,
    ReferenceHands,
    installed_versions,
    load_commands,
    load_reference_hands,
    read_artifacts,
    sha256,
)
from hand_gesture.model.classifier import NONE
from hand_gesture.model.features import WRIST_RMS
from hand_gesture.model.inspection import InspectionError, ModelFile, Options, Reference
from hand_gesture.model.sandbox import check_in_sandbox, inspect_in_sandbox
from hand_gesture.model.saved_gestures import GESTURES_FILE, SavedGestures
from hand_gesture.model.stored_hands import STORED_HANDS_FILE
from hand_gesture.model.taught import OwnGesture
from hand_gesture.web.taught_decoding import decode_gestures_request

MODEL_NAME: Final = "hand_gesture"
CARD_FILE: Final = "MODEL_CARD.md"  # of a model with custom gestures; the bundled model's is in artifacts/
ARTIFACTS: Final = Path(__file__).parent / "artifacts"


def main() -> None:
    """Import a model and print its tag; on an error, exit with code 1 and one sentence."""
    parser = argparse.ArgumentParser(
        description="Import a classifier into the BentoML model store; see docs/models.md."
    )
    parser.add_argument("--artifacts", type=Path, help="folder with a manifest (default: artifacts/)")
    parser.add_argument("--model", type=Path, help="your own classifier: pickle, joblib, or XGBoost's JSON")
    parser.add_argument("--encoder", type=Path, help="its pickled LabelEncoder, if it has one")
    parser.add_argument("--labels", help="class names: a file, or a,b,c in the order of the class numbers")
    parser.add_argument(
        "--features", help="features that the model was trained on, if they cannot be detected (docs/models.md)"
    )
    parser.add_argument("--scaler", type=Path, help="a pickled scaler to apply before the model")
    parser.add_argument("--commands", type=Path, help="JSON object from gesture to game command")
    parser.add_argument("--gestures", type=Path, help="custom gestures, as saved by the page (docs/teach.md)")
    parser.add_argument(
        "--trust-version",
        action="store_true",
        help="accept other versions, though predictions may differ",
    )
    parser.add_argument(
        "--keep-own", action="store_true", help="do nothing if the latest model in the store is your own"
    )
    arguments = parser.parse_args()
    if arguments.keep_own and (own := _latest_own()):
        print(f"Keeping your own model {own}; import_model.py without --keep-own replaces it.")
        return
    if arguments.model is None and (arguments.encoder or arguments.labels or arguments.features or arguments.scaler):
        parser.error("--encoder, --labels, --features and --scaler require --model")
    if arguments.model is not None and arguments.artifacts is not None:
        parser.error("--model and --artifacts cannot be combined")
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            speed = None
            if arguments.model is not None:
                speed = _assemble_own(arguments, folder)
            elif (arguments.commands or arguments.gestures) is not None and arguments.artifacts is None:
                _copy(_latest() or ARTIFACTS, folder)
            else:
                _copy(arguments.artifacts or ARTIFACTS, folder)
            if arguments.commands is not None:
                _replace_commands(arguments.commands, folder)
            if arguments.gestures is not None:
                _replace_gestures(arguments.gestures, folder)
            is_changed = arguments.model or arguments.commands or arguments.artifacts or arguments.gestures
            _save(folder, speed, origin=OWN if is_changed else BUNDLED)
    except (ArtifactsError, InspectionError) as error:
        sys.exit(str(error))
    except OSError as error:  # errors of reading artifacts are ArtifactsErrors
        store = f"The BentoML model store {os.environ.get('BENTOML_HOME', '~/bentoml')}"
        sys.exit(f"{store} is not writable ({error.strerror}); set BENTOML_HOME to a writable folder.")


def _assemble_own(arguments: argparse.Namespace, folder: Path) -> int:
    """Write the artifacts of a user's own model to a folder.

    Returns:
        Predictions per second, one hand at a time.
    """
    model = _read(arguments.model)
    options = Options(
        labels=_read_labels(arguments.labels), features=arguments.features, trust_version=arguments.trust_version
    )
    reference = load_reference_hands(ARTIFACTS)
    finding, content = inspect_in_sandbox(
        model,
        _read(arguments.encoder) if arguments.encoder else None,
        _read(arguments.scaler) if arguments.scaler else None,
        options,
        _as_reference(reference),
    )
    for note in finding.notes:
        print(note)
    print(
        f"{finding.kind}, {len(finding.gestures)} classes, {finding.features.name}: about {finding.hands_per_second} "
        "predictions per second in one worker, one hand at a time."
    )
    (folder / MODEL_FILE).write_bytes(content)
    (folder / REFERENCE_HANDS_FILE).write_bytes((ARTIFACTS / REFERENCE_HANDS_FILE).read_bytes())
    if finding.features == WRIST_RMS:  # the features that custom gestures need
        (folder / STORED_HANDS_FILE).write_bytes((ARTIFACTS / STORED_HANDS_FILE).read_bytes())
    known = {g: c for g, c in load_commands(ARTIFACTS / COMMANDS_FILE).items() if g in finding.gestures}
    (folder / COMMANDS_FILE).write_text(_dump_commands(known))
    manifest = Manifest(
        name=arguments.model.name,
        kind=finding.kind,
        written_by=finding.written_by,
        feature_contract=finding.features.name,
        features=finding.features,
        gestures=finding.gestures,
        confidence=finding.confidence,
        versions=installed_versions(),
    )
    _write_manifest(manifest, folder)
    return finding.hands_per_second


def _read(path: Path) -> ModelFile:
    try:
        return ModelFile(path.name, path.read_bytes())
    except OSError as error:
        raise ArtifactsError(f"{path} cannot be read ({error.strerror}); give the path of an existing file.") from None


def _read_labels(labels: str | None) -> str | None:
    """The content of a file of labels, or the labels themselves."""
    try:
        return labels if labels is None or not Path(labels).is_file() else Path(labels).read_text()
    except UnicodeDecodeError:
        raise ArtifactsError(f"{labels} cannot be read as text; give a file of names, or a,b,c.") from None
    except (OSError, ValueError):  # too long for a file name
        return labels


def _as_reference(hands: ReferenceHands) -> Reference:
    return Reference(
        image_size=hands.image_size,
        gestures=[*hands.hands, *hands.other_side],
        hands=[*hands.hands.values(), *hands.other_side.values()],
    )


def _replace_commands(path: Path, folder: Path) -> None:
    """Replace the game commands in a folder of artifacts."""
    commands = load_commands(path)
    manifest = Manifest.model_validate_json((folder / MANIFEST_FILE).read_bytes())
    if unknown := [gesture for gesture in commands if gesture not in manifest.gestures]:
        raise ArtifactsError(
            f"{path} has a command for {', '.join(unknown)}, which is not a gesture of the model "
            f"{manifest.name or 'in artifacts/'}; its gestures are {', '.join(manifest.gestures)}."
        )
    (folder / COMMANDS_FILE).write_bytes(path.read_bytes())
    _write_manifest(manifest, folder)


def _replace_gestures(path: Path, folder: Path) -> None:
    """Replace the custom gestures in a folder of artifacts."""
    manifest = Manifest.model_validate_json((folder / MANIFEST_FILE).read_bytes())
    try:
        gestures = decode_gestures_request(_read(path).content, manifest.gestures)
    except RejectedRequestError as error:
        raise ArtifactsError(f"{path} was rejected: {error}") from None
    (folder / GESTURES_FILE).write_text(SavedGestures.of(gestures).model_dump_json() + "\n")
    manifest.taught = list(gestures)
    (folder / CARD_FILE).write_text(_card_of(gestures, manifest))
    _write_manifest(manifest, folder)


def _card_of(gestures: Mapping[str, OwnGesture], manifest: Manifest) -> str:
    """The model card of a model with custom gestures: the model without them, and a table of them."""
    rows = [
        f"| {_in_table(name)} | {len(gesture.examples)} | {_in_table(gesture.command or '')} |"
        for name, gesture in gestures.items()
    ]
    return "\n".join(
        [
            "# Model card: custom gestures",
            "",
            f"{manifest.name or 'The bundled model'} (SHA-256 of `{MODEL_FILE}`: `{manifest.sha256[MODEL_FILE]}`)",
            f"recognizes {', '.join(name for name in manifest.gestures if name != NONE)}.",
            "",
            f"These custom gestures were added, from the examples in `{GESTURES_FILE}`:",
            "",
            "| gesture | examples | command |",
            "|---|--:|---|",
            *rows,
            "",
            "How well they are recognized on other people was not measured; see the report in docs/teach.md.",
            "",
        ]
    )


def _in_table(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|")


def _dump_commands(commands: dict[str, str]) -> str:
    return json.dumps(commands, indent=2, ensure_ascii=False) + "\n"


def _write_manifest(manifest: Manifest, folder: Path) -> None:
    names = sorted({path.name for path in folder.iterdir()} - {MANIFEST_FILE})
    manifest.sha256 = {name: sha256((folder / name).read_bytes()) for name in names}
    (folder / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=2))


def _latest_own() -> str | None:
    """Tag of the latest model in the store, unless it is the bundled one."""
    try:
        latest = bentoml.models.get(MODEL_NAME)
    except bentoml.exceptions.NotFound:
        return None
    return None if _is_bundled(latest) else str(latest.tag)


def _is_bundled(model: bentoml.Model) -> bool:
    if ORIGIN in model.info.labels:
        return bool(model.info.labels[ORIGIN] == BUNDLED)
    # Imported before this label existed: only the bundled manifest has training data, and --commands keeps it
    metadata: dict[str, Any] = dict(model.info.metadata)
    commands = metadata.get("sha256", {}).get(COMMANDS_FILE)
    return bool(metadata.get("training_data")) and commands == sha256((ARTIFACTS / COMMANDS_FILE).read_bytes())


def _copy(source: Path, folder: Path) -> None:
    files, _, _ = read_artifacts(source)
    for name in (*files, MANIFEST_FILE):
        shutil.copy(source / name, folder / name)


def _save(folder: Path, hands_per_second: int | None, *, origin: str) -> None:
    check_in_sandbox(folder)
    _, manifest, version = read_artifacts(folder)
    tag = f"{MODEL_NAME}:{version}"
    if _stored_version(MODEL_NAME) == version:
        print(f"{tag} is already in the model store.")
        return
    if _stored_version(tag):
        bentoml.models.delete(tag)  # created again below, so that it becomes the latest
    labels = {
        ORIGIN: origin,
        "feature_contract": manifest.feature_contract,
        "gestures": str(len(manifest.gestures)),
    }
    metadata = manifest.model_dump(mode="json", exclude_none=True)
    if hands_per_second is not None:
        metadata["hands_per_second"] = hands_per_second
    with bentoml.models.create(tag, labels=labels, metadata=metadata) as model:
        for name in (*manifest.sha256, MANIFEST_FILE):
            shutil.copy(folder / name, model.path)
    print(f"{tag} is now in the model store.")


def _latest() -> Path | None:
    """Folder of the latest model in the store, if there is one."""
    try:
        return Path(bentoml.models.get(MODEL_NAME).path)
    except bentoml.exceptions.NotFound:
        return None


def _stored_version(tag: str) -> str | None:
    try:
        return bentoml.models.get(tag).tag.version
    except bentoml.exceptions.NotFound:
        return None


if __name__ == "__main__":
    main()
