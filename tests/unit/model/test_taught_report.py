"""What a person is told of a gesture before they rely on it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hand_gesture.model.taught import OwnGesture
from hand_gesture.model.taught_report import (
    GestureReport,
    _finger_to_change,
    _straightness,
    _tilt,
    _with_advice,
    report_on,
)
from tests.unit.model.test_taught import STORED, TEACHER, hands_of


def report(**gestures: object) -> dict[str, GestureReport]:
    return report_on(TEACHER, {name: OwnGesture(np.asarray(examples)) for name, examples in gestures.items()})


def test_a_distinct_gesture_gets_a_good_report() -> None:
    found = report(L=hands_of("L"))["L"]
    assert (found.examples, found.right_left_out, found.right_tilted) == (10, 10, 10)
    assert found.resemblance < 0.7
    assert 0 < found.taken < 0.02
    assert found.advice.startswith("It can be told apart")


def test_a_single_example_has_no_cross_validation() -> None:
    found = report(L=hands_of("L", 1))["L"]
    assert found.right_left_out is None
    assert "record about 10 examples" in found.advice


def test_the_report_names_a_similar_known_gesture_and_a_change() -> None:
    found = report(mine=STORED.hands[STORED.gestures == "peace"][:10])["mine"]
    assert found.resembles == "peace"
    assert found.resemblance > 0.9
    assert found.advice.startswith("Too close to `peace`: ")
    # not the middle finger: bent, it would make `one`
    assert "bend the middle finger" not in found.advice
    assert any(finger in found.advice for finger in ("ring finger", "pinky", "index finger"))


def test_the_report_names_a_similar_custom_gesture() -> None:
    found = report(first=hands_of("L"), second=hands_of("L", seed=1))
    assert any(
        found[name].advice.startswith(f"Too close to your own `{other}`")
        for name, other in (("first", "second"), ("second", "first"))
    )


def test_the_report_names_a_custom_gesture_with_the_same_single_example() -> None:
    found = report(first=hands_of("L", 1), second=hands_of("L", 1))
    assert found["first"].advice.startswith("Too close to your own `second`")
    assert found["second"].advice.startswith("Too close to your own `first`")


def test_inconsistent_examples_are_reported() -> None:
    random = np.random.default_rng(0)
    none = STORED.hands[STORED.gestures == "none"]
    found = report(mixed=none[random.permutation(len(none))[:10]])["mixed"]
    assert found.right_left_out is not None
    assert found.right_left_out < 8
    assert "differ too much" in found.advice


def test_resemblance_does_not_depend_on_other_custom_gestures() -> None:
    alone, together = report(L=hands_of("L"))["L"], report(L=hands_of("L"), pinky=hands_of("pinky"))["L"]
    assert (alone.resembles, alone.resemblance) == (together.resembles, together.resemblance)


def test_the_report_names_a_degenerate_example() -> None:
    found = report(L=np.concatenate([hands_of("L", 2), np.full((1, 63), 0.5)]))["L"]
    assert found.advice.startswith("Example 3 shows no hand")


GOOD = GestureReport(
    examples=10, right_left_out=10, right_tilted=10, resembles="like", resemblance=0.5, taken=0.01, advice=""
)


@pytest.mark.parametrize(
    ("changes", "mixed_up", "familiar", "advice"),
    [
        ({}, {}, 0.5, "It can be told apart: try it"),
        ({"resemblance": 0.7}, {}, 0.5, "Too close to `like`: "),
        ({"resemblance": 0.699}, {}, 0.5, "It can be told apart: try it"),
        ({}, {"other": 3}, 0.5, "Too close to your own `other`"),
        ({}, {"some": 1, "other": 2}, 0.5, "Too close to your own `other`"),
        ({}, {"other": 2}, 0.5, "It can be told apart: try it"),
        ({"right_left_out": 7}, {}, 0.5, "The examples differ too much"),
        ({"right_left_out": 8}, {}, 0.5, "It can be told apart: try it"),
        ({"right_tilted": 7}, {}, 0.5, "It is lost when the hand tilts"),
        ({"right_tilted": 8}, {}, 0.5, "It can be told apart: try it"),
        ({"taken": 0.0201}, {}, 0.5, "Many hands that mean nothing look like this"),
        ({"taken": 0.02}, {}, 0.5, "It can be told apart: try it"),
        ({"examples": 4, "right_left_out": 4}, {}, 0.5, "It can be told apart; record about 10 examples"),
        ({"examples": 1, "right_left_out": None}, {}, 0.5, "It can be told apart; record about 10 examples"),
        ({"examples": 5}, {}, 0.5, "It can be told apart: try it"),
        ({}, {}, 1 / 61, "It may be lost on other people"),
        ({}, {}, 1 / 60, "It can be told apart: try it"),
    ],
)
def test_advice(changes: dict[str, Any], mixed_up: dict[str, int], familiar: float, advice: str) -> None:
    found = _with_advice(replace(GOOD, **changes), TEACHER, hands_of("L"), Counter(mixed_up), familiar)
    assert found.advice.startswith(advice)
    assert found.advice.endswith(".")


@pytest.mark.parametrize(
    ("gesture", "change"),
    [
        ("peace", "stretch the pinky too"),  # the ring finger would make `three2`
        ("fist", "stretch the ring finger too"),  # the index finger would make `one`
        ("palm", "bend the middle finger too"),  # the pinky would make `three2`
    ],
)
def test_the_changed_shape_is_no_known_gesture(gesture: str, change: str) -> None:
    assert _finger_to_change(TEACHER, STORED.hands[STORED.gestures == gesture][:10]) == change


def test_tilted_hands_are_rotated_in_the_image() -> None:
    hand = np.zeros((1, 21, 3))
    hand[0, 5], hand[0, 6] = (1, 0, 7), (0, 2, 8)
    turned = _tilt(hand.reshape(1, 63), np.pi / 2).reshape(21, 3)
    assert turned[5] == pytest.approx([0, 1, 7])
    assert turned[6] == pytest.approx([-2, 0, 8])


def test_straightness_is_the_distance_of_the_tip_relative_to_the_middle_joint() -> None:
    hands = np.full((3, 21, 3), 100.0)
    for finger, (joint, tip) in enumerate(((6, 8), (10, 12), (14, 16), (18, 20)), 1):
        for hand, ratio in enumerate((0, finger / 2, 9)):  # the median is that of the second hand
            hands[hand, joint, :2] += (3, 4)
            hands[hand, tip, :2] += (3 * ratio, -4 * ratio)
    hands[..., 2] = np.arange(21)  # does not count
    for scale in (1, 0.001):
        assert _straightness(scale * hands.reshape(3, 63)) == pytest.approx([0.5, 1, 1.5, 2])
