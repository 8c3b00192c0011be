"""A folder of artifacts: the pickled classifier, and the manifest that says what it is and how it is used.

The same checks run when artifacts are imported, in a process of its own (``sandbox.py``), and when the service starts
from what was imported. Digests hold the two together: what the service loads is what was checked.
"""

from __future__ import annotations

import hashlib
import io
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from pydantic import BaseModel, Field, RootModel, ValidationError

from hand_gesture.landmarks import convert, parse_hand
from hand_gesture.model.classifier import Confidence, GestureClassifier
from hand_gesture.model.features import NAMED, Features
from hand_gesture.model.saved_gestures import GESTURES_FILE, SavedGestures
from hand_gesture.model.stored_hands import STORED_HANDS_FILE, read_stored_hands
from hand_gesture.model.taught import Teacher, network_of

MODEL_FILE: Final = "model.pkl"
ENCODER_FILE: Final = "encoder.pkl"  # of a trained model; the manifest has its names, too
COMMANDS_FILE: Final = "commands.json"
REFERENCE_HANDS_FILE: Final = "reference_hands.json"
MANIFEST_FILE: Final = "manifest.json"
# A label of a stored model: whether it came with the project as it is
ORIGIN: Final = "origin"
BUNDLED: Final = "bundled"
OWN: Final = "own"
NEEDED_FILES: Final = (MODEL_FILE, COMMANDS_FILE, REFERENCE_HANDS_FILE)

_Model = TypeVar("_Model", bound=BaseModel)


class ArtifactsError(Exception):
    """The artifacts cannot be used; the message is a sentence that says why and what to do."""


class Manifest(BaseModel):
    """What the artifacts are, how they are used, and what they were made with."""

    name: str = ""  # of the file that was imported
    kind: str = ""  # the classifier's class, or those of a pipeline
    written_by: str = ""  # the library that wrote it, and its version
    feature_contract: str
    features: Features | None = None  # None: those that feature_contract names
    gestures: list[str]  # the classifier's classes; "none" may be among them
    taught: list[str] = []  # gestures that it tells besides, from examples
    confidence: Confidence = "probability"
    min_confidence: float = Field(default=0.0, ge=0, le=1)  # the operating point: below it no gesture is named
    sha256: dict[str, str] = {}
    versions: dict[str, str]
    training_data: dict[str, Any] = {}
    figures: dict[str, Any] = {}

    @property
    def described_features(self) -> Features:
        """What the classifier takes.

        Raises:
            ArtifactsError: there are no features of that name.
        """
        features = self.features or NAMED.get(self.feature_contract)
        if features is None:
            raise ArtifactsError(f"There are no features {self.feature_contract!r}; import the model again.")
        return features


class Commands(RootModel[dict[str, str]]):
    """What gestures mean to the game."""


class ReferenceHands(BaseModel):
    """Typical hands for each gesture, 21 [x, y, z] each, in 0..1 of a frame of ``image_size`` pixels.

    ``hands`` has one for each gesture; ``other_side`` has one of the other hand.
    """

    image_size: tuple[int, int]
    hands: dict[str, list[list[float]]]
    other_side: dict[str, list[list[float]]] = {}


@dataclass(frozen=True)
class Artifacts:
    """Artifacts that passed every check."""

    classifier: GestureClassifier
    manifest: Manifest
    version: str


def sha256(data: bytes) -> str:
    """Digest in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def installed_versions() -> dict[str, str]:
    """What a pickle depends on."""
    packages = ("scikit-learn", "numpy", "joblib")
    return {"python": platform.python_version()} | {package: version(package) for package in packages}


def version_of(manifest: bytes) -> str:
    """The version of a set of artifacts: the start of its manifest's digest, which covers every other file's."""
    return sha256(manifest)[:16]


def read_artifacts(folder: Path, *, expected_version: str | None = None) -> tuple[dict[str, bytes], Manifest, str]:
    """Read a folder of artifacts and check that every file is the one that the manifest describes.

    Nothing is unpickled.

    Args:
        folder: where the files are.
        expected_version: the version that the folder must have, where it is known from elsewhere.

    Returns:
        The files by name, the manifest and the version.

    Raises:
        ArtifactsError: something is wrong.
    """
    content = _read(folder / MANIFEST_FILE)
    found = version_of(content)
    if expected_version not in (None, found):
        raise ArtifactsError(
            f"{folder / MANIFEST_FILE} was changed after it was imported; import the model again from artifacts "
            "that you trust."
        )
    manifest = _parse(Manifest, content, folder / MANIFEST_FILE)
    files = {}
    for name in dict.fromkeys((*NEEDED_FILES, *manifest.sha256)):
        files[name] = _read(folder / Path(name).name)
        if sha256(files[name]) != manifest.sha256.get(name):
            raise ArtifactsError(
                f"{folder / name} is not the file that {MANIFEST_FILE} describes (its SHA-256 differs); restore it or "
                "train anew."
            )
    return files, manifest, found


def verify_artifacts(folder: Path, *, expected_version: str | None = None) -> tuple[Manifest, str]:
    """Check a folder of artifacts as ``read_artifacts`` does.

    Returns:
        The manifest and the version.

    Raises:
        ArtifactsError: something is wrong.
    """
    _, manifest, version_ = read_artifacts(folder, expected_version=expected_version)
    return manifest, version_


def load_artifacts(
    folder: Path, *, expected_version: str | None = None, min_confidence: float | None = None
) -> Artifacts:
    """Verify and load a folder of artifacts; the reference hands must be answered.

    Args:
        folder: where the files are.
        expected_version: the version that the folder must have, where it is known from elsewhere.
        min_confidence: in place of the manifest's.

    Raises:
        ArtifactsError: something is wrong.
    """
    files, manifest, found = read_artifacts(folder, expected_version=expected_version)
    artifacts = Artifacts(load_classifier(files, manifest), manifest, found)
    answer_reference_hands(artifacts, files)
    if min_confidence is not None:  # after the test: an operator may want to name nothing
        artifacts.classifier.min_confidence = min_confidence
    _adopt_gestures(artifacts.classifier, files)
    return artifacts


def load_classifier(files: Mapping[str, bytes], manifest: Manifest) -> GestureClassifier:
    """Make a classifier of the files of artifacts.

    Raises:
        ArtifactsError: a file is unsafe or malformed, or they do not fit each other.
    """
    # Imported late, because the supervisor of the workers loads no model
    from hand_gesture.model import estimators  # noqa: PLC0415
    from hand_gesture.model.safe_pickle import UnsafePickleError  # noqa: PLC0415

    features = manifest.described_features
    try:
        model, _ = estimators.read(files[MODEL_FILE])
        model = estimators.settle(model)
    except UnsafePickleError as error:
        raise ArtifactsError(f"{MODEL_FILE} was not loaded: {error}.") from None
    try:
        classes, count = len(model.classes_), model.n_features_in_
    except AttributeError:
        raise ArtifactsError(f"{MODEL_FILE} holds no trained classifier; import the model again.") from None
    if classes != len(manifest.gestures):
        raise ArtifactsError(
            f"The model has {classes} classes and {MANIFEST_FILE} {len(manifest.gestures)}; train anew."
        )
    if count != features.count:
        raise ArtifactsError(
            f"The model takes {count} features, not the {features.count} of {features.name}; train anew."
        )
    commands = _parse(Commands, files[COMMANDS_FILE], Path(COMMANDS_FILE)).root
    return GestureClassifier(
        model, manifest.gestures, commands, manifest.min_confidence, features, confidence=manifest.confidence
    )


def check_gestures(classifier: GestureClassifier, files: Mapping[str, bytes]) -> None:
    """Check that a classifier can be taught the gestures that lie beside it, if there are any.

    Raises:
        ArtifactsError: it cannot.
    """
    if GESTURES_FILE not in files:
        return
    try:
        network_of(classifier)
    except ValueError as error:
        raise ArtifactsError(f"{GESTURES_FILE} cannot be used with this model. {error}") from None
    if STORED_HANDS_FILE not in files:
        raise ArtifactsError(
            f"This model has no {STORED_HANDS_FILE}, which gestures are told apart from; import it again, with "
            "--gestures in the same command."
        )


def _adopt_gestures(classifier: GestureClassifier, files: Mapping[str, bytes]) -> None:
    """Teach a classifier the gestures that lie beside it, if there are any."""
    check_gestures(classifier, files)
    if GESTURES_FILE in files:
        saved = _parse(SavedGestures, files[GESTURES_FILE], Path(GESTURES_FILE))
        stored = read_stored_hands(io.BytesIO(files[STORED_HANDS_FILE]))
        classifier.adopt(Teacher(classifier, stored).teach(saved.own_gestures()))


def answer_reference_hands(artifacts: Artifacts, files: Mapping[str, bytes]) -> None:
    """Have every reference hand classified.

    Raises:
        ArtifactsError: the classifier fails, or an answer is not a probability.
    """
    reference = _parse(ReferenceHands, files[REFERENCE_HANDS_FILE], Path(REFERENCE_HANDS_FILE))
    hands = np.array([parse_hand(hand) for hand in (*reference.hands.values(), *reference.other_side.values())])
    convert(hands, reference.image_size, artifacts.classifier.features.unit)
    try:
        predictions = artifacts.classifier.predict(hands)
    except Exception as error:
        raise ArtifactsError(
            f"The classifier failed on the reference hands: {type(error).__name__}: {error}."
        ) from None
    for prediction in predictions:
        if not 0 <= prediction.confidence <= 1:
            raise ArtifactsError(f"The classifier answered {prediction.confidence} where a probability belongs.")


def load_commands(path: Path) -> dict[str, str]:
    """Read what gestures mean to the game.

    Raises:
        ArtifactsError: the file is missing or malformed.
    """
    return _parse(Commands, _read(path), path).root


def load_reference_hands(folder: Path) -> ReferenceHands:
    """Read the reference hands.

    Raises:
        ArtifactsError: the file is missing or malformed.
    """
    return _parse(ReferenceHands, _read(folder / REFERENCE_HANDS_FILE), folder / REFERENCE_HANDS_FILE)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtifactsError(f"{path} cannot be read ({error.strerror}); give the path of an existing file.") from None


def _parse(model: type[_Model], content: bytes, path: Path) -> _Model:
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ArtifactsError(f"{path} is malformed at '{place}': {first['msg']}.") from None
