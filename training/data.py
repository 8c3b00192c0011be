"""The hands to train on and to judge by, and the transformations that a camera or a person may apply to them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hand_gesture.landmarks import FEATURE_COUNT, LANDMARK_COUNT, restore_shape, to_features

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Hands:
    """Hands as features (contract ``wrist_middle_tip_v1``, shape (n, 63)) or raw coordinates, with their classes."""

    values: Floats
    classes: Ints

    def take(self, rows: NDArray[np.intp]) -> Hands:
        """Some of the hands."""
        return Hands(self.values[rows], self.classes[rows])

    def __len__(self) -> int:
        return len(self.classes)


def read_table(path: Path) -> tuple[Hands, list[str]]:
    """Read a CSV of 63 features and a label in each row, under a line of column names.

    Returns:
        The hands and the gestures, in alphabetical order, that their classes stand for.
    """
    table = np.genfromtxt(path, delimiter=",", skip_header=1, dtype=str)
    if table.ndim != 2 or table.shape[1] != FEATURE_COUNT + 1:
        raise SystemExit(f"{path} must have {FEATURE_COUNT} feature columns and a label in every row.")
    gestures, classes = np.unique(table[:, -1], return_inverse=True)
    return Hands(table[:, :-1].astype(np.float64), classes.astype(np.int64)), [str(name) for name in gestures]


@dataclass(frozen=True)
class WebcamFrames:
    """Labelled frames: MediaPipe's coordinates in 0..1 (n, 63), the frames' sizes (n, 2), and who is to be seen."""

    hands: Hands
    sizes: Floats
    persons: list[str]

    def features(
        self, *, with_size: bool, aspect: float | None = None, mirrored: bool = False, tilt: float = 0
    ) -> Floats:
        """What the service would make of the frames.

        Args:
            with_size: whether the client tells the frame's size.
            aspect: width / height of the camera; None leaves the frames as they are.
            mirrored: left and right exchanged.
            tilt: degrees by which the hand is turned in the picture.
        """
        pixels = self.hands.values.copy()
        for hand, size in zip(pixels, self.sizes, strict=True):
            restore_shape(hand[np.newaxis], (size[0], size[1]))
        turned = transform(pixels, mirrored=mirrored, tilt=np.radians(tilt), squeeze=1.0)
        if not with_size:
            sizes = self.sizes if aspect is None else np.tile([aspect, 1.0], (len(pixels), 1))
            turned.reshape(-1, LANDMARK_COUNT, 3)[..., :2] /= sizes[:, np.newaxis]
        return to_features(turned).astype(np.float64)


def read_webcam_frames(path: Path, gestures: list[str]) -> WebcamFrames:
    """Read frames from a JSON list of ``{"id", "label", "size", "landmarks"}``."""
    frames = json.loads(path.read_text())
    values = np.array([frame["landmarks"] for frame in frames], dtype=np.float64).reshape(len(frames), FEATURE_COUNT)
    classes = np.array([gestures.index(frame["label"]) for frame in frames])
    sizes = np.array([frame["size"] for frame in frames], dtype=np.float64)
    return WebcamFrames(Hands(values, classes), sizes, [frame["id"].partition("/")[0] for frame in frames])


def transform(
    hands: Floats, *, mirrored: bool | NDArray[np.bool_], tilt: float | Floats, squeeze: float | Floats
) -> Floats:
    """Mirror hands, turn them in the picture by ``tilt`` radians, then scale x by ``squeeze``, in this order.

    Each argument is one value for all hands or one for each.
    """
    points = hands.reshape(-1, LANDMARK_COUNT, 3)
    count = len(points)
    sign, angle, factor = (
        np.broadcast_to(np.asarray(value, dtype=np.float64), count)[:, np.newaxis]
        for value in (np.where(mirrored, -1.0, 1.0), tilt, squeeze)
    )
    x, y, z = sign * points[..., 0], points[..., 1], points[..., 2]
    turned = (np.cos(angle) * x - np.sin(angle) * y) * factor, np.sin(angle) * x + np.cos(angle) * y, z
    return np.stack(turned, axis=-1).reshape(count, FEATURE_COUNT)
