"""Computes the reference hands: a typical left and right hand for each gesture.

``python -m training.reference`` updates those of artifacts/ with the current model.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from hand_gesture.landmarks import LANDMARK_COUNT, PLANAR_COUNT, WRIST, points_right
from hand_gesture.model.artifacts import (
    MANIFEST_FILE,
    REFERENCE_HANDS_FILE,
    Manifest,
    ReferenceHands,
    load_artifacts,
    sha256,
)
from hand_gesture.model.features import wrist_rms
from training.data import Floats, Hands, read_table

PROJECT: Final = Path(__file__).parents[1]
TABLE: Final = PROJECT.parent / "shared" / "data" / "hagrid_hands.csv"
IMAGE_SIZE: Final = (640, 480)
HAND_SIDE: Final = 220.0  # longer side of a hand's bounding box, in pixels
NEIGHBOURS: Final = 9
DISTANCE_WEIGHT: Final = 0.5  # weight of the squared distance to the median against the log probability
# Standard deviation of MediaPipe's z over that of x and y in the same unit: the median of 1,766 webcam hands
DEPTH_TO_SIZE: Final = 0.25


class Network(Protocol):
    """A trained classifier of ``wrist_rms`` features."""

    def predict_proba(self, X: NDArray[np.float32]) -> NDArray[np.floating]:  # noqa: N803 (scikit-learn's name)
        """Class probabilities, shape (n, classes)."""
        ...


def make_reference_hands(table: Hands, classes: list[str], network: Network) -> ReferenceHands:
    """Compute a typical left and right hand for each gesture of the table.

    Each is the mean of a few neighbouring hands that are close to the median of their gesture and have a high
    probability. The mean over both sides, or over all hands of a gesture, would not look like a real hand.

    Args:
        table: left and right hands, in pixels or another undistorted unit.
        classes: the class names.
        network: column k of its probabilities belongs to ``classes[k]``.
    """
    points = table.values.reshape(-1, LANDMARK_COUNT, 3)
    relative = points[..., :2] - points[:, WRIST : WRIST + 1, :2]
    forms = relative.reshape(-1, PLANAR_COUNT)
    forms = forms / np.sqrt((forms**2).mean(axis=1, keepdims=True))
    probabilities = network.predict_proba(wrist_rms(table.values))
    is_right = points_right(relative)
    sides: list[dict[str, list[list[float]]]] = []
    for side in (False, True):
        hands = {}
        for label in np.unique(table.classes).tolist():
            rows = np.flatnonzero((table.classes == label) & (is_right == side))
            if not len(rows):
                continue
            typical = rows[_typical_neighbourhood(forms[rows], probabilities[rows, label])]
            xy = forms[typical].mean(axis=0).reshape(LANDMARK_COUNT, 2)
            hands[classes[label]] = _place(xy, points[typical, :, 2].mean(axis=0))
        sides.append(hands)
    first, second = sides
    return ReferenceHands(
        image_size=IMAGE_SIZE, hands=second | first, other_side={n: second[n] for n in first if n in second}
    )


def _typical_neighbourhood(forms: Floats, probabilities: NDArray[np.floating]) -> NDArray[np.intp]:
    """Indices of the most typical hand and its nearest neighbours."""
    distances = ((forms[:, np.newaxis] - forms[np.newaxis]) ** 2).sum(axis=2)
    neighbours = distances.argsort(axis=1, kind="stable")[:, :NEIGHBOURS]
    log_likelihood = np.log(np.maximum(probabilities, 1e-9))[neighbours].mean(axis=1)
    to_median = ((forms - np.median(forms, axis=0)) ** 2).mean(axis=1)
    chosen: NDArray[np.intp] = neighbours[np.argmax(log_likelihood - DISTANCE_WEIGHT * to_median)]
    return chosen


def _place(xy: Floats, z: Floats) -> list[list[float]]:
    """Place a hand in the middle of a frame in MediaPipe's format: 21 [x, y, z], all relative to the frame's size."""
    xy = xy * (HAND_SIDE / np.ptp(xy, axis=0).max())
    if z.any():  # rescale with the hand, whose size has changed
        z = z * (DEPTH_TO_SIZE * np.hypot(*xy.std(axis=0)) / IMAGE_SIZE[0] / z.std())
    middle = (xy.min(axis=0) + xy.max(axis=0)) / 2
    placed: list[list[float]] = np.column_stack([(xy - middle) / IMAGE_SIZE + 0.5, z]).tolist()
    return placed


def main() -> None:
    """Compute the reference hands, and update their digest in the manifest."""
    parser = argparse.ArgumentParser(description="Update the reference hands of artifacts/.")
    parser.add_argument("--table", type=Path, default=TABLE, help="63 coordinates and a label a row")
    parser.add_argument("--out", type=Path, default=PROJECT / "artifacts", help="folder of artifacts")
    arguments = parser.parse_args()
    if not arguments.table.is_file():
        raise SystemExit(f"{arguments.table} does not exist; give the path of the table with --table.")
    table, classes = read_table(arguments.table)
    reference = make_reference_hands(table, classes, load_artifacts(arguments.out).classifier.model)
    (arguments.out / REFERENCE_HANDS_FILE).write_text(reference.model_dump_json() + "\n")
    path = arguments.out / MANIFEST_FILE
    manifest = Manifest.model_validate_json(path.read_bytes())
    manifest.sha256[REFERENCE_HANDS_FILE] = sha256((arguments.out / REFERENCE_HANDS_FILE).read_bytes())
    path.write_text(manifest.model_dump_json(indent=2) + "\n")


if __name__ == "__main__":
    main()
