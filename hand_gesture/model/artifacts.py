"""A folder of artifacts: the pickled classifier and encoder, and the manifest that says what they are.

The same checks run when artifacts are imported and when the service starts from what was imported.
"""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from pydantic import BaseModel, Field, RootModel, ValidationError

from hand_gesture.landmarks import parse_hand, restore_shape
from hand_gesture.model.classifier import GestureClassifier, join
from hand_gesture.model.deferral import deferred

MODEL_FILE: Final = "model.pkl"
ENCODER_FILE: Final = "encoder.pkl"
COMMANDS_FILE: Final = "commands.json"
REFERENCE_HANDS_FILE: Final = "reference_hands.json"
MANIFEST_FILE: Final = "manifest.json"
# A label of a stored model: whether it came with the project as it is
ORIGIN: Final = "origin"
BUNDLED: Final = "bundled"
OWN: Final = "own"

_Model = TypeVar("_Model", bound=BaseModel)


class ArtifactsError(Exception):
    """The artifacts cannot be used; the message is a sentence that says why and what to do."""


class Manifest(BaseModel):
    """What the artifacts are and what they were made with."""

    feature_contract: str
    gestures: list[str]  # the classifier's classes; "none" may be among them
    min_confidence: float = Field(default=0.0, ge=0, le=1)  # the operating point: below it no gesture is named
    sha256: dict[str, str] = {}
    versions: dict[str, str]
    training_data: dict[str, Any] = {}
    figures: dict[str, Any] = {}


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


def verify_artifacts(folder: Path, *, expected_version: str | None = None) -> tuple[Manifest, str]:
    """Check that every file is the one that the manifest describes, without unpickling anything.

    Args:
        folder: where the files are.
        expected_version: the version that the folder must have, where it is known from elsewhere.

    Returns:
        The manifest and the version.

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
    for name in (MODEL_FILE, ENCODER_FILE, COMMANDS_FILE, REFERENCE_HANDS_FILE):
        if sha256(_read(folder / name)) != manifest.sha256.get(name):
            raise ArtifactsError(
                f"{folder / name} is not the file that {MANIFEST_FILE} describes (its SHA-256 differs); restore it or "
                "train anew."
            )
    return manifest, found


def load_artifacts(
    folder: Path, *, expected_version: str | None = None, min_confidence: float | None = None
) -> Artifacts:
    """Verify and load a folder of artifacts; see ``verify_artifacts``.

    Classifier, encoder and features must fit each other, and the reference hands must be answered.

    Args:
        folder: where the files are.
        expected_version: the version that the folder must have, where it is known from elsewhere.
        min_confidence: in place of the manifest's.

    Raises:
        ArtifactsError: something is wrong.
    """
    manifest, found = verify_artifacts(folder, expected_version=expected_version)
    classifier = load_classifier(
        folder / MODEL_FILE,
        folder / ENCODER_FILE,
        folder / COMMANDS_FILE,
        min_confidence=manifest.min_confidence,
    )
    if list(classifier.classes) != manifest.gestures:
        raise ArtifactsError(f"The gestures in {MANIFEST_FILE} are not those of {ENCODER_FILE}; train anew.")
    if manifest.feature_contract != classifier.features.name:
        raise ArtifactsError(
            f"The model was trained on features {manifest.feature_contract}, but this service makes "
            f"{classifier.features.name} for it; train the model on those."
        )
    smoke_test(classifier, load_reference_hands(folder))
    if min_confidence is not None:  # after the test: an operator may want to name nothing
        classifier.min_confidence = min_confidence
    return Artifacts(classifier, manifest, found)


def load_classifier(model: Path, encoder: Path, commands: Path, min_confidence: float = 0) -> GestureClassifier:
    """Unpickle a classifier and its encoder and join them with the command table.

    Raises:
        ArtifactsError: a file is missing or unsafe, or the three do not fit each other.
    """
    try:
        return join(
            _unpickle(model),
            _unpickle(encoder),
            load_commands(commands),
            min_confidence=min_confidence,
        )
    except (ValueError, AttributeError) as error:
        raise ArtifactsError(
            f"{model.name}, {encoder.name} and {commands.name} cannot be used together: {error}."
        ) from None


def smoke_test(classifier: GestureClassifier, reference: ReferenceHands) -> None:
    """Have every reference hand classified: those of a gesture that the classifier knows must get that gesture.

    Raises:
        ArtifactsError: an answer is wrong or not a probability.
    """
    hands = np.array([parse_hand(hand) for hand in reference.hands.values()])
    restore_shape(hands, reference.image_size)
    try:
        predictions = classifier.predict(hands)
    except Exception as error:
        raise ArtifactsError(
            f"The classifier failed on the reference hands: {type(error).__name__}: {error}."
        ) from None
    for gesture, prediction in zip(reference.hands, predictions, strict=True):
        if not 0 <= prediction.confidence <= 1:
            raise ArtifactsError(f"The classifier answered {prediction.confidence} where a probability belongs.")
        if gesture in classifier.gestures and prediction.gesture != gesture:
            raise ArtifactsError(
                f"The classifier takes the reference hand of {gesture} for {prediction.gesture}; it was probably "
                "trained on other features."
            )


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
        raise _unreadable(path, error) from None


def _parse(model: type[_Model], content: bytes, path: Path) -> _Model:
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ArtifactsError(f"{path} is malformed at '{place}': {first['msg']}.") from None


def _unpickle(path: Path) -> Any:
    # scikit-learn is imported late, because the supervisor of the workers unpickles nothing; scipy.stats only if a
    # model should call it: that is half of the time that the import of scikit-learn takes, and 24 MB.
    with deferred("scipy.stats"):
        from hand_gesture.model import safe_pickle  # noqa: PLC0415

        try:
            return safe_pickle.load(path)
        except OSError as error:
            raise _unreadable(path, error) from None
        except safe_pickle.UnsafePickleError as error:
            raise ArtifactsError(f"{path} was not loaded: {error}.") from None


def _unreadable(path: Path, error: OSError) -> ArtifactsError:
    return ArtifactsError(f"{path} cannot be read ({error.strerror}); give the path of an existing file.")
