"""Reads, verifies and loads a folder of artifacts: the pickled classifier, its manifest, and other files.

The same checks run at import, in a sandboxed process (``sandbox.py``), and when the service starts. The digests in the
manifest guarantee that the service loads exactly the files that were checked.
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
ENCODER_FILE: Final = "encoder.pkl"  # optional: the manifest has the class names, too
COMMANDS_FILE: Final = "commands.json"
REFERENCE_HANDS_FILE: Final = "reference_hands.json"
MANIFEST_FILE: Final = "manifest.json"
# Label of a model in the store: whether it is the bundled one or the user's own
ORIGIN: Final = "origin"
BUNDLED: Final = "bundled"
OWN: Final = "own"
NEEDED_FILES: Final = (MODEL_FILE, COMMANDS_FILE, REFERENCE_HANDS_FILE)

_Model = TypeVar("_Model", bound=BaseModel)


class ArtifactsError(Exception):
    """The artifacts cannot be used; the message says why and what to do."""


class Manifest(BaseModel):
    """Metadata of the artifacts: classes, features, threshold, digests, versions and training data."""

    name: str = ""  # the imported file
    kind: str = ""  # the classifier's class, or those of a pipeline
    written_by: str = ""  # the library that wrote the model file, and its version
    feature_contract: str
    features: Features | None = None  # None: the named features of feature_contract
    gestures: list[str]  # the classes in the classifier's order, which may include "none"
    taught: list[str] = []  # additional custom gestures, from examples
    confidence: Confidence = "probability"
    min_confidence: float = Field(default=0.0, ge=0, le=1)  # threshold: below it the prediction is none
    sha256: dict[str, str] = {}
    versions: dict[str, str]
    training_data: dict[str, Any] = {}
    figures: dict[str, Any] = {}

    @property
    def described_features(self) -> Features:
        """The features of the classifier.

        Raises:
            ArtifactsError: the name of the features is unknown.
        """
        features = self.features or NAMED.get(self.feature_contract)
        if features is None:
            raise ArtifactsError(f"The features {self.feature_contract!r} are unknown; import the model again.")
        return features


class Commands(RootModel[dict[str, str]]):
    """From gesture to game command."""


class ReferenceHands(BaseModel):
    """A typical hand for each gesture, 21 [x, y, z] each, in 0..1 of a frame of ``image_size`` pixels.

    ``hands`` and ``other_side`` have the same gestures, made with the left and the right hand.
    """

    image_size: tuple[int, int]
    hands: dict[str, list[list[float]]]
    other_side: dict[str, list[list[float]]] = {}


@dataclass(frozen=True)
class Artifacts:
    """Loaded artifacts that passed all checks."""

    classifier: GestureClassifier
    manifest: Manifest
    version: str


def sha256(data: bytes) -> str:
    """SHA-256 digest in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def installed_versions() -> dict[str, str]:
    """Versions of Python and of the packages that a pickle depends on."""
    packages = ("scikit-learn", "numpy", "joblib")
    return {"python": platform.python_version()} | {package: version(package) for package in packages}


def version_of(manifest: bytes) -> str:
    """The version of artifacts: the start of the digest of the manifest, which has the digests of all files."""
    return sha256(manifest)[:16]


def read_artifacts(folder: Path, *, expected_version: str | None = None) -> tuple[dict[str, bytes], Manifest, str]:
    """Read a folder of artifacts and verify the digests of its files, without unpickling anything.

    Args:
        folder: the folder.
        expected_version: the version that it must have, if known.

    Returns:
        The content of the files by name, the manifest, and the version.

    Raises:
        ArtifactsError: a file is missing, malformed, or does not match its digest.
    """
    content = _read(folder / MANIFEST_FILE)
    found = version_of(content)
    if expected_version not in (None, found):
        raise ArtifactsError(
            f"{folder / MANIFEST_FILE} was changed after the import; import the model again from artifacts that you "
            "trust."
        )
    manifest = _parse(Manifest, content, folder / MANIFEST_FILE)
    files = {}
    for name in dict.fromkeys((*NEEDED_FILES, *manifest.sha256)):
        files[name] = _read(folder / Path(name).name)
        if sha256(files[name]) != manifest.sha256.get(name):
            raise ArtifactsError(
                f"{folder / name} does not match its SHA-256 digest in {MANIFEST_FILE}; restore the file or train "
                "again."
            )
    return files, manifest, found


def verify_artifacts(folder: Path, *, expected_version: str | None = None) -> tuple[Manifest, str]:
    """Verify a folder of artifacts like ``read_artifacts``.

    Returns:
        The manifest and the version.

    Raises:
        ArtifactsError: as ``read_artifacts``.
    """
    _, manifest, version_ = read_artifacts(folder, expected_version=expected_version)
    return manifest, version_


def load_artifacts(
    folder: Path, *, expected_version: str | None = None, min_confidence: float | None = None
) -> Artifacts:
    """Verify and load a folder of artifacts, and classify the reference hands as a test.

    Args:
        folder: the folder.
        expected_version: the version that it must have, if known.
        min_confidence: overrides the threshold of the manifest.

    Raises:
        ArtifactsError: as ``read_artifacts``; or the model cannot be loaded or fails the test.
    """
    files, manifest, found = read_artifacts(folder, expected_version=expected_version)
    artifacts = Artifacts(load_classifier(files, manifest), manifest, found)
    check_reference_hands(artifacts, files)
    if min_confidence is not None:  # after the test, which uses the manifest's threshold
        artifacts.classifier.min_confidence = min_confidence
    _add_custom_gestures(artifacts.classifier, files)
    return artifacts


def load_classifier(files: Mapping[str, bytes], manifest: Manifest) -> GestureClassifier:
    """Load the classifier from the content of the artifacts' files.

    Raises:
        ArtifactsError: a file is unsafe or malformed, or the files do not match.
    """
    # Lazy import: the supervisor process never loads a model
    from hand_gesture.model import estimators  # noqa: PLC0415
    from hand_gesture.model.safe_pickle import UnsafePickleError  # noqa: PLC0415

    features = manifest.described_features
    try:
        model, _ = estimators.read(files[MODEL_FILE])
        model = estimators.prepare(model)
    except UnsafePickleError as error:
        raise ArtifactsError(f"{MODEL_FILE} was not loaded: {error}.") from None
    try:
        classes, count = len(model.classes_), model.n_features_in_
    except AttributeError:
        raise ArtifactsError(f"{MODEL_FILE} contains no trained classifier; import the model again.") from None
    if classes != len(manifest.gestures):
        raise ArtifactsError(
            f"The model has {classes} classes and {MANIFEST_FILE} {len(manifest.gestures)}; train again."
        )
    if count != features.count:
        raise ArtifactsError(
            f"The model takes {count} features, not the {features.count} of {features.name}; train again."
        )
    commands = _parse(Commands, files[COMMANDS_FILE], Path(COMMANDS_FILE)).root
    return GestureClassifier(
        model, manifest.gestures, commands, manifest.min_confidence, features, confidence=manifest.confidence
    )


def check_gestures(classifier: GestureClassifier, files: Mapping[str, bytes]) -> None:
    """Check that the custom gestures among the files, if any, can be used with a classifier.

    Raises:
        ArtifactsError: they cannot.
    """
    if GESTURES_FILE not in files:
        return
    try:
        network_of(classifier)
    except ValueError as error:
        raise ArtifactsError(f"{GESTURES_FILE} cannot be used with this model. {error}") from None
    if STORED_HANDS_FILE not in files:
        raise ArtifactsError(
            f"This model has no {STORED_HANDS_FILE}, which custom gestures need; import it again, with --gestures in "
            "the same command."
        )


def _add_custom_gestures(classifier: GestureClassifier, files: Mapping[str, bytes]) -> None:
    check_gestures(classifier, files)
    if GESTURES_FILE in files:
        saved = _parse(SavedGestures, files[GESTURES_FILE], Path(GESTURES_FILE))
        stored = read_stored_hands(io.BytesIO(files[STORED_HANDS_FILE]))
        classifier.add_refinement(Teacher(classifier, stored).teach(saved.own_gestures()))


def check_reference_hands(artifacts: Artifacts, files: Mapping[str, bytes]) -> None:
    """Test that the classifier works by classifying the reference hands.

    Raises:
        ArtifactsError: the classifier fails, or a confidence is not a probability.
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
            raise ArtifactsError(f"The classifier returned the confidence {prediction.confidence}, not a probability.")


def load_commands(path: Path) -> dict[str, str]:
    """Read a file of game commands.

    Raises:
        ArtifactsError: the file is missing or malformed.
    """
    return _parse(Commands, _read(path), path).root


def load_reference_hands(folder: Path) -> ReferenceHands:
    """Read the reference hands of a folder of artifacts.

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
