"""Gestures taught from examples: told on other hands, without harm to the known ones."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hand_gesture.landmarks import read_hands
from hand_gesture.model.classifier import GestureClassifier, Predictions
from hand_gesture.model.features import WRIST_MIDDLE_TIP, WRIST_RMS
from hand_gesture.model.taught import OwnGesture, TaughtGestures, Teacher, confidence_of, load_teacher
from tests.hands import ARTIFACTS, CLASSIFIER
from tests.own_gestures import recording
from tests.unit.model.test_classifier import Fixed

MODEL = pickle.loads((ARTIFACTS / "model.pkl").read_bytes())  # noqa: S301 (committed here)
TEACHER = load_teacher(ARTIFACTS, CLASSIFIER)
STORED = TEACHER.stored


def hands_of(shape: str, count: int = 10, *, seed: int = 0) -> NDArray[np.float64]:
    hands = read_hands(recording(shape, count, seed=seed))
    assert hands is not None
    return hands


def teach(*shapes: str, count: int = 10) -> TaughtGestures:
    return TEACHER.teach({shape: OwnGesture(hands_of(shape, count), f"do {shape}") for shape in shapes})


def names_given(taught: TaughtGestures, hands: NDArray[np.float64]) -> list[str]:
    answers = CLASSIFIER.predict(hands)
    return [taught.predict(answers, index).gesture for index in range(len(answers))]


@pytest.mark.parametrize("shape", ["L", "pinky"])
@pytest.mark.parametrize("count", [1, 10, 64])
def test_a_custom_gesture_is_recognized_on_other_hands(shape: str, count: int) -> None:
    given = names_given(teach(shape, count=count), hands_of(shape, 50, seed=1))
    assert given.count(shape) >= 45


def test_gestures_that_are_trained_together_are_distinguished() -> None:
    taught = teach("L", "pinky")
    for shape in ("L", "pinky"):
        assert names_given(taught, hands_of(shape, 50, seed=1)).count(shape) >= 45


def test_false_positives_are_limited() -> None:
    taught = teach("L", "pinky")
    hidden = CLASSIFIER.predict(STORED.hands).hidden
    assert hidden is not None
    taken = taught.margins(hidden) > 0
    gesture = STORED.gestures != "none"
    assert taken[gesture].any(axis=1).mean() < 0.01
    assert taken[~gesture].any(axis=1).mean() < 0.08  # those that make the shape among them
    for name in CLASSIFIER.gestures:
        assert taken[STORED.gestures == name].mean(axis=0).max() <= 0.05


def test_below_the_threshold_the_prediction_is_unchanged() -> None:
    taught = teach("L")
    answers = CLASSIFIER.predict(STORED.hands[:1000])
    assert answers.hidden is not None
    margins = taught.margins(answers.hidden)[:, 0]
    for index in np.flatnonzero(margins <= 0).tolist():
        assert taught.predict(answers, index) is answers[index]


def test_predictions_of_single_hands_equal_those_of_the_batch() -> None:
    taught = teach("L", "pinky")
    answers = CLASSIFIER.predict(hands_of("pinky", 20, seed=1))
    assert answers.hidden is not None
    margins = taught.margins(answers.hidden)
    for index in range(20):
        prediction = taught.predict(answers, index)
        assert (prediction.gesture, prediction.command) == ("pinky", "do pinky")
        assert prediction.confidence == pytest.approx(confidence_of(float(margins[index].max())), abs=2e-4)


def test_batches_are_refined_like_single_hands() -> None:
    taught = teach("L", "pinky")
    hands = np.concatenate([hands_of("L", 20, seed=2), STORED.hands[:1000], hands_of("pinky", 20, seed=2)])
    answers = CLASSIFIER.predict(hands)
    expected = [taught.predict(answers, index) for index in range(len(answers))]
    assert answers.hidden is not None
    margins = taught.margins(answers.hidden).max(axis=1)
    assert ((margins > 0) & (margins < 1)).any()
    taught.refine(answers)
    assert [*answers] == expected


def test_training_is_deterministic() -> None:
    hidden = CLASSIFIER.predict(hands_of("L", 20, seed=1)).hidden
    assert hidden is not None
    assert np.array_equal(teach("L", "pinky").margins(hidden), teach("L", "pinky").margins(hidden))


def test_confidence_is_one_half_at_the_threshold_and_increases() -> None:
    confidences = [confidence_of(margin) for margin in (0.0, 0.1, 0.5, 2.0, 1e6)]
    assert confidences[0] == 0.5
    assert confidences == sorted(confidences)
    assert confidences[-1] == 1


def test_min_confidence_applies_to_custom_gestures() -> None:
    examples = hands_of("L")
    answers = CLASSIFIER.predict(hands_of("L", 20, seed=1))
    strict = GestureClassifier(MODEL, CLASSIFIER.classes, {}, 1.01, CLASSIFIER.features)
    taught = Teacher(strict, STORED).teach({"L": OwnGesture(examples)})
    assert all(taught.predict(answers, index) is answers[index] for index in range(20))


def test_stored_hands_near_an_example_are_not_negatives() -> None:
    none = STORED.hands[STORED.gestures == "none"]
    kept = TEACHER.far_from(none[:1])
    assert not kept[np.flatnonzero(STORED.gestures == "none")[0]]
    assert kept[STORED.gestures != "none"].all()


def test_examples_of_a_known_gesture_do_not_replace_it() -> None:
    peace = STORED.hands[STORED.gestures == "peace"]
    taught = TEACHER.teach({"mine": OwnGesture(peace[:10])})
    hidden = CLASSIFIER.predict(peace).hidden
    assert hidden is not None
    assert (taught.margins(hidden) > 0).mean() <= 0.05


def test_gestures_that_are_added_to_a_classifier() -> None:
    classifier = GestureClassifier(
        MODEL, CLASSIFIER.classes, CLASSIFIER.commands, CLASSIFIER.min_confidence, CLASSIFIER.features
    )
    own = {"L": OwnGesture(hands_of("L"), "jump"), "pinky": OwnGesture(hands_of("pinky"))}
    classifier.add_refinement(Teacher(classifier, STORED).teach(own))
    assert classifier.gestures == (*CLASSIFIER.gestures, "L", "pinky")
    assert classifier.commands == CLASSIFIER.commands | {"L": "jump"}
    known = STORED.hands[STORED.gestures == "like"][:5]
    hands = np.concatenate([hands_of("L", 5, seed=1), known, hands_of("pinky", 5, seed=1)])
    answers = classifier.predict(hands)
    assert [(answer.gesture, answer.command) for answer in answers[:5]] == [("L", "jump")] * 5
    assert answers[5:10] == CLASSIFIER.predict(hands)[5:10]
    assert [(answer.gesture, answer.command) for answer in answers[10:]] == [("pinky", None)] * 5
    assert classifier.predict(known) == CLASSIFIER.predict(known)


def test_predictions_without_a_hidden_layer_are_unchanged() -> None:
    answers = Predictions(CLASSIFIER.predict(hands_of("L")), None)
    assert teach("L").predict(answers, 3) is answers[3]


@pytest.mark.parametrize(
    "classifier",
    [
        GestureClassifier(Fixed(0.5, 0.5), ["like", "none"], {}, 0, WRIST_RMS),
        GestureClassifier(MODEL, CLASSIFIER.classes, {}, 0, WRIST_MIDDLE_TIP),
    ],
    ids=["no network", "other features"],
)
def test_unsupported_classifiers_are_rejected_with_a_reason(classifier: GestureClassifier) -> None:
    with pytest.raises(ValueError, match=r"Gestures can be taught to neural networks only .* wrist_rms_v3"):
        Teacher(classifier, STORED)


def test_missing_stored_hands_are_reported(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"came without stored_hands.npz, .* import it again\.$"):
        load_teacher(tmp_path, CLASSIFIER)
