"""Classifiers of XGBoost, whose compiled code does no bounds checks; test_safe_pickle.py has those of scikit-learn."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hand_gesture.model import estimators
from hand_gesture.model.safe_pickle import UnsafePickleError

xgboost = pytest.importorskip("xgboost")

SAMPLES = np.random.default_rng(0).normal(size=(60, 4))
CLASSES = np.arange(60) % 3


def fitted(**parameters: Any) -> Any:
    return xgboost.XGBClassifier(n_estimators=2, max_depth=2, **parameters).fit(SAMPLES, CLASSES)


MODEL = fitted()


def read(classifier: Any) -> Any:
    loaded, _ = estimators.read(pickle.dumps(classifier))
    return estimators.prepare(loaded)


def with_trees(change: Callable[[dict[str, Any]], None]) -> Any:
    """A classifier whose first tree was changed."""
    return with_model(lambda model: change(model["trees"][0]))


def with_model(change: Callable[[dict[str, Any]], None]) -> Any:
    model = json.loads(bytes(MODEL.get_booster().save_raw("json")))
    change(model["learner"]["gradient_booster"]["model"])
    classifier = xgboost.XGBClassifier()
    classifier.load_model(bytearray(json.dumps(model).encode()))
    return classifier


@pytest.mark.parametrize("kind", [xgboost.XGBClassifier, xgboost.XGBRFClassifier])
def test_classifiers_predict_the_same_after_loading(kind: Any) -> None:
    classifier = kind(n_estimators=2, max_depth=2, n_jobs=4, verbosity=3, device="cpu").fit(SAMPLES, CLASSES)
    loaded = read(classifier)
    assert estimators.check_boosters(loaded) == [xgboost.__version__]
    assert np.array_equal(loaded.predict_proba(SAMPLES), classifier.predict_proba(SAMPLES))
    assert (loaded.n_jobs, loaded.verbosity, loaded.device) == (None, 0, None)
    assert estimators.check_boosters([]) == []
    again = read(loaded)
    assert np.array_equal(again.predict_proba(SAMPLES), classifier.predict_proba(SAMPLES))


def test_unfitted_classifiers_have_no_trees() -> None:
    assert estimators.check_boosters(read(xgboost.XGBClassifier())) == []
    assert estimators.check_boosters([read(MODEL), xgboost.XGBClassifier()]) == [xgboost.__version__]


@pytest.mark.parametrize(("booster", "classes"), [("dart", 3), ("gbtree", 2), ("gbtree", 4)])
def test_boosters_of_trees_are_accepted(booster: str, classes: int) -> None:
    classifier = xgboost.XGBClassifier(n_estimators=2, max_depth=2, booster=booster)
    loaded = read(classifier.fit(SAMPLES, np.arange(60) % classes))
    assert estimators.check_boosters(loaded) == [xgboost.__version__]
    assert np.array_equal(loaded.predict_proba(SAMPLES), classifier.predict_proba(SAMPLES))


@pytest.mark.parametrize(
    ("model", "version"),
    [(b"version[#i\x03i\x01i\x0ai\x02", "1.10.2"), (b"version[i\x01i\x07i\x06]", "1.7.6"), (b"version", ""), (b"", "")],
)
def test_version_that_wrote_a_model_is_found(model: bytes, version: str) -> None:
    assert estimators._version_in(model) == version


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tree: tree["left_children"].__setitem__(0, 1000), "point outside of it"),
        (lambda tree: tree["right_children"].__setitem__(0, 0), "point outside of it"),
        (lambda tree: tree["split_indices"].__setitem__(0, 4), "invalid feature indices"),
        (lambda tree: tree["split_conditions"].__setitem__(0, float("nan")), "leaves are not numbers"),
    ],
)
def test_trees_with_invalid_indices_are_rejected(change: Callable[[dict[str, Any]], None], message: str) -> None:
    with pytest.raises(UnsafePickleError, match=message):
        estimators.check_boosters(with_trees(change))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fitted(booster="gblinear"), "a booster without trees"),
        (
            lambda: xgboost.XGBClassifier(
                n_estimators=1, tree_method="hist", enable_categorical=True, feature_types=["c"] * 4
            ).fit(np.random.default_rng(0).integers(0, 3, (60, 4)), CLASSES),
            "categorical splits",
        ),
    ],
)
def test_other_boosters_are_rejected(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(UnsafePickleError, match=message):
        estimators.check_boosters(read(make()))


@pytest.mark.parametrize("classes", [None, 1, 10_001, 2.5])
def test_number_of_classes_must_be_valid(classes: object) -> None:
    classifier = read(MODEL)
    classifier.n_classes_ = classes
    with pytest.raises(UnsafePickleError, match="no valid number of classes"):
        read(classifier)


@pytest.mark.parametrize("output", [3, -1])
def test_trees_of_other_classes_are_rejected(output: int) -> None:
    with pytest.raises(UnsafePickleError, match="invalid outputs"):
        estimators.check_boosters(with_model(lambda model: model["tree_info"].__setitem__(0, output)))


class Booster:
    """Pickles to a booster with another state."""

    def __init__(self, state: object, *arguments: object) -> None:
        self.state, self.arguments = state, arguments

    def __reduce__(self) -> Any:
        return xgboost.Booster, self.arguments, self.state


@pytest.mark.parametrize(
    ("booster", "message"),
    [
        (Booster({"handle": b"no model"}), r"^XGBoost cannot read its trees \(.{10,}\)$"),
        (Booster({"handle": b""}), "^it has an XGBoost model without its trees$"),
        (Booster({"handle": None}), "^it has an XGBoost model without its trees$"),
        (Booster({"handle": "text"}), "^it has an XGBoost model without its trees$"),
        (Booster({"other": 1}), "^it has an XGBoost model without its trees$"),
        (Booster([1]), "^it has an XGBoost model without its trees$"),
        (Booster({"handle": b"x"}, {}), "^it creates a Booster with arguments, which pickle does not$"),
    ],
)
def test_invalid_boosters_are_rejected(booster: Booster, message: str) -> None:
    with pytest.raises(UnsafePickleError, match=message):
        read(booster)
