"""Estimates how well a custom gesture will be recognized, and gives advice; see docs/teach.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from hand_gesture.landmarks import COORDINATE_COUNT, LANDMARK_COUNT, LANDMARK_NAMES, MIN_DISTANCE, WRIST
from hand_gesture.model.classifier import NONE
from hand_gesture.model.taught import Floats, OwnGesture, Rows, Teacher, others_of

TILT: Final = np.radians(20)  # to each side
FOLDS: Final = 3  # consecutive parts of a recording, because neighbouring frames are too similar for cross-validation
TOO_CLOSE: Final = 0.7  # resemblance to a known gesture
ENOUGH_RIGHT: Final = 0.8  # share of the examples
MAX_FALSE_POSITIVES: Final = 0.02  # share of the stored hands
ENOUGH_EXAMPLES: Final = 5
# Share of the stored hands without a gesture that are near an example. Most of them consist of fingers of upright
# hands. A shape that is near to few of them is seen from an unusual side, and looks different on other people
MIN_FAMILIAR: Final = 1 / 60
_FINGERS: Final = {
    "index finger": "INDEX_FINGER",
    "middle finger": "MIDDLE_FINGER",
    "ring finger": "RING_FINGER",
    "pinky": "PINKY",
}
_TIPS: Final = [LANDMARK_NAMES.index(f"{finger}_TIP") for finger in _FINGERS.values()]
_MIDDLE_JOINTS: Final = [LANDMARK_NAMES.index(f"{finger}_PIP") for finger in _FINGERS.values()]
_IS_STRAIGHT: Final = 1.2  # distance of the tip from the wrist, divided by that of the middle joint
_STRAIGHT, _BENT = 1.6, 0.8  # the same ratio for a typical finger


@dataclass(frozen=True, slots=True)
class GestureReport:
    """Estimates for a custom gesture.

    ``right_left_out`` is the number of examples that are recognized in cross-validation, after training without their
    part of the recording; None if there is only one example. ``right_tilted`` is the number that are recognized with
    the hand rotated by 20° in the image, to both sides. ``resemblance``, from 0 to 1, is the similarity to the known
    gesture ``resembles``: the larger of the classifier's probability and the cosine similarity of their mean
    activations. ``taken`` is the share of the stored hands that would be recognized as this gesture.
    """

    examples: int
    right_left_out: int | None
    right_tilted: int
    resembles: str
    resemblance: float
    taken: float
    advice: str


def report_on(teacher: Teacher, gestures: Mapping[str, OwnGesture]) -> dict[str, GestureReport]:
    """Make the reports, by name, of gestures that are trained together."""
    rows = {name: teacher.rows_of(gesture.examples) for name, gesture in gestures.items()}
    kept = {name: teacher.far_from(gesture.examples) for name, gesture in gestures.items()}
    heads = {name: teacher.fit(rows[name], kept[name], others_of(rows, name)) for name in gestures}
    reports = {}
    for name, gesture in gestures.items():
        count = len(gesture.examples)
        left_out = _winners_left_out(teacher, name, gesture.examples, rows, heads)
        tilted = zip(
            *(_winners(teacher.rows_of(_tilt(gesture.examples, a)), heads) for a in (-TILT, TILT)), strict=True
        )
        resembles, resemblance = _nearest(teacher, gesture.examples)
        found = GestureReport(
            examples=count,
            right_left_out=left_out.count(name) if count > 1 else None,
            right_tilted=list(tilted).count((name, name)),
            resembles=resembles,
            resemblance=round(resemblance, 3),
            taken=round(float((teacher.rows @ heads[name] > 0).mean()), 4),
            advice="",
        )
        mixed_up = Counter(winner for winner in left_out if winner is not None and winner != name)
        familiar = np.count_nonzero(~kept[name]) / max(len(teacher.members.get(NONE, ())), 1)
        reports[name] = _with_advice(found, teacher, gesture.examples, mixed_up, familiar)
    return reports


def _winners(rows: Rows, heads: Mapping[str, Rows]) -> list[str | None]:
    """The custom gesture of each row, or None if the classifier's prediction stands."""
    margins = rows @ np.array(list(heads.values())).T
    names = list(heads)
    return [names[best] if margins[row, best] > 0 else None for row, best in enumerate(margins.argmax(axis=1))]


def _winners_left_out(
    teacher: Teacher, name: str, examples: Floats, rows: Mapping[str, Rows], heads: Mapping[str, Rows]
) -> list[str | None]:
    """Cross-validation: the custom gesture of each example, or None, by a head trained without its part.

    For a single example only the heads of the other gestures are evaluated.
    """
    if len(examples) == 1:
        other_heads = {other: head for other, head in heads.items() if other != name}
        return _winners(rows[name], other_heads) if other_heads else [None]
    winners: list[str | None] = []
    others = others_of(rows, name)
    for part in np.array_split(np.arange(len(examples)), min(FOLDS, len(examples))):
        seen = np.delete(np.arange(len(examples)), part)
        head = teacher.fit(rows[name][seen], teacher.far_from(examples[seen]), others, heads[name])
        winners += _winners(rows[name][part], {**heads, name: head})
    return winners


def _tilt(hands: Floats, angle: float) -> Floats:
    """Rotate hands in the image plane; the angle is in radians."""
    points = hands.reshape(-1, LANDMARK_COUNT, 3)
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    turned = np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y, z
    return np.stack(turned, axis=-1).reshape(-1, COORDINATE_COUNT)


def _nearest(teacher: Teacher, examples: Floats) -> tuple[str, float]:
    """The known gesture that is most similar to the examples, and the similarity."""
    classifier = teacher.classifier
    hidden = teacher.network.hidden(classifier.features.make(examples))
    probabilities = teacher.network.probabilities(hidden).mean(axis=0)
    own = _direction(teacher.rows_of(examples))
    resemblances = {
        name: max(float(probability), _cosine(own, teacher, name))
        for name, probability in zip(classifier.classes, probabilities, strict=True)
        if name in classifier.gestures
    }
    nearest = max(resemblances, key=lambda name: resemblances[name])
    return nearest, resemblances[nearest]


def _cosine(own: Rows, teacher: Teacher, name: str) -> float:
    members = teacher.members.get(name)
    return 0.0 if members is None else float(own @ _direction(teacher.rows[members]))


def _direction(rows: Rows) -> Rows:
    mean = rows[:, :-1].mean(axis=0)
    direction: Rows = mean / max(float(np.linalg.norm(mean)), 1e-6)
    return direction


def _with_advice(
    report: GestureReport, teacher: Teacher, examples: Floats, mixed_up: Counter[str], familiar: float
) -> GestureReport:
    enough = ENOUGH_RIGHT * report.examples
    if empty := _in_one_place(examples):
        advice = f"Example {empty[0]} shows no hand, all its points are in one place: leave it out."
    elif report.resemblance >= TOO_CLOSE:
        change = _finger_to_change(teacher, examples)
        advice = f"Too close to `{report.resembles}`: {change}, or choose another shape."
    elif mixed_up and mixed_up.total() > report.examples - enough:
        other, _ = mixed_up.most_common(1)[0]
        advice = f"Too close to your own `{other}`: make the two more different."
    elif report.right_left_out is not None and report.right_left_out < enough:
        advice = "The examples differ too much: keep the fingers still, show the palm to the camera and record again."
    elif report.right_tilted < enough:
        advice = "It is lost when the hand tilts: tilt it a little to both sides while you record."
    elif report.taken > MAX_FALSE_POSITIVES:
        advice = "Many hands that mean nothing look like this: choose a shape that stands out more."
    elif report.examples < ENOUGH_EXAMPLES:
        advice = "It can be told apart; record about 10 examples, turning and tilting the hand a little."
    elif familiar < MIN_FAMILIAR:
        advice = (
            "It may be lost on other people, who hold such a hand another way: choose a shape that is clear with the "
            "palm to the camera and the fingers up."
        )
    else:
        advice = "It can be told apart: try it, and let somebody else try it, too."
    return replace(report, advice=advice)


def _in_one_place(examples: Floats) -> list[int]:
    """The numbers, from 1, of the examples whose landmarks are all at the wrist's position."""
    points = examples.reshape(-1, LANDMARK_COUNT, 3)[..., :2]
    sizes = np.abs(points - points[:, [WRIST]]).max(axis=(1, 2))
    return [number for number, size in enumerate(sizes.tolist(), 1) if size < MIN_DISTANCE]


def _finger_to_change(teacher: Teacher, examples: Floats) -> str:
    """Which finger to bend or stretch to be least similar to any known gesture."""
    own = _straightness(examples)
    known = np.array(
        [
            _straightness(teacher.stored.hands[members])
            for name, members in teacher.members.items()
            if name in teacher.classifier.gestures
        ]
    )
    is_straight = own > _IS_STRAIGHT
    changed = np.tile(own, (len(own), 1))
    np.fill_diagonal(changed, np.where(is_straight, _BENT, _STRAIGHT))
    distances = np.linalg.norm(changed[:, np.newaxis] - known, axis=2).min(axis=1)
    finger = int(distances.argmax())
    return f"{'bend' if is_straight[finger] else 'stretch'} the {list(_FINGERS)[finger]} too"


def _straightness(hands: Floats) -> Floats:
    """How straight each finger except the thumb is, shape (4,): the median over the hands."""
    points = hands.reshape(-1, LANDMARK_COUNT, 3)[..., :2]
    tips, joints = (np.linalg.norm(points[:, at] - points[:, [WRIST]], axis=2) for at in (_TIPS, _MIDDLE_JOINTS))
    straightness: Floats = np.median(tips / np.maximum(joints, 1e-6), axis=0)
    return straightness
