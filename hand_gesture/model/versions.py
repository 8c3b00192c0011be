"""Knows which estimators of other scikit-learn versions predict the same with the installed version.

The listed ones were compared on the same hands: probabilities differ by at most 7e-7 between the version that wrote the
file and the installed one. Compared were support vector machines of 1.1.3 to 1.8.0, networks, pipelines and scalers of
1.6.1, neighbours of 1.3 and 1.5, LogisticRegression of 1.8.0, forests of 1.2.0 to 1.8.0, everything listed since 1.2 of
1.2.2, and LabelEncoder of any version; for others the prediction code has not changed since the listed version.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from types import MappingProxyType
from typing import Any, Final

from hand_gesture.model.estimators import walk

_SINCE: Final = MappingProxyType(
    {
        **dict.fromkeys(("RandomForestClassifier", "ExtraTreesClassifier"), (1, 0)),
        **dict.fromkeys(("DecisionTreeClassifier", "ExtraTreeClassifier"), (1, 0)),
        **dict.fromkeys(("SVC", "NuSVC", "LinearSVC", "KNeighborsClassifier", "MLPClassifier"), (1, 1)),
        **dict.fromkeys(("LogisticRegression", "LogisticRegressionCV", "RidgeClassifier", "Perceptron"), (1, 1)),
        **dict.fromkeys(("GaussianNB", "LinearDiscriminantAnalysis", "VotingClassifier", "Pipeline"), (1, 1)),
        **dict.fromkeys(("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler", "Normalizer"), (1, 1)),
        **dict.fromkeys(("QuantileTransformer", "PCA", "LabelBinarizer"), (1, 1)),
        **dict.fromkeys(("BaggingClassifier", "SGDClassifier", "SelectKBest", "StackingClassifier"), (1, 2)),
        **dict.fromkeys(("GradientBoostingClassifier", "DecisionTreeRegressor", "DummyClassifier"), (1, 2)),
        **dict.fromkeys(("CalibratedClassifierCV", "_CalibratedClassifier", "_SigmoidCalibration"), (1, 2)),
        "LabelEncoder": (0, 0),
        "Bunch": (0, 0),
        "Tree": (0, 0),
    }
)
_FORESTS_HOLD_PROBABILITIES: Final = (1, 4)


class VersionError(ValueError):
    """The model was written by an incompatible version; the message says what to do."""


def check_versions(name: str, model: Any, written_by: Iterable[str], installed: str, *, trust: bool) -> str:
    """Check whether a model written by other versions of scikit-learn can be used.

    Args:
        name: the file's name, for messages.
        model: the model, after ``estimators.prepare``.
        written_by: the versions that wrote its estimators.
        installed: the installed version.
        trust: accept estimators that may predict differently (``--trust-version``).

    Returns:
        A sentence for the user; empty if the installed version wrote the model.

    Raises:
        VersionError: the model may predict differently.
    """
    others = sorted(version for version in written_by if version != installed)
    if not others:
        return ""
    kinds = {type(estimator).__name__ for estimator in walk(model)}
    was = f"{name} was written by scikit-learn {' and '.join(others)}"
    oldest = min(map(_parse, others))
    unknown = sorted(kind for kind in kinds if oldest < _SINCE.get(kind, _parse(installed)))
    if max(map(_parse, others)) > _parse(installed):
        unknown = sorted(kinds)
    reason = f"{' and '.join(unknown)} may predict differently with {installed}"
    if not unknown and (ovr := _one_versus_rest(model)):
        unknown, reason = [ovr], f"a one-versus-rest {ovr} has different probabilities with {installed}"
    if unknown and not trust:
        raise VersionError(
            f"{was}, and {reason}; train it again with scikit-learn {installed}, or compare its predictions and add "
            "--trust-version."
        )
    if unknown:
        return f"{was}, and {reason}; it is used because of --trust-version."
    if oldest < _FORESTS_HOLD_PROBABILITIES and kinds & {"DecisionTreeClassifier", "ExtraTreeClassifier"}:
        return f"{was}; its trees were converted and predict the same with {installed}."
    main = type(model).__name__
    return f"{was}; {main} predicts the same with {installed}."


def _parse(version: str) -> tuple[int, int]:
    numbers = re.findall(r"\d+", version)
    return (int(numbers[0][:6]), int(numbers[1][:6])) if len(numbers) > 1 else (0, 0)


def _one_versus_rest(model: Any) -> str:
    """Type of the one-versus-rest logistic regression in a model, which older versions supported; empty if none."""
    for estimator in walk(model):
        if type(estimator).__name__.startswith("LogisticRegression") and len(getattr(estimator, "classes_", ())) > 2:
            way = getattr(estimator, "multi_class", "auto")
            if way == "ovr" or (way != "multinomial" and getattr(estimator, "solver", "") == "liblinear"):
                return type(estimator).__name__
    return ""
