"""Detection with models whose answers are known; test_inspection.py has classifiers of scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hand_gesture.landmarks import Unit, convert, parse_hand
from hand_gesture.model import feature_detection
from hand_gesture.model.feature_detection import CHUNK, FeatureDetectionError, detect_features
from hand_gesture.model.features import Features, candidate_features, parse
from tests.hands import REFERENCE

GESTURES = [*REFERENCE.hands, *REFERENCE.other_side]
CLASSES = [*REFERENCE.hands]
COUNT = len(GESTURES)
RIGHT = [CLASSES.index(gesture) for gesture in GESTURES]


def in_unit(unit: Unit) -> NDArray[np.float64]:
    hands = np.array([parse_hand(hand) for hand in (*REFERENCE.hands.values(), *REFERENCE.other_side.values())])
    convert(hands, REFERENCE.image_size, unit)
    return hands


HANDS = {unit: in_unit(unit) for unit in Unit}


class Model:
    """Gives the answers that it was made with for the reference hands in its features, and none for other features."""

    def __init__(
        self,
        answers: Mapping[Features, Sequence[int]],
        *,
        sure: Mapping[Features, float] = MappingProxyType({}),
        classes: int = 18,
    ) -> None:
        self.classes = classes
        self.rows: list[int] = []
        self.seen: list[bytes] = []
        self._answers: dict[bytes, tuple[int, float]] = {}
        for features, indices in answers.items():
            made = features.make(HANDS[features.unit])
            for row, index in zip(made, indices, strict=True):
                self._answers[row.tobytes()] = index, sure.get(features, 0.9)

    def __call__(self, features: NDArray[np.float32]) -> NDArray[Any]:
        self.rows.append(len(features))
        self.seen += [features[start : start + COUNT].tobytes() for start in range(0, len(features), COUNT)]
        probabilities = np.zeros((len(features), self.classes))
        for row, values in enumerate(features):
            index, probability = self._answers.get(values.tobytes(), (0, 1 / self.classes))
            probabilities[row, index] = probability
        return probabilities


def detect(model: Model, count: int, classes: Sequence[str] = CLASSES) -> tuple[Features, str]:
    return detect_features(model, count, classes, HANDS, GESTURES)


@pytest.mark.parametrize(
    "text",
    [
        *("wrist_rms_v3", "min_xy", "wrist_middle_tip_v1", "raw_xyz", "scale=0-9,unit=image"),
        *("scale=0-9,wrist=false", "scale=largest,z=scaled,wrist=false"),
        *("grouped=true,scale=rms", "upright=9,scale=0-9"),  # rare
    ],
)
def test_features_with_which_the_model_is_right_are_detected(text: str) -> None:
    features = parse(text)
    model = Model({features: RIGHT})
    detected, sentence = detect(model, features.count)
    assert np.array_equal(detected.make(HANDS[detected.unit]), features.make(HANDS[features.unit]))
    assert sentence == f"Detected features: {detected.name} (36 of 36 reference hands are correct)."
    assert max(model.rows) <= CHUNK * COUNT
    assert len({*model.seen}) == len(model.seen)  # descriptions that give the same features are tried once


def test_rare_features_are_tried_only_if_no_common_ones_fit() -> None:
    tried = [Model({parse(text): RIGHT}) for text in ("wrist_rms_v3", "grouped=true,scale=rms")]
    for model in tried:
        detect(model, 42)
    common, all_ = (sum(model.rows) for model in tried)
    assert common < all_


def test_labels_may_have_capitals_spaces_and_hyphens() -> None:
    classes = [f" {name.title().replace('_', ' ', 1).replace('_', '-')}" for name in CLASSES]
    assert " Two Up-Inverted" in classes
    features, sentence = detect(Model({parse("wrist_rms_v3"): RIGHT}), 42, classes)
    assert features.name == "wrist_rms_v3"
    assert "36 of 36" in sentence


def test_hands_of_other_gestures_are_left_out() -> None:
    known = ["fist", "like", "ok", "palm", "rock"]
    classes = ["wave", *known]
    answers = [classes.index(gesture) if gesture in classes else 0 for gesture in GESTURES]
    features, sentence = detect(Model({parse("min_xy"): answers}, classes=6), 42, classes)
    assert features.name == "min_xy"
    assert "(10 of 10 reference hands are correct)" in sentence


def test_mistakes_are_named_once() -> None:
    answers = [
        CLASSES.index("rock") if gesture == "like" else index for gesture, index in zip(GESTURES, RIGHT, strict=True)
    ]
    answers[GESTURES.index("palm")] = CLASSES.index("stop")
    _, sentence = detect(Model({parse("min_xy"): answers}), 42)
    assert sentence == (
        "Detected features: min_xy (33 of 36 reference hands are correct; confused: like as rock, palm as stop)."
    )


@pytest.mark.parametrize(("right", "accepted"), [(24, True), (23, False)])
def test_two_thirds_of_the_hands_must_be_right(right: int, *, accepted: bool) -> None:
    answers = [index if row < right else (index + 1) % 18 for row, index in enumerate(RIGHT)]
    model = Model({parse("wrist_rms_v3"): answers})
    if accepted:
        assert detect(model, 42)[0].name == "wrist_rms_v3"
    else:
        message = "at most 23 of 36 reference hands correctly, with wrist_rms_v3; give the features"
        with pytest.raises(FeatureDetectionError, match=message):
            detect(model, 42)


def test_named_features_are_preferred() -> None:
    """Most projects use them."""
    other = parse("scale=0-9")
    answers = {other: RIGHT, parse("wrist_rms_v3"): RIGHT}
    assert detect(Model(answers), 42)[0].name == "wrist_rms_v3"
    for sure, expected in ((0.89, parse("wrist_rms_v3")), (0.8, other)):
        assert detect(Model(answers, sure={parse("wrist_rms_v3"): sure}), 42)[0] == expected
    one_wrong = [(RIGHT[0] + 1) % 18, *RIGHT[1:]]
    assert detect(Model({other: one_wrong, parse("wrist_rms_v3"): RIGHT}), 42)[0].name == "wrist_rms_v3"


@pytest.mark.parametrize(("mistakes", "name"), [(1, "min_xy"), (2, "scale=0-9")])
def test_one_more_mistake_is_accepted_from_a_model_that_is_more_sure(mistakes: int, name: str) -> None:
    other = parse("scale=0-9")
    answers = {other: RIGHT, parse("min_xy"): with_mistakes(range(mistakes), 1)}
    assert detect(Model(answers, sure={other: 0.5}), 42)[0].name == name


def with_mistakes(places: range, offset: int) -> list[int]:
    return [(index + offset) % 18 if row in places else index for row, index in enumerate(RIGHT)]


@pytest.mark.parametrize(("mistakes", "ambiguous"), [(4, True), (3, False)])
def test_several_features_with_different_predictions_are_ambiguous(mistakes: int, *, ambiguous: bool) -> None:
    places = range(mistakes)
    answers = {parse("min_xy"): with_mistakes(places, 1), parse("wrist_rms_v3"): with_mistakes(places, 2)}
    if ambiguous:
        message = "trained on (min_xy or on wrist_rms_v3|wrist_rms_v3 or on min_xy), and predicts differently"
        with pytest.raises(FeatureDetectionError, match=message):
            detect(Model(answers), 42)
    else:
        detect(Model(answers), 42)


def test_features_with_which_the_model_is_less_sure_are_not_ambiguous() -> None:
    places = range(4)
    answers = {parse("min_xy"): with_mistakes(places, 1), parse("wrist_rms_v3"): with_mistakes(places, 2)}
    for sure, unsure in (("min_xy", "wrist_rms_v3"), ("wrist_rms_v3", "min_xy")):
        assert detect(Model(answers, sure={parse(unsure): 0.8}), 42)[0].name == sure


def test_features_that_are_less_often_right_are_not_ambiguous() -> None:
    answers = {parse("min_xy"): with_mistakes(range(4), 1), parse("wrist_rms_v3"): with_mistakes(range(5), 2)}
    assert detect(Model(answers), 42)[0].name == "min_xy"


@pytest.mark.parametrize(
    ("count", "names"), [(42, "wrist_rms_v3, raw_xy, min_xy, minmax_xy, wrist_xy"), (40, "a description, see")]
)
def test_with_few_known_gestures_the_features_must_be_given(count: int, names: str) -> None:
    for classes in (["wave"], ["fist", "like", "ok", "palm", "wave"]):
        with pytest.raises(FeatureDetectionError, match=f"which of the {count}-number features .*--features: {names}"):
            detect(Model({}, classes=len(classes)), count, classes)


@pytest.mark.parametrize("count", [1, 41, 64])
def test_other_numbers_of_features_are_rejected(count: int) -> None:
    with pytest.raises(
        FeatureDetectionError, match=f"The model takes {count} features; this service computes 63 or 42"
    ):
        detect(Model({}), count)


def test_after_the_time_limit_the_best_so_far_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_detection, "MAX_SECONDS", -1.0)
    model = Model({parse("wrist_rms_v3"): RIGHT})
    assert detect(model, 42)[0].name == "wrist_rms_v3"
    assert len(model.rows) == 1
    late = [*candidate_features(42)][-1]
    with pytest.raises(FeatureDetectionError, match="at most 2 of 36"):
        detect(Model({late: RIGHT}), 42)
