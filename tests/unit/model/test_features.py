from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hand_gesture.landmarks import Unit, parse_hand
from hand_gesture.model.features import NAMED, Features, UnknownFeaturesError, candidate_features, parse
from tests.hands import REFERENCE

HANDS = np.array([parse_hand(hand) for hand in REFERENCE.hands.values()])


def features_of(text: str, hands: NDArray[np.float64] = HANDS) -> NDArray[np.float64]:
    return parse(text).make(hands).astype(np.float64).reshape(len(hands), -1)


def points(dimensions: int) -> NDArray[np.float64]:
    return HANDS.reshape(-1, 21, 3)[..., :dimensions]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("raw_xy", points(2)),
        ("raw_xyz", points(3)),
        ("min_xy", points(2) - points(2).min(axis=1, keepdims=True)),
        (
            "minmax_xy",
            (points(2) - points(2).min(axis=1, keepdims=True)) / np.ptp(points(2), axis=1)[:, np.newaxis],
        ),
        ("wrist_xyz", points(3) - points(3)[:, :1]),
        (
            "scale=0-9,scale_dimensions=3,z=scaled",
            (points(3) - points(3)[:, :1])
            / np.linalg.norm(points(3)[:, 9] - points(3)[:, 0], axis=1)[:, np.newaxis, np.newaxis],
        ),
        (
            "scale=largest,wrist=false",
            ((points(2) - points(2)[:, :1]) / np.abs(points(2) - points(2)[:, :1]).max(axis=(1, 2), keepdims=True))[
                :, 1:
            ],
        ),
        (
            "scale=0-5+0-17",
            (points(2) - points(2)[:, :1])
            / (
                np.linalg.norm(points(2)[:, 5] - points(2)[:, 0], axis=1)
                + np.linalg.norm(points(2)[:, 17] - points(2)[:, 0], axis=1)
            )[:, np.newaxis, np.newaxis]
            * 2,
        ),
        ("origin=centre,grouped=true", (points(2) - points(2).mean(axis=1, keepdims=True)).transpose(0, 2, 1)),
    ],
)
def test_features_match_their_description(text: str, expected: NDArray[np.float64]) -> None:
    assert features_of(text) == pytest.approx(expected.reshape(len(HANDS), -1), rel=1e-6, abs=1e-7)


def test_upright_hands_point_upwards() -> None:
    turned = features_of("upright=9").reshape(-1, 21, 2)
    assert turned[:, 9, 0] == pytest.approx(0, abs=1e-7)
    assert (turned[:, 9, 1] < 0).all()


@pytest.mark.parametrize("count", [42, 63, 40, 60])
def test_candidates_are_unique_have_the_right_size_and_can_be_parsed(count: int) -> None:
    every = [*candidate_features(count)]
    assert len({*every}) == len(every) > 100
    for features in every:
        assert parse(features.name) == features
        made = features.make(HANDS)
        assert made.shape == (len(HANDS), count)
        assert made.dtype == np.float32


@pytest.mark.parametrize("features", [*candidate_features(42), *candidate_features(63)][::7])
def test_degenerate_hands_stay_finite(features: Features) -> None:
    hands = np.array([np.zeros(63), np.full(63, 5e-324), np.tile([1e6, -1e6, 1e6], 21), np.eye(63)[36] * 1e11])
    assert np.isfinite(features.make(hands)).all()


def test_hands_are_not_modified() -> None:
    for features in candidate_features(42):
        before = HANDS.copy()
        features.make(before)
        assert np.array_equal(before, HANDS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wrist_xyzz", "wrist_middle_tip_v1, wrist_rms_v3"),
        ("origin=elbow", "origin"),
        ("scale=0-21", "outside 0 to 20"),
        ("scale=0-9,colour=red", "colour"),
        ("upright=99", "outside 0 to 20"),
        ("scale=0-9-12", "scale"),
    ],
)
def test_invalid_descriptions_are_rejected(text: str, message: str) -> None:
    with pytest.raises(UnknownFeaturesError, match=message):
        parse(text)


def test_named_features_keep_name_and_unit() -> None:
    assert [features.name for features in NAMED.values()] == [*NAMED]
    assert NAMED["min_xy"].unit is Unit.IMAGE
    assert NAMED["wrist_middle_tip_v1"].unit is Unit.PIXELS
