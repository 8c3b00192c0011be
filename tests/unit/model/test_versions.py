"""Models that other versions of scikit-learn wrote; tests/service/test_public_models.py imports real ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from hand_gesture.model.versions import VersionError, check_versions

INSTALLED = "1.9.1"
SAMPLES = np.random.default_rng(0).normal(size=(30, 4))


def fitted(model: Any, classes: int = 3, **attributes: Any) -> Any:
    model.fit(SAMPLES, np.arange(30) % classes)
    vars(model).update(attributes)
    return model


def check(model: Any, *written_by: str, trust: bool = False) -> str:
    return check_versions("model.pkl", model, written_by, INSTALLED, trust=trust)


@pytest.mark.parametrize("written_by", [(), (INSTALLED,), (INSTALLED, INSTALLED)])
def test_nothing_is_said_about_the_installed_version(written_by: tuple[str, ...]) -> None:
    assert check(fitted(HistGradientBoostingClassifier(max_iter=1)), *written_by) == ""


FOREST = fitted(RandomForestClassifier(2))
LIBLINEAR = fitted(LogisticRegression(), solver="liblinear")


@pytest.mark.parametrize(
    ("model", "written_by", "note"),
    [
        (fitted(SVC()), ("1.1.0",), "model.pkl was written by scikit-learn 1.1.0; SVC predicts the same with 1.9.1."),
        (fitted(SVC()), ("1.9.0",), "1.9.0; SVC predicts the same with 1.9.1."),
        (fitted(SVC()), ("1.9.99",), "1.9.99; SVC predicts the same with 1.9.1."),
        (fitted(SVC()), ("1.5.2", INSTALLED, "1.3.dev0"), "1.3.dev0 and 1.5.2; SVC predicts the same with 1.9.1."),
        (fitted(make_pipeline(StandardScaler(), SVC())), ("1.6.1",), "1.6.1; Pipeline predicts the same with 1.9.1."),
        (fitted(HistGradientBoostingClassifier(max_iter=1)), ("1.9.0",), "predicts the same with 1.9.1."),
        (FOREST, ("1.3.2",), "1.3.2; its trees were converted and predict the same with 1.9.1."),
        (fitted(ExtraTreesClassifier(2)), ("1.3.2",), "its trees were converted and predict the same with 1.9.1."),
        (FOREST, ("1.0",), "1.0; its trees were converted and predict the same with 1.9.1."),
        (FOREST, ("1.4.0",), "1.4.0; RandomForestClassifier predicts the same with 1.9.1."),
        (fitted(SVC()), ("1.3.2",), "1.3.2; SVC predicts the same with 1.9.1."),
        (fitted(LogisticRegression()), ("1.5.2",), "LogisticRegression predicts the same with 1.9.1."),
        (fitted(LogisticRegression(), 2, multi_class="ovr"), ("1.5.2",), "predicts the same with 1.9.1."),
        (fitted(LogisticRegression(), multi_class="multinomial", solver="liblinear"), ("1.5.2",), "predicts the same"),
    ],
)
def test_models_that_predict_the_same_are_accepted(model: Any, written_by: tuple[str, ...], note: str) -> None:
    assert note in check(model, *written_by)
    assert note in check(model, *written_by, trust=True)


@pytest.mark.parametrize(
    ("model", "written_by", "reason"),
    [
        (fitted(SVC()), ("1.0.2",), "1.0.2, and SVC may predict differently with 1.9.1"),
        (fitted(SVC()), ("1.0.2", "1.5.0"), "1.0.2 and 1.5.0, and SVC may predict differently with 1.9.1"),
        (fitted(SVC()), ("1.10.0",), "1.10.0, and SVC may predict differently with 1.9.1"),
        (fitted(SVC()), ("1.5.0", "1.10"), "1.10 and 1.5.0, and SVC may predict differently"),
        (fitted(SVC()), ("unknown",), "unknown, and SVC may predict differently"),
        (FOREST, ("unknown",), "DecisionTreeClassifier and RandomForestClassifier may predict differently"),
        (fitted(SVC()), ("1",), "1, and SVC may predict differently"),
        (fitted(SVC()), ("9" * 5000 + ".0",), "SVC may predict differently"),
        (fitted(SVC()), ("1." + "9" * 5000,), "SVC may predict differently"),
        (
            fitted(HistGradientBoostingClassifier(max_iter=1)),
            ("1.8.0",),
            "HistGradientBoostingClassifier and TreePredictor and _",
        ),
        (
            fitted(make_pipeline(StandardScaler(), KNeighborsClassifier())),
            ("1.0.2",),
            "KNeighborsClassifier and Pipeline and StandardScaler may predict differently",
        ),
        (fitted(LogisticRegression(), multi_class="ovr"), ("1.5.2",), "a one-versus-rest LogisticRegression has diff"),
        (LIBLINEAR, ("1.5.2",), "a one-versus-rest LogisticRegression has different probabilities with 1.9.1"),
        (make_pipeline(LIBLINEAR), ("1.5.2",), "a one-versus-rest LogisticRegression has different probabilities"),
    ],
)
def test_models_that_may_predict_differently_need_trust(model: Any, written_by: tuple[str, ...], reason: str) -> None:
    with pytest.raises(VersionError) as refused:
        check(model, *written_by)
    assert reason in str(refused.value)
    assert str(refused.value).endswith(
        "; train it again with scikit-learn 1.9.1, or compare its predictions and add --trust-version."
    )
    note = check(model, *written_by, trust=True)
    assert reason in note
    assert note.endswith("; it is used because of --trust-version.")
