from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

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


RELATIVE = points(2) - points(2)[:, :1]
LENGTHS = np.linalg.norm(RELATIVE, axis=2, keepdims=True)


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
        ("scale=rms", RELATIVE / np.sqrt((RELATIVE**2).mean(axis=(1, 2), keepdims=True))),
        ("scale=largest_distance", RELATIVE / LENGTHS.max(axis=1, keepdims=True)),
        ("scale=mean_distance", RELATIVE / LENGTHS.mean(axis=1, keepdims=True)),
        (
            "scale=5-17",
            RELATIVE / np.linalg.norm(RELATIVE[:, 5] - RELATIVE[:, 17], axis=1)[:, np.newaxis, np.newaxis],
        ),
        ("scale=box", RELATIVE / np.ptp(RELATIVE, axis=1)[:, np.newaxis]),
        ("scale=box_side", RELATIVE / np.ptp(RELATIVE, axis=1).max(axis=1)[:, np.newaxis, np.newaxis]),
        ("wrist_middle_tip_v1", np.dstack([RELATIVE / LENGTHS[:, 12:13], points(3)[..., 2]])),
        (
            "scale=rms,z=relative",
            np.dstack(
                [
                    RELATIVE / np.sqrt((RELATIVE**2).mean(axis=(1, 2), keepdims=True)),
                    points(3)[..., 2] - points(3)[:, :1, 2],
                ]
            ),
        ),
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


@pytest.mark.parametrize("scale", ["box", "box_side"])
def test_sides_of_the_bounding_box_are_those_of_the_image(scale: str) -> None:
    planar = features_of(f"scale={scale}")
    assert features_of(f"scale={scale},scale_dimensions=3") == pytest.approx(planar, abs=1e-6)


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


def is_plausible(features: Features) -> bool:
    """Whether a project may use features other than those with a name."""
    if features.origin == "none":
        fits = features.scale == "none"
    else:
        fits = features.origin != "least" or features.scale in ("none", "largest", "box", "box_side")
    is_turned = features.one_side or features.upright is not None
    return (
        fits
        and (features.z != "scaled" or features.scale != "none")
        and (features.scale_dimensions == 2 or (features.z == "scaled" and features.scale not in ("box", "box_side")))
        and (not is_turned or (features.origin in ("wrist", "centre") and features.z == "absent"))
    )


def test_candidates_are_all_plausible_combinations() -> None:
    every = {features for count in (42, 63, 40, 60) for features in candidate_features(count)}
    scales = {features.scale for features in every}
    assert len(scales) == 22
    choices: dict[str, Iterable[Any]] = {
        "unit": Unit,
        "origin": ["none", "wrist", "least", "centre"],
        "one_side": [False, True],
        "upright": [None, 9],
        "scale": scales,
        "scale_dimensions": [2, 3],
        "z": ["absent", "as_is", "relative", "scaled"],
        "wrist": [True, False],
        "grouped": [False, True],
    }
    combinations = (dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values()))
    described = {Features.model_construct(**values) for values in combinations}
    assert every == {features for features in described if is_plausible(features)}


def test_candidates_begin_with_the_named_features() -> None:
    for count in (42, 63):
        named = [features for features in NAMED.values() if features.count == count]
        assert [*itertools.islice(candidate_features(count), len(named))] == named


def test_descriptions_may_hold_spaces_and_defaults() -> None:
    assert parse("origin = centre, scale = 0-9") == Features(origin="centre", scale=((0, 9),))
    assert parse("scale_dimensions=2") == Features()
    assert parse("scale_dimensions=3") == Features(scale_dimensions=3)


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
        ("scale_dimensions=4", "scale_dimensions"),
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
