"""Measures one model call including features, median of several rounds: python -m bench.model_call."""

from __future__ import annotations

import statistics
import timeit
from pathlib import Path

import numpy as np

from hand_gesture.landmarks import parse_hand
from hand_gesture.model.artifacts import load_artifacts, load_reference_hands

ARTIFACTS = Path(__file__).parents[1] / "artifacts"
ROUNDS = 15
CALLS = 200


def main() -> None:
    """Print the time of each batch size in microseconds, and its ratio to one hand."""
    classifier = load_artifacts(ARTIFACTS).classifier
    reference = [parse_hand(hand) for hand in load_reference_hands(ARTIFACTS).hands.values()]
    alone = 0.0
    for size in (1, 2, 8, 32, 64, 128, 1024):
        hands = np.array([reference[index % len(reference)] for index in range(size)])
        calls = CALLS if size <= 128 else CALLS // 10
        rounds = timeit.repeat(lambda: classifier.predict(hands), number=calls, repeat=ROUNDS)  # noqa: B023
        median = statistics.median(rounds) / calls * 1e6
        alone = alone or median
        print(f"{size:5} hands {median:8.0f} µs per call  {median / alone:5.2f} times one hand")


if __name__ == "__main__":
    main()
