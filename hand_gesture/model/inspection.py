"""Inspects a user's model file before it is stored: reads and validates it, detects how to use it, serializes it again.

It runs in a sandboxed process (``sandbox.py``), because the file may be malicious. Each step of ``inspect`` returns a
sentence for the user, or raises an error that says what to do.
"""

from __future__ import annotations

import contextlib
import importlib.util
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from hand_gesture.landmarks import COORDINATE_COUNT, LANDMARK_COUNT, Unit, convert, parse_hand
from hand_gesture.model import estimators
from hand_gesture.model.classifier import Confidence, last_step, probabilities_of
from hand_gesture.model.feature_detection import FeatureDetectionError, detect_features
from hand_gesture.model.features import Features, UnknownFeaturesError, parse
from hand_gesture.model.formats import OWN, UnsupportedFormatError, check_format, decompress, is_xgboost_json, mentions
from hand_gesture.model.labels import LabelsError, name_classes, names_of_encoder, read_labels
from hand_gesture.model.safe_pickle import Placeholder, UnsafePickleError
from hand_gesture.model.versions import VersionError, check_versions

MAX_UNPACKED_BYTES: Final = 2_000_000_000
MAX_BATCH: Final = 1024  # the default of MAX_HANDS: the largest batch in the service
_MODEL_KEYS: Final = ("model", "best_model", "classifier", "clf", "estimator", "pipeline")
_SECONDS_TO_MEASURE: Final = 0.3


class InspectionError(ValueError):
    """The model cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class ModelFile:
    """Name and content of a file from the user."""

    name: str
    content: bytes


class Options(BaseModel):
    """Options of the import."""

    labels: str | None = None
    features: str | None = None
    trust_version: bool = False


class Reference(BaseModel):
    """Labelled reference hands, 21 points each, in 0..1 of a frame of ``image_size`` pixels."""

    image_size: tuple[int, int]
    gestures: list[str]
    hands: list[list[list[float]]]


class Finding(BaseModel):
    """Result of the inspection; ``notes`` are sentences for the user."""

    notes: list[str]
    gestures: list[str]
    features: Features
    kind: str
    written_by: str
    confidence: Confidence
    hands_per_second: int


@dataclass
class _Contents:
    """Content of a model file: the model, and a scaler and class names if it has them."""

    model: Any
    scaler: Any = None
    names: list[str] | dict[str, str] | None = None
    note: str = ""


def libraries_for(*contents: bytes) -> tuple[str, ...]:
    """The libraries that files need, which must be imported before the sandbox is entered.

    Raises:
        InspectionError: a library is not installed.
    """
    if not any(mentions(content, b"xgboost", MAX_UNPACKED_BYTES) or is_xgboost_json(content) for content in contents):
        return ("sklearn",)
    if importlib.util.find_spec("xgboost") is None:
        raise InspectionError(
            "The model is an XGBoost classifier, and XGBoost is not installed; run `.venv/bin/pip install -r "
            "requirements.txt` and import again."
        )
    return ("sklearn", "xgboost")


def inspect(
    model: ModelFile, encoder: ModelFile | None, scaler: ModelFile | None, options: Options, reference: Reference
) -> tuple[Finding, bytes]:
    """Validate a classifier and detect its features, labels and kind of confidence.

    Returns:
        The finding, and the classifier pickled with the installed versions.

    Raises:
        InspectionError: the model cannot be used.
    """
    notes: list[str] = []
    try:
        contents, versions = _read_model(model)
        notes.append(contents.note)
        classifier = contents.model
        classes = _classes(classifier, model.name)
        names, source = contents.names, model.name
        if encoder:
            names, source = _read_encoder(encoder), encoder.name
        if options.labels is not None:
            names, source = read_labels(options.labels), "--labels"
        gestures = name_classes(classes, names, source)
        written_by, note = _check_version(model.name, classifier, versions, options)
        notes.append(note)
        confidence, note = _find_confidence(classifier)
        notes.append(note)
        if scaler:
            contents.scaler, note = _read_scaler(scaler, options)
            notes.append(note)
        if contents.scaler is not None:
            classifier = _with_scaler(contents.scaler, classifier)
        count = _feature_count(classifier, model.name)
        probabilities = probabilities_of(classifier, confidence)
        features, note = _find_features(probabilities, count, gestures, options, reference)
        notes.append(note)
    except UnsafePickleError as error:
        raise InspectionError(f"{model.name} was not loaded: {error}.") from None
    except (VersionError, LabelsError, FeatureDetectionError, UnknownFeaturesError) as error:
        raise InspectionError(str(error)) from None
    _check_answers(probabilities, features, len(gestures), confidence, reference)
    speed = _hands_per_second(probabilities, features, reference)
    finding = Finding(
        notes=[note for note in notes if note],
        gestures=gestures,
        features=features,
        kind=_kind(classifier),
        written_by=written_by,
        confidence=confidence,
        hands_per_second=speed,
    )
    return finding, pickle.dumps(classifier, protocol=5)


def _kind(classifier: Any) -> str:
    steps = getattr(classifier, "steps", None)
    return " + ".join(type(step).__name__ for _, step in steps) if steps else type(classifier).__name__


# --- Reading files


def _read_pickle(file: ModelFile) -> tuple[Any, set[str]]:
    try:
        check_format(file.content, file.name)
        content = decompress(file.content, MAX_UNPACKED_BYTES)
        return estimators.read(content)
    except UnsupportedFormatError as error:
        raise InspectionError(f"{file.name} {error}.") from None
    except UnsafePickleError as error:
        raise InspectionError(f"{file.name} was not loaded: {error}.") from None


def _read_model(file: ModelFile) -> tuple[_Contents, set[str]]:
    if is_xgboost_json(file.content):
        return _Contents(_read_xgboost_json(file)), set()
    found, versions = _read_pickle(file)
    contents = _unwrap(found, file.name)
    contents.model = estimators.prepare(contents.model)
    if contents.scaler is not None:
        contents.scaler = estimators.prepare(contents.scaler)
    return contents, versions


def _read_xgboost_json(file: ModelFile) -> Any:
    xgboost = importlib.import_module("xgboost")
    classifier = xgboost.XGBClassifier()
    with estimators.quiet_xgboost():
        try:
            classifier.load_model(bytearray(file.content))
        except Exception as error:
            line = str(error).strip().splitlines()[0][:120]
            raise InspectionError(f"{file.name} was not loaded: XGBoost cannot read it ({line}).") from None
    return estimators.prepare(classifier)


def _unwrap(found: Any, name: str) -> _Contents:
    """Find the classifier in a loaded file: directly, in a hyperparameter search, or in a dictionary or list."""
    if estimators.name_of(found) == "xgboost.core.Booster":
        raise InspectionError(_explain_foreign(estimators.name_of(found), name))
    best = _best_of_search(found)
    if best is not None:
        what = estimators.name_of(found).rpartition(".")[2]
        return _Contents(best, note=f"{name} contains a {what}; its best estimator is used.")
    if estimators.is_classifier(found):
        return _Contents(found)
    items = _items(found)
    candidates = {key: _classifier_in(item) for key, item in items.items() if _classifier_in(item) is not None}
    if not candidates:
        raise InspectionError(_explain_no_model(found, items, name))
    key = next((key for key in _MODEL_KEYS if key in candidates), None)
    if key is None:
        key = next(iter(candidates))
        if len(candidates) > 1:
            listed = ", ".join(map(str, candidates))
            raise InspectionError(f"{name} contains several classifiers ({listed}); save only one of them.")
    contents = _Contents(
        candidates[key], note=f"{name} contains several objects; {str(key)!r} is used as the classifier."
    )
    others = {other: item for other, item in items.items() if other != key}
    contents.names = _names_in([*others.values()], _classes(contents.model, name))
    for other, item in others.items():
        if estimators.is_transformer(item):
            contents.scaler = item
            contents.note += f" {str(other)!r}, a {type(item).__name__}, is applied before it."
    return contents


def _names_in(items: list[Any], classes: list[Any]) -> list[str] | dict[str, str] | None:
    """Class names from the other objects in a file: an encoder, or a list or dictionary that matches the classes."""
    for item in items:
        if type(item).__name__ in {"LabelEncoder", "LabelBinarizer"}:
            return names_of_encoder(item)
    for item in items:
        if names := names_of_encoder(item):
            with contextlib.suppress(LabelsError):  # a list of something else
                name_classes(classes, names, "")
                return names
    return None


def _items(found: Any) -> dict[Any, Any]:
    """The items of a dictionary or list, or the state of an unsupported object."""
    if isinstance(found, Placeholder):
        found = found.state
    if isinstance(found, list | tuple):
        return dict(enumerate(found))
    return found if isinstance(found, dict) else {}


def _classifier_in(item: Any) -> Any:
    best = _best_of_search(item)
    return item if best is None and estimators.is_classifier(item) else best


def _best_of_search(found: Any) -> Any:
    """The best estimator of a GridSearchCV or similar search, which are unsupported themselves."""
    if isinstance(found, Placeholder) and type(found.state) is dict:
        return found.state.get("best_estimator_")
    return None


def _explain_foreign(what: str, name: str) -> str:
    library = what.partition(".")[0]
    makers = {
        "keras": "Keras",
        "tensorflow": "Keras",
        "torch": "PyTorch",
        "lightgbm": "LightGBM",
        "catboost": "CatBoost",
    }
    if library in makers:
        return f"{name} contains a {makers[library]} model ({what}); {OWN}."
    if what == "xgboost.core.Booster":
        return f"{name} contains a bare XGBoost Booster; save it with booster.save_model('model.json') and import that."
    if library in {"sklearn", "xgboost"}:
        return f"{name} contains a {what}, which is not supported; docs/models.md lists the supported classifiers."
    return f"{name} was not loaded: it refers to {what}, which no classifier needs."


def _explain_no_model(found: Any, items: dict[Any, Any], name: str) -> str:
    foreign = next((item for item in (found, *items.values()) if isinstance(item, Placeholder)), None)
    if foreign is not None:
        return _explain_foreign(foreign.name, name)
    if isinstance(found, dict):
        keys = ", ".join(str(key)[:20] for key in [*found][:5])
        return (
            f"{name} contains a dictionary without a classifier (keys: {keys or 'none'}); save the classifier itself."
        )
    if estimators.is_estimator(found):
        return f"{name} contains a {type(found).__name__}, not a classifier; use --encoder or --scaler for it."
    return f"{name} contains a {type(found).__name__}, not a classifier; save the trained classifier itself."


def _read_encoder(file: ModelFile) -> list[str] | dict[str, str]:
    found, _ = _read_pickle(file)
    if type(found).__name__ in {"LabelEncoder", "LabelBinarizer"}:
        found = estimators.prepare(found)
        if not hasattr(found, "classes_"):
            raise InspectionError(f"{file.name} contains an encoder that is not fitted; use the one from training.")
    names = names_of_encoder(found)
    if names is None:
        raise InspectionError(
            f"{file.name} contains a {estimators.name_of(found)}, not a LabelEncoder; name the classes with --labels "
            "a,b,c."
        )
    return names


def _read_scaler(file: ModelFile, options: Options) -> tuple[Any, str]:
    found, versions = _read_pickle(file)
    if isinstance(found, Placeholder) or not callable(getattr(type(found), "transform", None)):
        raise InspectionError(f"{file.name} contains a {estimators.name_of(found)}, not a scaler.")
    scaler = estimators.prepare(found)
    _, note = _check_version(file.name, scaler, versions, options)
    return scaler, note or f"{file.name}, a {type(scaler).__name__}, is applied before the model."


def _with_scaler(scaler: Any, classifier: Any) -> Any:
    from sklearn.pipeline import Pipeline  # noqa: PLC0415 (already imported before the sandbox was entered)

    return Pipeline([("scaler", scaler), ("classifier", classifier)])


# --- Properties of the classifier


def _classes(classifier: Any, name: str) -> list[Any]:
    try:
        classes = np.asarray(classifier.classes_)
    except AttributeError:
        raise InspectionError(f"{name} contains a {type(classifier).__name__} that is not trained.") from None
    if classes.ndim != 1 or len(classes) < 2 or classes.dtype.kind not in "iuUSOfb":
        raise InspectionError(
            f"{name} contains a {type(classifier).__name__} with fewer than two classes, or unsupported class labels."
        )
    if classes.dtype.kind == "f" and (classes == classes.astype(np.int64)).all():
        classes = classes.astype(np.int64)
    return [item.decode() if isinstance(item, bytes) else item for item in classes.tolist()]


def _check_version(name: str, model: Any, versions: set[str], options: Options) -> tuple[str, str]:
    import sklearn  # noqa: PLC0415 (already imported before the sandbox was entered)

    boosters = [version for version in estimators.check_boosters(model) if version]
    if boosters:
        installed = importlib.import_module("xgboost").__version__
        (written_by, *_) = boosters
        same = written_by == installed
        note = (
            "" if same else f"{name} was written by XGBoost {written_by}; its trees predict the same with {installed}."
        )
        return f"xgboost {written_by}", note
    note = check_versions(name, model, versions, sklearn.__version__, trust=options.trust_version)
    return f"scikit-learn {', '.join(sorted(versions))}" if versions else "", note


def _find_confidence(classifier: Any) -> tuple[Confidence, str]:
    last = last_step(classifier)
    if callable(getattr(classifier, "predict_proba", None)):
        return "probability", ""
    if not callable(getattr(classifier, "decision_function", None)):
        kind = type(last).__name__
        raise InspectionError(
            f"The model, a {kind}, has no predict_proba or decision_function; train another classifier."
        )
    if type(last).__name__ in {"SVC", "NuSVC"}:
        last.decision_function_shape, last.break_ties = "ovo", False
        margin = "the smallest pairwise margin"
    else:
        margin = "the margin between the best two classes"
    return "margin", f"{type(last).__name__} has no probabilities; its confidence is {margin}."


def _feature_count(classifier: Any, name: str) -> int:
    count = getattr(classifier, "n_features_in_", None)
    if not isinstance(count, int | np.integer):
        raise InspectionError(f"{name} has no number of features; train it again with a current scikit-learn.")
    return int(count)


# --- Features and test predictions


def _find_features(
    probabilities: Callable[..., Any], count: int, gestures: list[str], options: Options, reference: Reference
) -> tuple[Features, str]:
    if count in {2 * COORDINATE_COUNT, 4 * LANDMARK_COUNT, 2 * COORDINATE_COUNT + 2, 4 * LANDMARK_COUNT + 2}:
        raise InspectionError(
            f"The model takes {count} features, which is two hands in one vector; this service classifies each hand "
            "separately: train on the features of one hand."
        )
    if options.features is not None:
        features = parse(options.features)
        if features.count != count:
            raise InspectionError(
                f"--features {options.features} has {features.count} features; the model takes {count}."
            )
        return features, f"Features: {features.name}, from --features."
    return detect_features(probabilities, count, gestures, _labelled_hands(reference), reference.gestures)


def _labelled_hands(reference: Reference) -> dict[Unit, NDArray[np.float64]]:
    hands = np.array([parse_hand(hand) for hand in reference.hands])
    units = {}
    for unit in Unit:
        units[unit] = hands.copy()
        convert(units[unit], reference.image_size, unit)
    return units


def _check_answers(
    probabilities: Callable[..., Any], features: Features, classes: int, confidence: Confidence, reference: Reference
) -> None:
    """Check that the model predicts valid probabilities for the largest batch that the service may pass to it."""
    hands = _labelled_hands(reference)[features.unit]
    hands = np.resize(hands, (MAX_BATCH, COORDINATE_COUNT))
    try:
        answers = np.asarray(probabilities(features.make(hands)))
    except MemoryError:
        raise InspectionError(f"The model needs too much memory for a batch of {MAX_BATCH} hands.") from None
    except Exception as error:
        raise InspectionError(f"The model fails on the reference hands ({type(error).__name__}: {error}).") from None
    good = answers.shape == (MAX_BATCH, classes) and bool(np.isfinite(answers).all())
    if good and confidence == "probability":
        good = bool((answers >= -1e-6).all() and np.allclose(answers.sum(axis=1), 1, atol=1e-3))
    if not good:
        raise InspectionError("The model's outputs are not probabilities; train it again with the installed versions.")


def _hands_per_second(probabilities: Callable[..., Any], features: Features, reference: Reference) -> int:
    """Predictions per second, one hand at a time."""
    hand = _labelled_hands(reference)[features.unit][:1]
    calls, started = 0, time.perf_counter()
    while (seconds := time.perf_counter() - started) < _SECONDS_TO_MEASURE or not calls:
        probabilities(features.make(hand))
        calls += 1
    return max(1, round(calls / seconds))
