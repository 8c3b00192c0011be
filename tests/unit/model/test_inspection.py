"""Inspection of model files as users have them: accepted, or rejected with a message that says what to do."""

from __future__ import annotations

import itertools
import pickle
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, LabelBinarizer, LabelEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC, NuSVC
from sklearn.tree import DecisionTreeClassifier

from hand_gesture.landmarks import Unit, convert, parse_hand
from hand_gesture.model import estimators, inspection
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
BAYES_OF = {
    count: GaussianNB().fit(np.random.default_rng(0).normal(size=(len(LABELS), count)), LABELS)
    for count in (50, 86, 128)
}
BAYES = GaussianNB().fit(SAMPLES, LABELS)
TREE = DecisionTreeClassifier(random_state=0).fit(SAMPLES, LABELS)


@pytest.fixture(autouse=True)
def _short_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "_SECONDS_TO_MEASURE", 0.001)


def find(model: Any, scaler: Any = None, encoder: Any = None, **options: Any) -> Finding:
    file = ModelFile("model.pkl", model if isinstance(model, bytes) else pickle.dumps(model))
    scaler = scaler and ModelFile("scaler.pkl", pickle.dumps(scaler))
    encoder = encoder and ModelFile("encoder.pkl", pickle.dumps(encoder))
    finding, _ = inspect(file, encoder, scaler, Options(**options), REFERENCE_HANDS)
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
    finding = find(container, features="wrist_middle_tip_v1")
    assert finding.gestures == CLASSES
    assert finding.kind == "StandardScaler + SVC"
    assert any("a StandardScaler, is applied before it" in note for note in finding.notes)


def test_scaler_in_a_separate_file_is_applied() -> None:
    finding = find(SCALED, SCALER, labels=",".join(CLASSES))
    assert finding.kind == "StandardScaler + SVC"
    assert "scaler.pkl, a StandardScaler, is applied before the model." in finding.notes
    assert any("wrist_middle_tip_v1 (36 of 36" in note for note in finding.notes)


def test_finding_describes_the_model() -> None:
    finding = find(TREE)
    assert finding.notes == ["Detected features: wrist_middle_tip_v1 (36 of 36 reference hands are correct)."]
    assert finding.gestures == CLASSES
    assert finding.features.name == "wrist_middle_tip_v1"
    assert finding.kind == "DecisionTreeClassifier"
    assert finding.written_by == f"scikit-learn {sklearn.__version__}"
    assert finding.confidence == "probability"
    assert finding.hands_per_second >= 1


def test_classes_are_named_by_the_encoder_or_by_labels_which_win() -> None:
    numbers = DecisionTreeClassifier(random_state=0).fit(SAMPLES, NUMBERS)
    for encoder in (ENCODER, LabelBinarizer().fit(NAMES), CLASSES, dict(enumerate(CLASSES))):
        assert find(numbers, encoder=encoder, features="wrist_middle_tip_v1").gestures == CLASSES
    others = [f"{name} again" for name in CLASSES]
    given = {"labels": ",".join(others), "features": "wrist_middle_tip_v1"}
    finding = find({"model": numbers, "encoder": ENCODER}, encoder=ENCODER, **given)
    assert [name.replace("_again", " again") for name in finding.gestures] == others
    assert finding.notes[-1] == "Features: wrist_middle_tip_v1, from --features."


def test_labels_may_be_numbers_of_other_types_or_bytes() -> None:
    numbers = DecisionTreeClassifier(random_state=0).fit(SAMPLES, NUMBERS.astype(float))
    assert find(numbers, encoder=ENCODER).gestures == CLASSES
    words = DecisionTreeClassifier(random_state=0).fit(SAMPLES, LABELS)
    words.classes_ = words.classes_.astype("S")
    assert find(words).gestures == CLASSES


@pytest.mark.parametrize("key", ["model", "best_model", "classifier", "clf", "estimator", "pipeline"])
def test_classifier_with_a_usual_key_is_used(key: str) -> None:
    finding = find({"old": NAMED, key: TREE})
    assert finding.kind == "DecisionTreeClassifier"
    assert finding.notes[0] == f"model.pkl contains several objects; {key!r} is used as the classifier."


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: LinearSVC().fit(SAMPLES, LABELS), "LinearSVC"),
        (lambda: RidgeClassifier().fit(SAMPLES, LABELS), "Ridge"),
    ],
)
def test_confidence_of_other_classifiers_is_the_margin_between_two_classes(make: Callable[[], Any], kind: str) -> None:
    finding = find(make(), features="wrist_middle_tip_v1")
    assert finding.confidence == "margin"
    (note,) = [note for note in finding.notes if note.startswith(kind)]
    assert note.endswith("has no probabilities; its confidence is the margin between the best two classes.")


@pytest.mark.parametrize("kind", [SVC, NuSVC])
def test_confidence_of_support_vector_machines_is_a_pairwise_margin(kind: Any) -> None:
    finding = find(kind().fit(SAMPLES, LABELS), features="wrist_middle_tip_v1")
    assert finding.confidence == "margin"
    assert f"{kind.__name__} has no probabilities; its confidence is the smallest pairwise margin." in finding.notes


def test_two_classes_are_enough() -> None:
    model = GaussianNB().fit(SAMPLES[:8], ["a"] * 4 + ["b"] * 4)
    assert find(model, features="wrist_middle_tip_v1").gestures == ["a", "b"]


def test_model_of_another_version_is_used_if_the_user_says_so() -> None:
    model = pickle.dumps(NAMED, 0).replace(f"V{sklearn.__version__}".encode(), b"V1.0.2")
    with pytest.raises(
        InspectionError, match=r"^model\.pkl was written .* SVC may predict differently .* add --trust-version"
    ):
        find(model, features="wrist_middle_tip_v1")
    finding = find(model, features="wrist_middle_tip_v1", trust_version=True)
    assert finding.notes[0].endswith("it is used because of --trust-version.")
    assert finding.written_by == "scikit-learn 1.0.2"


def test_model_of_xgboost_is_read_from_its_own_format(tmp_path: Path) -> None:
    xgboost = pytest.importorskip("xgboost")
    model = xgboost.XGBClassifier(n_estimators=2, max_depth=3).fit(SAMPLES, NUMBERS)
    for name in ("model.json", "model.ubj"):
        model.save_model(tmp_path / name)
        content = (tmp_path / name).read_bytes()
        finding, _ = inspect(
            ModelFile(name, content),
            None,
            None,
            Options(labels=",".join(CLASSES), features="wrist_middle_tip_v1"),
            REFERENCE_HANDS,
        )
        assert (finding.kind, finding.written_by) == ("XGBClassifier", "")
        with pytest.raises(InspectionError, match=rf"^{name} was not loaded: XGBoost cannot read it \(.{{8,}}\)\.$"):
            inspect(ModelFile(name, content[:-100]), None, None, Options(), REFERENCE_HANDS)
    with pytest.raises(InspectionError, match=r"^model\.pkl contains a bare XGBoost Booster; save it with"):
        find(model.get_booster())


def test_notes_name_the_file_that_another_version_wrote() -> None:
    installed = sklearn.__version__.encode()
    scaler = pickle.dumps(SCALER, 0).replace(b"V" + installed, b"V1.6.1")
    note = f"scaler.pkl was written by scikit-learn 1.6.1; StandardScaler predicts the same with {sklearn.__version__}."
    model = ModelFile("model.pkl", pickle.dumps(SCALED))
    options = Options(labels=",".join(CLASSES), features="wrist_middle_tip_v1")
    finding, _ = inspect(model, None, ModelFile("scaler.pkl", scaler), options, REFERENCE_HANDS)
    assert note in finding.notes
    scaler = scaler.replace(b"V1.6.1", b"V1.0.2")
    with pytest.raises(
        InspectionError, match=r"^scaler\.pkl was written by scikit-learn 1\.0\.2, and StandardScaler may"
    ):
        inspect(model, None, ModelFile("scaler.pkl", scaler), options, REFERENCE_HANDS)


def test_speed_is_measured_one_hand_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "_SECONDS_TO_MEASURE", 0.3)
    shapes: list[tuple[int, ...]] = []

    def probabilities(features: NDArray[np.float32]) -> None:
        shapes.append(features.shape)

    for tick, calls, expected in ((0.125, 2, 5), (1, 1, 1), (100, 1, 1)):  # 2 calls in 0.375 seconds, 1 call in 2
        shapes.clear()
        clock = itertools.count(start=10, step=tick)
        monkeypatch.setattr(inspection, "time", SimpleNamespace(perf_counter=clock.__next__))
        speed = inspection._hands_per_second(probabilities, parse("wrist_middle_tip_v1"), REFERENCE_HANDS)
        assert (shapes, speed) == ([(1, 63)] * calls, expected)


class Container:
    """An object of a class that is not supported."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


def test_classifier_in_an_unsupported_object_is_used() -> None:
    notes = find(Container(name="mine", fitted=TREE), features="wrist_middle_tip_v1").notes
    assert notes[0] == "model.pkl contains several objects; 'fitted' is used as the classifier."


def test_compressed_model_is_read(tmp_path: Path) -> None:
    joblib.dump(TREE, tmp_path / "model.pkl", compress=3)
    finding = find((tmp_path / "model.pkl").read_bytes(), features="wrist_middle_tip_v1")
    assert finding.kind == "DecisionTreeClassifier"


@pytest.mark.parametrize("where", [lambda scaler: ([SCALED, scaler], None), lambda scaler: (SCALED, scaler)])
def test_scalers_are_validated(where: Callable[[Any], tuple[Any, Any]]) -> None:
    model, scaler = where(changed(SCALER, extra=Container()))
    with pytest.raises(InspectionError, match=r"it contains .*Container, which is not supported"):
        find(model, scaler, labels=",".join(CLASSES))


def test_notes_name_the_objects_that_are_used() -> None:
    note, *_ = find({"model": SCALED, "s": SCALER, "labels": CLASSES}, features="wrist_middle_tip_v1").notes
    assert note == (
        "model.pkl contains several objects; 'model' is used as the classifier. "
        "'s', a StandardScaler, is applied before it."
    )


def test_search_in_a_dictionary_is_used() -> None:
    search = GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [None]}, cv=2).fit(SAMPLES, LABELS)
    finding = find({"search": search, "rows": 9}, features="wrist_middle_tip_v1")
    assert finding.kind == "DecisionTreeClassifier"


def test_encoder_is_preferred_to_other_lists() -> None:
    numbers = DecisionTreeClassifier(random_state=0).fit(SAMPLES, NUMBERS)
    columns = [f"column {index}" for index in range(18)]
    for encoder in (ENCODER, LabelBinarizer().fit(NAMES)):
        contents = {"columns": columns, "model": numbers, "encoder": encoder}
        assert find(contents, features="wrist_middle_tip_v1").gestures == CLASSES


@pytest.mark.parametrize(
    "search",
    [
        GridSearchCV(SVC(), {"C": [100]}, cv=2),
        RandomizedSearchCV(make_pipeline(StandardScaler(), SVC()), {"svc__C": [100]}, n_iter=1, cv=2),
    ],
    ids=lambda search: type(search).__name__,
)
def test_best_estimator_of_a_search_is_used(search: Any) -> None:
    notes = find(search.fit(SAMPLES, LABELS), features="wrist_middle_tip_v1").notes
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


def changed(classifier: Any, **attributes: Any) -> Any:
    """A copy with modified attributes."""
    copied = pickle.loads(pickle.dumps(classifier))  # noqa: S301 (created above)
    vars(copied).update(attributes)
    return copied


def dummy() -> DummyClassifier:
    return DummyClassifier(strategy="prior").fit(SAMPLES, LABELS)


def test_probabilities_may_be_rounded() -> None:
    prior = changed(dummy(), class_prior_=np.array([1.0005, -1e-6, *[0.0] * 16]))
    assert find(prior, features="wrist_middle_tip_v1").confidence == "probability"


def test_reference_hands_are_given_in_each_unit() -> None:
    hands = inspection._labelled_hands(REFERENCE_HANDS)
    given = np.array([parse_hand(hand) for hand in HANDS])
    width, height = REFERENCE.image_size
    assert hands[Unit.IMAGE] == pytest.approx(given)
    assert hands[Unit.PIXELS].reshape(-1, 21, 3)[..., :2] == pytest.approx(
        given.reshape(-1, 21, 3)[..., :2] * (width, height)
    )


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (LabelEncoder(), r"^encoder\.pkl contains an encoder that is not fitted; use the one from training\.$"),
        (SCALER, r"^encoder\.pkl contains a sklearn\.\S*\.StandardScaler, not a LabelEncoder; name the classes"),
    ],
)
def test_unusable_encoders_are_rejected(encoder: Any, message: str) -> None:
    with pytest.raises(InspectionError, match=message):
        find(TREE, encoder=encoder)


@pytest.mark.parametrize("scaler", [TREE, [SCALER], FunctionTransformer(np.abs)])
def test_unusable_scalers_are_rejected(scaler: Any) -> None:
    name = type(scaler).__name__
    with pytest.raises(InspectionError, match=rf"^scaler\.pkl contains a \S*{name}, not a scaler\.$"):
        find(TREE, scaler)


def forest(labels: NDArray[Any]) -> RandomForestClassifier:
    return RandomForestClassifier(2, random_state=0).fit(SAMPLES, labels)


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (lambda: forest(NUMBERS), {}, "are numbers .*name them with --encoder FILE, or with --lab"),
        (lambda: SVC().fit(np.tile(SAMPLES[:, :42], 2), LABELS), {}, "84 features, which is two hands in one vector"),
        (lambda: SVC().fit(np.tile(SAMPLES, 2), LABELS), {}, "126 features, which is two hands in one vector"),
        (lambda: BAYES_OF[128], {}, "128 features, which is two hands in one vector"),
        (lambda: BAYES_OF[86], {}, "86 features, which is two hands in one vector"),
        (lambda: BAYES_OF[50], {}, "The model takes 50 features; this service computes 63 or 42"),
        (lambda: changed(BAYES, n_features_in_="63"), {}, "has no number of features; train it again with a current"),
        (
            lambda: changed(dummy(), class_prior_=np.full(17, 1 / 17)),
            {"features": "wrist_middle_tip_v1"},
            "The model's outputs are not probabilities",
        ),
        (
            lambda: changed(dummy(), class_prior_=np.full(18, 1.002 / 18)),
            {"features": "wrist_middle_tip_v1"},
            "The model's outputs are not probabilities",
        ),
        (lambda: SVC().fit(SAMPLES[:16], LABELS[:16]), {}, "Too few of the model's labels.*give them with --features"),
        (lambda: NAMED, {"features": "min_xy"}, "--features min_xy has 42 features; the model takes 63"),
        (lambda: NAMED, {"features": "best"}, "The features 'best' are unknown; .* one of wrist_middle_tip_v1"),
        (lambda: {"labels": ["a"], "data": [1]}, {}, "dictionary without a classifier .keys: labels, data"),
        (lambda: {"svm": NAMED, "forest": NAMED}, {}, "several classifiers .svm, forest.; save only one"),
        (lambda: SCALER, {}, "StandardScaler, not a classifier; use --encoder or --scaler"),
        (SVC, {}, r"^model\.pkl contains a SVC that is not trained\.$"),
        (lambda: {"clf": SVC(), "rows": 1}, {}, r"^model\.pkl contains a SVC that is not trained\.$"),
        (lambda: forest(NUMBERS), {"labels": "a,b"}, r"and --labels 2 \(a, b\), which do not match"),
        (
            lambda: [forest(NUMBERS), LabelEncoder().fit(["a", "b"])],
            {},
            r"and model\.pkl 2 \(a, b\), which do not match",
        ),
        (lambda: 7, {}, "contains a int, not a classifier; save the trained classifier itself"),
        (dict, {}, r"dictionary without a classifier \(keys: none\); save the classifier itself"),
        (lambda: dict.fromkeys("abcdef", 1), {}, r"dictionary without a classifier \(keys: a, b, c, d, e\);"),
        (lambda: {"k" * 30: 1}, {}, rf"dictionary without a classifier \(keys: {'k' * 20}\);"),
        (lambda: changed(BAYES, classes_=["a"]), {}, "a GaussianNB with fewer than two classes"),
        (lambda: changed(BAYES, classes_=np.eye(2)), {}, "with fewer than two classes, or unsupported class labels"),
        (lambda: changed(BAYES, classes_=np.array([1j, 2j])), {}, "or unsupported class labels"),
        (lambda: changed(SCALED, n_features_in_="63"), {"labels": ",".join(CLASSES)}, "does not match"),
        (
            lambda: VotingClassifier([("tree", TREE), ("svc", NAMED)]).fit(SAMPLES, LABELS),
            {},
            "The model, a VotingClassifier, has no predict_proba or decision_function; train another classifier",
        ),
        (
            lambda: changed(dummy(), class_prior_=np.full(18, 1.0)),
            {"features": "wrist_middle_tip_v1"},
            "The model's outputs are not probabilities",
        ),
        (
            lambda: changed(dummy(), class_prior_=np.array([2.0, -1.0, *[0.0] * 16])),
            {"features": "wrist_middle_tip_v1"},
            "The model's outputs are not probabilities",
        ),
        (
            lambda: changed(dummy(), class_prior_=np.full(18, np.nan)),
            {"features": "wrist_middle_tip_v1"},
            "The model's outputs are not probabilities",
        ),
        (
            lambda: changed(BAYES, theta_=np.zeros((18, 62))),
            {"features": "wrist_middle_tip_v1"},
            r"The model fails on the reference hands \(ValueError: ",
        ),
        (lambda: pickle.dumps(0)[:-3] + b"ckeras.src.models\nSequential\n.", {}, "a Keras model"),
        (lambda: b"clightgbm.sklearn\nLGBMClassifier\n.", {}, "a LightGBM model"),
        (
            lambda: b"ctorch.nn\nModule\n.",
            {},
            r"^model\.pkl contains a PyTorch model \(torch\.nn\.Module\); only scikit",
        ),
        (lambda: b"ctensorflow.keras\nModel\n.", {}, "a Keras model"),
        (lambda: b"ccatboost.core\nCatBoostClassifier\n.", {}, "a CatBoost model"),
        (lambda: b"csklearn.other\nOther\n.", {}, r"a sklearn\.other\.Other, which is not supported; docs/models"),
        (lambda: b"cxgboost.sklearn\nXGBRanker\n.", {}, r"a xgboost\.sklearn\.XGBRanker, which is not supported"),
        (
            lambda: b"cmine\nModel\n.",
            {},
            r"^model\.pkl was not loaded: it refers to mine\.Model, which no classifier n",
        ),
        (lambda: b"version https://git-lfs.github.com/spec/v1\n", {}, "git lfs pull"),
        (lambda: b"no pickle", {}, r"^model\.pkl was not loaded: it is not a pickle, or damaged\.$"),
        (lambda: changed(BAYES, n_features_in_=None), {}, r"^model\.pkl has no number of features; train it again"),
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
    assert libraries_for((tmp_path / "model.pkl").read_bytes()) == ("sklearn", "xgboost")
    joblib.dump(NAMED, tmp_path / "model.pkl", compress=compress)
    assert libraries_for((tmp_path / "model.pkl").read_bytes(), pickle.dumps(SCALER)) == ("sklearn",)


def test_version_of_xgboost_that_wrote_a_pickle_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    xgboost = pytest.importorskip("xgboost")
    model = pickle.dumps(xgboost.XGBClassifier(n_estimators=1, max_depth=2).fit(SAMPLES, NUMBERS))
    given = {"labels": ",".join(CLASSES), "features": "wrist_middle_tip_v1"}
    version = xgboost.__version__
    finding = find(model, **given)
    assert finding.written_by == f"xgboost {version}"
    assert finding.notes == ["Features: wrist_middle_tip_v1, from --features."]
    monkeypatch.setattr(xgboost, "__version__", "99.0")
    note = f"model.pkl was written by XGBoost {version}; its trees predict the same with 99.0."
    assert note in find(model, **given).notes


def test_missing_xgboost_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xgboost", None)  # as if it were not installed
    message = r"^The model is an XGBoost classifier, and XGBoost is not installed; run .* and import again\.$"
    with pytest.raises(InspectionError, match=message):
        libraries_for(pickle.dumps(SCALER), b"cxgboost.sklearn\nXGBClassifier\n.")


def test_parameters_of_newer_xgboost_versions_are_added() -> None:
    """The service calls ``get_params`` when it starts."""
    xgboost = pytest.importorskip("xgboost")
    model = xgboost.XGBClassifier(n_estimators=1).fit(SAMPLES, NUMBERS)
    del model.feature_weights
    model, _ = estimators.read(pickle.dumps(model))
    assert estimators.prepare(model).get_params()["feature_weights"] is None
