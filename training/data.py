"""Reads the data for training and evaluation, and transforms hands as other cameras would see them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hand_gesture.landmarks import COORDINATE_COUNT, LANDMARK_COUNT, parse_hand, restore_shape
from hand_gesture.model.classifier import NONE
from hand_gesture.model.features import wrist_rms

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Hands:
    """Hands as coordinates, shape (n, 63), in any unit, with their classes."""

    values: Floats
    classes: Ints

    def take(self, rows: NDArray[np.intp] | Bools) -> Hands:
        """Select hands by index or mask."""
        return Hands(self.values[rows], self.classes[rows])

    def __len__(self) -> int:
        return len(self.classes)


def read_table(path: Path) -> tuple[Hands, list[str]]:
    """Read a CSV file with a header, and 63 coordinates and a label in each row.

    Returns:
        The hands, and the class names: the gestures in alphabetical order, then ``none``, which has no rows.
    """
    table = np.genfromtxt(path, delimiter=",", skip_header=1, dtype=str)
    if table.ndim != 2 or table.shape[1] != COORDINATE_COUNT + 1:
        raise SystemExit(f"{path} must have {COORDINATE_COUNT} coordinate columns and a label in every row.")
    gestures, classes = np.unique(table[:, -1], return_inverse=True)
    return Hands(table[:, :-1].astype(np.float64), classes.astype(np.int64)), [*map(str, gestures), NONE]


@dataclass(frozen=True)
class OpenHands:
    """Hands from many sources; ``near`` marks hands without a gesture that resemble one."""

    hands: Hands
    near: Bools
    files: NDArray[np.str_]  # name of the file of each hand
    sources: NDArray[np.str_]
    groups: NDArray[np.str_]  # the person, clip or photograph
    what: NDArray[np.str_]  # the source's own label

    def take(self, rows: Bools) -> OpenHands:
        """Select hands by index or mask."""
        return OpenHands(
            self.hands.take(rows),
            self.near[rows],
            self.files[rows],
            self.sources[rows],
            self.groups[rows],
            self.what[rows],
        )

    def is_gesture(self, none: int) -> Bools:
        """Mask of the hands with a gesture."""
        return np.asarray(self.hands.classes != none)

    def is_strictly_none(self, none: int) -> Bools:
        """Mask of the hands without a gesture that do not resemble one either."""
        return np.asarray((self.hands.classes == none) & ~self.near)


def read_open_hands(paths: Sequence[Path], classes: list[str]) -> OpenHands:
    """Read hands from JSON lines of ``label``, ``near``, ``source``, ``group``, ``what``, ``size``, ``landmarks``."""
    lines = [(path.stem, json.loads(line)) for path in paths for line in path.read_text().splitlines()]
    files, rows = [file for file, _ in lines], [row for _, row in lines]
    values = np.array([parse_hand(row["landmarks"]) for row in rows])
    for hand, row in zip(values, rows, strict=True):
        restore_shape(hand[np.newaxis], row["size"])
    return OpenHands(
        Hands(values, np.array([classes.index(row["label"]) for row in rows])),
        np.array([bool(row.get("near")) for row in rows]),
        np.array(files),
        np.array([row["source"] for row in rows]),
        np.array([f"{row['source']}: {row['group']}" for row in rows]),
        np.array([row["what"] for row in rows]),
    )


@dataclass(frozen=True)
class WebcamFrames:
    """Labelled frames: MediaPipe's 0..1 coordinates, shape (n, 63), sizes of the frames, shape (n, 2), and persons.

    ``disputed`` marks frames whose landmarks do not show the labelled gesture.
    """

    hands: Hands
    sizes: Floats
    persons: list[str]
    disputed: Bools

    def features(
        self, *, with_size: bool, aspect: float | None = None, mirrored: bool = False, tilt: float = 0
    ) -> Floats:
        """Features of the frames as the service would compute them.

        Args:
            with_size: whether the client sends ``image_size``.
            aspect: width / height of a simulated camera; None for the original one.
            mirrored: whether to mirror the hands.
            tilt: rotation of the hand in the image plane, in degrees.
        """
        pixels = self.hands.values.copy()
        for hand, size in zip(pixels, self.sizes, strict=True):
            restore_shape(hand[np.newaxis], (size[0], size[1]))
        turned = transform(pixels, mirrored=mirrored, tilt=np.radians(tilt))
        if not with_size:
            sizes = self.sizes if aspect is None else np.tile([aspect, 1.0], (len(pixels), 1))
            turned.reshape(-1, LANDMARK_COUNT, 3)[..., :2] /= sizes[:, np.newaxis]
        return wrist_rms(turned).astype(np.float64)


def read_webcam_frames(path: Path, classes: list[str]) -> WebcamFrames:
    """Read frames from a JSON list of ``{"id", "label", "size", "landmarks", "disputed"}``."""
    frames = json.loads(path.read_text())
    values = np.array([parse_hand(frame["landmarks"]) for frame in frames])
    labels = np.array([classes.index(frame["label"]) for frame in frames])
    sizes = np.array([frame["size"] for frame in frames], dtype=np.float64)
    persons = [frame["id"].partition("/")[0] for frame in frames]
    disputed = np.array([bool(frame.get("disputed")) for frame in frames])
    return WebcamFrames(Hands(values, labels), sizes, persons, disputed)


def transform(
    hands: Floats, *, mirrored: bool = False, tilt: float | Floats = 0.0, squeeze: float | Floats = 1.0
) -> Floats:
    """Mirror hands, rotate them in the image plane by ``tilt`` radians, then scale x by ``squeeze``.

    ``tilt`` and ``squeeze`` are scalars or have shape (n,).
    """
    points = hands.reshape(-1, LANDMARK_COUNT, 3)
    count = len(points)
    angle, factor = (
        np.broadcast_to(np.asarray(value, dtype=np.float64), count)[:, np.newaxis] for value in (tilt, squeeze)
    )
    x, y, z = -points[..., 0] if mirrored else points[..., 0], points[..., 1], points[..., 2]
    turned = (np.cos(angle) * x - np.sin(angle) * y) * factor, np.sin(angle) * x + np.cos(angle) * y, z
    return np.stack(turned, axis=-1).reshape(count, COORDINATE_COUNT)
