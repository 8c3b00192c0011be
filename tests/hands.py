"""Realistic hands for tests, and the formats in which clients send them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hand_gesture.model.artifacts import load_artifacts, load_reference_hands

PROJECT = Path(__file__).parents[1]
ARTIFACTS = PROJECT / "artifacts"
REFERENCE = load_reference_hands(ARTIFACTS)
IMAGE_SIZE = list(REFERENCE.image_size)
LIKE = REFERENCE.hands["like"]
CLASSIFIER = load_artifacts(ARTIFACTS).classifier


def as_objects(hand: list[list[float]]) -> list[dict[str, float]]:
    """The format of MediaPipe's JavaScript, with its additional key."""
    return [{"x": x, "y": y, "z": z, "visibility": 0.0} for x, y, z in hand]


def as_numbers(hand: list[list[float]]) -> list[float]:
    """As 63 numbers."""
    return [coordinate for point in hand for coordinate in point]


def as_frame(*hands: list[list[float]]) -> bytes:
    """As a binary frame of a stream: 63 little-endian float32 for each hand."""
    return b"".join(struct.pack("<63f", *as_numbers(hand)) for hand in hands)


def as_pairs(hand: list[list[float]]) -> list[list[float]]:
    """Without z."""
    return [point[:2] for point in hand]


def as_planar_numbers(hand: list[list[float]]) -> list[float]:
    """As 42 numbers, without z."""
    return [coordinate for point in hand for coordinate in point[:2]]


def as_planar_objects(hand: list[list[float]]) -> list[dict[str, float]]:
    """Without z."""
    return [{"x": x, "y": y} for x, y, _ in hand]


def in_list(hand: list[list[float]]) -> list[list[list[float]]]:
    """The format of `result.landmarks`."""
    return [hand]


def with_z_in_pixels(hand: list[list[float]]) -> list[list[float]]:
    """The format of cvzone: x and y in pixels, z multiplied by the frame's width."""
    width, height = IMAGE_SIZE
    return [[x * width, y * height, z * width] for x, y, z in hand]


FORMS: list[Callable[[list[list[float]]], Any]] = [
    *(list, as_objects, as_numbers, as_pairs, as_planar_numbers, as_planar_objects, in_list),
]


def shaken_hands(count: int, *, seed: int = 0) -> list[dict[str, Any]]:
    """Bodies for /predict: reference hands with random noise and position."""
    random = np.random.default_rng(seed)
    hands = np.array([*REFERENCE.hands.values()])
    bodies = []
    for index in range(count):
        hand = hands[index % len(hands)] + random.normal(0, [0.003, 0.003, 0.0005], (21, 3))
        hand[:, :2] += random.uniform(-0.1, 0.1, 2)
        bodies.append({"landmarks": hand.round(6).tolist(), "image_size": IMAGE_SIZE})
    return bodies
