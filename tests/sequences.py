"""Recordings of hands frame by frame, if available beside the project."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.server import PROJECT

FOLDER = PROJECT.parent / "shared" / "sequences"
NAMES = sorted(path.stem for path in FOLDER.glob("*.jsonl"))


@dataclass(frozen=True)
class Recording:
    """A clip: time in seconds, hands in pixels and labels of each frame.

    ``hands`` are of shape (n, 63). ``labels`` has a gesture for each hand of a frame, from its place in the picture;
    None where the labels say nothing. ``slack`` is how far the labels may be off, in seconds.
    """

    name: str
    times: list[float]
    hands: list[NDArray[np.float64]]
    handedness: list[list[str]]
    labels: list[list[str | None]]
    slack: float


def load_recording(name: str) -> Recording:
    """Read a clip and its labels."""
    frames = [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text().splitlines()]
    track = json.loads((FOLDER / f"{name}.labels.json").read_text())["track"]
    hands = [_in_pixels(frame) for frame in frames]
    times = [frame["t"] / 1000 for frame in frames]
    good_to_frames = 3 if name in ("begolo_webcam", "mason_webcam") else 10
    return Recording(
        name,
        times,
        hands,
        [[hand["handedness"] for hand in frame["hands"]] for frame in frames],
        [_labels(track, frame["frame"], its) for frame, its in zip(frames, hands, strict=True)],
        good_to_frames * (times[1] - times[0]),
    )


def _in_pixels(frame: dict[str, Any]) -> NDArray[np.float64]:
    hands = np.array([hand["landmarks"] for hand in frame["hands"]]).reshape(-1, 21, 3)
    hands *= [*frame["size"], 1]
    return hands.reshape(-1, 63)


def _labels(track: list[dict[str, Any]], index: int, hands: NDArray[np.float64]) -> list[str | None]:
    label = next((span["label"] for span in track if span["from"] <= index <= span["to"]), None)
    sides = label.split("|") if label else [None]
    if len(sides) == 1:
        return sides * len(hands)
    places = np.argsort(np.argsort(hands[:, ::3].mean(axis=1)))
    # A single detected hand of two may be either one
    return [sides[place] if len(hands) == len(sides) else None for place in places.tolist()]
