"""Inspection of model files as users have them: accepted, or rejected with a message that says what to do."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, LabelEncoder, StandardScaler
from sklearn.svm import SVC

from hand_gesture.landmarks import convert, parse_hand
from hand_gesture.model import estimators
from hand_gesture.model.classifier import margins
from hand_gesture.model.features import parse
from hand_gesture.model.inspection import (
    Finding,
    InspectionError,
    ModelFile,
    Options,
    Reference,
    inspect,
    libraries_for,
)
from tests.hands import REFERENCE

HANDS = [*REFERENCE.hands.values(), *REFERENCE.other_side.values()]
NAMES = [*REFERENCE.hands, *REFERENCE.other_side]
REFERENCE_HANDS = Reference(image_size=REFERENCE.image_size, gestures=NAMES, hands=HANDS)
ENCODER = LabelEncoder().fit(NAMES)


def samples_of(features: str, copies: int = 4) -> NDArray[np.float32]:
    """Features of the reference hands, each several times with random noise."""
    described = parse(features)
    hands = np.array([parse_hand(hand) for hand in HANDS])
    convert(hands, REFERENCE.image_size, described.unit)
    samples = np.repeat(described.make(hands), copies, axis=0)
    shaking = np.random.default_rng(0).normal(size=samples.shape) * samples.std(axis=0) * 0.05
    shaken: NDArray[np.float32] = (samples + shaking).astype(np.float32)
    return shaken


SAMPLES = samples_of("wrist_middle_tip_v1")
LABELS = np.repeat(NAMES, 4)
NUMBERS = ENCODER.transform(LABELS)
SCALER = StandardScaler().fit(SAMPLES)
SCALED = SVC(C=100).fit(SCALER.transform(SAMPLES), NUMBERS)
NAMED = SVC(C=100).fit(SAMPLES, LABELS)


def find(model: Any, scaler: Any = None, **options: Any) -> Finding:
    file = ModelFile("model.pkl", model if isinstance(model, bytes) else pickle.dumps(model))
    scaler = scaler and ModelFile("scaler.pkl", pickle.dumps(scaler))
    finding, _ = inspect(file, None, scaler, Options(**options), REFERENCE_HANDS)
    return finding


CLASSES = [str(name) for name in ENCODER.classes_]


@pytest.mark.parametrize(
    "container",
    [
        {"model": SCALED, "scaler": SCALER, "label_encoder": ENCODER},
        {"clf": SCALED, "scaler": SCALER, "labels": CLASSES},
        {"knn": SCALED, "scaler": SCALER, "classes": ENCODER.classes_},
        {"model": SCALED, "scaler": SCALER, "labels": dict(enumerate(CLASSES))},
        {"model": SCALED, "scaler": SCALER, "label_map": {name: index for index, name in enumerate(CLASSES)}},
        {"feature_names": ["x0", "y0"], "counts": {"rows": 9}, "m": SCALED, "scaler": SCALER, "encoder": ENCODER},
        {"feature_names": ["x0", "y0"], "params": {"kernel": "rbf"}, "m": SCALED, "s": SCALER, "labels": CLASSES},
        OrderedDict(model=SCALED, scaler=SCALER, labels=CLASSES),
        (SCALED, SCALER, ENCODER),
        [ENCODER, SCALER, SCALED],
    ],
    ids=lambda container: ", ".join(map(str, container))[:60] if isinstance(container, dict) else type(container),
)
def test_scaler_and_labels_in_the_same_file_are_used(container: Any) -> None:
    finding = find(container)
    assert finding.gestures == CLASSES
    assert finding.kind == "StandardScaler + SVC"
    assert any("a StandardScaler, is applied before it" in note for note in finding.notes)
    assert any("wrist_middle_tip_v1 (36 of 36" in note for note in finding.notes)


def test_scaler_in_a_separate_file_is_applied() -> None:
    finding = find(SCALED, SCALER, labels=",".join(CLASSES))
    assert finding.kind == "StandardScaler + SVC"
    assert "scaler.pkl, a StandardScaler, is applied before the model." in finding.notes


@pytest.mark.parametrize(
    "search",
    [
        GridSearchCV(SVC(), {"C": [100]}, cv=2),
        RandomizedSearchCV(make_pipeline(StandardScaler(), SVC()), {"svc__C": [100]}, n_iter=1, cv=2),
    ],
    ids=lambda search: type(search).__name__,
)
def test_best_estimator_of_a_search_is_used(search: Any) -> None:
    notes = find(search.fit(SAMPLES, LABELS)).notes
    assert f"model.pkl contains a {type(search).__name__}; its best estimator is used." in notes


def test_confidence_of_an_svm_without_probabilities_grows_with_its_margin() -> None:
    finding = find(NAMED)
    assert finding.confidence == "margin"
    assert any("has no probabilities; its confidence is the smallest pairwise margin" in note for note in finding.notes)
    pairwise = SVC(C=100, decision_function_shape="ovo").fit(SAMPLES, LABELS)
    path = np.linspace(SAMPLES[0], SAMPLES[4], 50)  # from one gesture to another
    confidences = margins(pairwise, path).max(axis=1)
    decisions = pairwise.decision_function(path)
    least = []
    first, second = np.triu_indices(len(CLASSES), k=1)
    for row, winner in zip(decisions, margins(pairwise, path).argmax(axis=1), strict=True):
        least.append(min(*row[first == winner], *-row[second == winner], np.inf, np.inf))
    assert ((confidences >= 0) & (confidences <= 1)).all()
    assert (np.diff(confidences[np.argsort(least)]) >= 0).all()
    assert len(set(confidences.round(6))) > 10


def forest(labels: NDArray[Any]) -> RandomForestClassifier:
    return RandomForestClassifier(2, random_state=0).fit(SAMPLES, labels)


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (lambda: forest(NUMBERS), {}, "are numbers .*name them with --encoder FILE, or with --lab"),
        (lambda: SVC().fit(np.tile(SAMPLES[:, :42], 2), LABELS), {}, "84 features, which is two hands in one vector"),
        (lambda: SVC().fit(np.tile(SAMPLES, 2), LABELS), {}, "126 features, which is two hands in one vector"),
        (lambda: SVC().fit(SAMPLES[:16], LABELS[:16]), {}, "Too few of the model's labels.*give them with --features"),
        (lambda: NAMED, {"features": "min_xy"}, "--features min_xy has 42 features; the model takes 63"),
        (lambda: NAMED, {"features": "best"}, "The features 'best' are unknown; .* one of wrist_middle_tip_v1"),
        (lambda: {"labels": ["a"], "data": [1]}, {}, "dictionary without a classifier .keys: labels, data"),
        (lambda: {"svm": NAMED, "forest": NAMED}, {}, "several classifiers .svm, forest.; save only one"),
        (lambda: SCALER, {}, "StandardScaler, not a classifier; use --encoder or --scaler"),
        (SVC, {}, "that is not trained"),
        (lambda: pickle.dumps(0)[:-3] + b"ckeras.src.models\nSequential\n.", {}, "a Keras model"),
        (lambda: b"clightgbm.sklearn\nLGBMClassifier\n.", {}, "a LightGBM model"),
        (lambda: b"ctorch.nn\nModule\n.", {}, "a PyTorch model"),
        (lambda: b"version https://git-lfs.github.com/spec/v1\n", {}, "git lfs pull"),
        (
            lambda: make_pipeline(FunctionTransformer(np.abs), SVC()).fit(SAMPLES, LABELS),
            {},
            "FunctionTransformer, which is not supported.*train it again without",
        ),
        (
            lambda: make_pipeline(ColumnTransformer([("all", StandardScaler(), [0, 1])]), SVC()).fit(SAMPLES, LABELS),
            {},
            "ColumnTransformer, which is not supported",
        ),
    ],
)
def test_unusable_models_are_rejected(make: Callable[[], Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(InspectionError, match=message):
        find(make(), **options)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("classifier", [NAMED, forest(LABELS)], ids=lambda model: type(model).__name__)
def test_feature_names_cause_no_warnings(classifier: Any) -> None:
    """A model trained on a DataFrame would otherwise log a warning for each call."""
    model = pickle.loads(pickle.dumps(classifier))  # noqa: S301 (created above)
    model.feature_names_in_ = np.array([f"x{index}" for index in range(63)], dtype=object)
    _, content = inspect(ModelFile("model.pkl", pickle.dumps(model)), None, None, Options(), REFERENCE_HANDS)
    served = pickle.loads(content)  # noqa: S301 (created by the import)
    assert served.predict(SAMPLES).tolist() == classifier.predict(SAMPLES).tolist()


@pytest.mark.parametrize("compress", [0, 3])
def test_xgboost_is_found_in_a_compressed_file(tmp_path: Path, compress: int) -> None:
    xgboost = pytest.importorskip("xgboost")
    model = xgboost.XGBClassifier(n_estimators=1).fit(SAMPLES, NUMBERS)
    joblib.dump(model, tmp_path / "model.pkl", compress=compress)
    assert "xgboost" in libraries_for((tmp_path / "model.pkl").read_bytes())
    assert "xgboost" not in libraries_for(pickle.dumps(NAMED))


def test_parameters_of_newer_xgboost_versions_are_added() -> None:
    """The service calls ``get_params`` when it starts."""
    xgboost = pytest.importorskip("xgboost")
    model = xgboost.XGBClassifier(n_estimators=1).fit(SAMPLES, NUMBERS)
    del model.feature_weights
    model, _ = estimators.read(pickle.dumps(model))
    assert estimators.prepare(model).get_params()["feature_weights"] is None
