"""Measures debouncing: false changes and delay of the held gesture for each ``hold_ms``: python -m bench.holding.

On labelled recordings, if available, and on simulated gestures with random wrong frames. Compares the rule of
debounce.py with the one that it replaced, and with averaging probabilities.
"""

from __future__ import annotations

import math
import random
import statistics
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from hand_gesture.debounce import Debouncer
from hand_gesture.model.classifier import NONE
from hand_gesture.tracking import Tracker
from tests.hands import CLASSIFIER
from tests.sequences import NAMES, load_recording

HOLD_MS: Final = (66, 100, 150, 200, 300, 500, 1000)
FRAMES_PER_SECOND: Final = 30
WRONG: Final = 0.15
MINUTES: Final = 60
GESTURES: Final = ("like", "dislike", "palm", "fist", NONE, "ok")
SECONDS_SHOWN: Final = (1.5, 4.0)
SETTLED_SECONDS: Final = 0.5  # after a change of the shown gesture, before accuracy is measured


class Shown(NamedTuple):
    """A frame of a hand: true gesture, predicted gesture and probabilities; None if the hand was not detected."""

    time: float
    truth: str | None
    gesture: str | None
    probabilities: NDArray[np.float64] | None = None


class Rule(Protocol):
    """A debouncing rule."""

    held: str

    def take(self, shown: Shown) -> None:
        """Process the next frame."""


class Now:
    """The rule of debounce.py."""

    def __init__(self, hold_seconds: float) -> None:
        self._debouncer = Debouncer(hold_seconds, NONE)
        self.held = NONE

    def take(self, shown: Shown) -> None:
        """Process the next frame."""
        if shown.gesture is None:
            self._debouncer.miss(shown.time)
        else:
            self._debouncer.show(shown.gesture, shown.time)
        self.held = self._debouncer.held


class Before:
    """The rule until November 2026: shown for ``hold_ms``, without two other frames in a row."""

    def __init__(self, hold_seconds: float) -> None:
        self.held = NONE
        self._hold_seconds = hold_seconds
        self._runs: dict[str, tuple[float, int, int]] = {}  # by gesture: start, last frame, consecutive frames
        self._frame = 0
        self._last_time = float("-inf")

    def take(self, shown: Shown) -> None:
        """Process the next frame."""
        if shown.gesture is None:
            return
        if shown.time - self._last_time > 0.5:
            self.held = NONE
            self._runs.clear()
        self._last_time = shown.time
        self._frame += 1
        self._runs = {
            gesture: run
            for gesture, run in self._runs.items()
            if gesture == shown.gesture or (run[1] == self._frame - 1 and (shown.gesture != self.held or run[2] > 1))
        }
        started, last, in_a_row = self._runs.get(shown.gesture, (shown.time, self._frame, 0))
        in_a_row = in_a_row + 1 if last >= self._frame - 1 else 1
        self._runs[shown.gesture] = started, self._frame, in_a_row
        if shown.time - started >= self._hold_seconds:
            self.held = shown.gesture


class Mean:
    """The gesture whose mean probability over ``hold_ms`` is at least two thirds."""

    def __init__(self, hold_seconds: float) -> None:
        self.held = NONE
        self._hold_seconds = hold_seconds
        self._frames: deque[tuple[float, NDArray[np.float64]]] = deque()

    def take(self, shown: Shown) -> None:
        """Process the next frame."""
        if shown.probabilities is None:
            if self._frames and shown.time - self._frames[-1][0] >= self._hold_seconds:
                self.held = NONE
                self._frames.clear()
            return
        self._frames.append((shown.time, shown.probabilities))
        while len(self._frames) > 1 and shown.time - self._frames[1][0] >= self._hold_seconds - 0.001:
            self._frames.popleft()
        if shown.time - self._frames[0][0] < self._hold_seconds - 0.001:
            return
        mean = np.mean([probabilities for _, probabilities in self._frames], axis=0)
        if mean.max() >= 2 / 3:
            self.held = CLASSIFIER.classes[int(mean.argmax())]


@dataclass
class Outcome:
    """Result of a rule. ``delays`` are in seconds; ``missed`` counts gestures that were never held."""

    minutes: float = 0.0
    false_changes: int = 0
    delays: list[float] = field(default_factory=list)
    missed: int = 0
    right: list[bool] = field(default_factory=list)
    right_frames: list[bool] = field(default_factory=list)

    def add(self, frames: Sequence[Shown], make: Callable[[float], Rule], hold: float, slack: float) -> None:
        """Run a new rule on the frames of a hand."""
        rule = make(hold)
        last_shown: dict[str | None, float] = {}
        truth, since, is_waiting = None, 0.0, False
        self.minutes += (frames[-1].time - frames[0].time) / 60
        for shown in frames:
            if shown.truth != truth:
                self.missed += is_waiting
                truth, since, is_waiting = shown.truth, shown.time, shown.truth not in (None, NONE)
            last_shown[truth] = shown.time
            before = rule.held
            rule.take(shown)
            if rule.held != before:
                # A change to the previously shown gesture is late, but not false
                was_shown = shown.time - last_shown.get(rule.held, -math.inf) <= hold + slack
                lets_go = rule.held == NONE and shown.gesture is None
                is_early = slack and any(
                    other.truth == rule.held and 0 <= other.time - shown.time <= slack for other in frames
                )
                self.false_changes += not (was_shown or lets_go or is_early)
            if is_waiting and rule.held == truth:
                is_waiting = False
                self.delays.append(shown.time - since)
            if shown.gesture is not None and truth is not None and shown.time - since >= SETTLED_SECONDS:
                self.right.append(rule.held == truth)
                self.right_frames.append(shown.gesture == truth)
        self.missed += is_waiting

    def row(self) -> str:
        """Table cells: false changes per minute; p50 and p95 of the delay in ms; missed gestures."""
        delays = [round(1000 * delay) for delay in self.delays]
        slow = statistics.quantiles(delays, n=20)[-1]
        gestures = self.missed + len(delays)
        false = self.false_changes / self.minutes
        return f"{false:.2f} | {statistics.median(delays):.0f}, {slow:.0f} | {self.missed} of {gestures}"

    def accuracy(self) -> str:
        """Accuracy of the held gesture in percent, and of single frames."""
        return f"{100 * statistics.mean(self.right):.1f} ({100 * statistics.mean(self.right_frames):.1f})"


def recorded_hands() -> Iterator[tuple[str, list[Shown], float]]:
    """Hands of the recordings: name of the clip, frames, and tolerance of the labels in seconds."""
    for name in NAMES:
        recording = load_recording(name)
        tracker = Tracker()
        tracks: dict[int, list[Shown]] = {}
        for hands, time, labels in zip(recording.hands, recording.times, recording.labels, strict=True):
            numbers = tracker.update(hands, time)
            shown: list[tuple[str, NDArray[np.float64]]] = []
            if len(hands):
                probabilities = CLASSIFIER._probabilities(CLASSIFIER.features.make(hands))
                gestures = [prediction.gesture for prediction in CLASSIFIER.predict(hands)]
                shown = [*zip(gestures, probabilities.astype(np.float64), strict=True)]
            for index, number in enumerate(numbers):
                if number not in numbers[:index]:
                    tracks.setdefault(number, []).append(Shown(time, labels[index], *shown[index]))
            for number in tracks.keys() & tracker.known - {*numbers}:
                tracks[number].append(Shown(time, None, None))
        for frames in tracks.values():
            yield name, frames, recording.slack


def noisy_hand(chance: random.Random, wrong: Callable[[str], str]) -> list[Shown]:
    """Simulate a hand that shows one gesture after another, with 15 % wrong frames."""
    frames: list[Shown] = []
    truth = NONE
    while len(frames) < MINUTES * 60 * FRAMES_PER_SECOND:
        truth = chance.choice([gesture for gesture in GESTURES if gesture != truth])
        mistaken = wrong(truth)
        for _ in range(round(FRAMES_PER_SECOND * chance.uniform(*SECONDS_SHOWN))):
            shown = truth if chance.random() >= WRONG else mistaken or wrong(truth)
            frames.append(Shown(len(frames) / FRAMES_PER_SECOND, truth, shown))
    return frames


def flips_a_minute(make: Callable[[float], Rule], hold: float) -> float:
    """Count changes of the held gesture while two gestures alternate at random."""
    chance, rule, flips = random.Random(1), make(hold), 0  # noqa: S311
    for frame in range(MINUTES * 60 * FRAMES_PER_SECOND):
        before = rule.held
        rule.take(Shown(frame / FRAMES_PER_SECOND, None, chance.choice(("like", "fist"))))
        flips += rule.held != before
    return flips / MINUTES


RULES: Final[dict[str, Callable[[float], Rule]]] = {"before": Before, "now": Now, "mean probability": Mean}


def main() -> None:
    """Measure all rules and print a table."""
    chance = random.Random(0)  # noqa: S311

    def another(truth: str) -> str:
        return chance.choice([gesture for gesture in GESTURES if gesture != truth])

    recorded, noisy = [*recorded_hands()], noisy_hand(chance, another)
    print("| hold_ms | rule | recordings: false per minute | delay | missed | accuracy (frames), % ", end="")
    print("| 15 % wrong: false per minute | delay | missed | two gestures: changes per minute |")
    for hold_ms in HOLD_MS:
        hold = hold_ms / 1000
        for name, rule in RULES.items():
            on_recordings, on_noise = Outcome(), Outcome()
            for _, frames, slack in recorded:
                on_recordings.add(frames, rule, hold, slack)
            cells = f"{on_recordings.row()} | {on_recordings.accuracy()}" if recorded else "| | |"
            if rule is not Mean:  # simulated frames have no probabilities
                on_noise.add(noisy, rule, hold, 0)
                cells += f" | {on_noise.row()} | {flips_a_minute(rule, hold):.1f}"
            print(f"| {hold_ms} | {name} | {cells} |")
    for clip in NAMES:
        outcome = Outcome()
        for name, frames, slack in recorded:
            if name == clip:
                outcome.add(frames, Now, 0.15, slack)
        print(f"{clip}, hold_ms 150: {outcome.false_changes} false in {60 * outcome.minutes:.0f} s", outcome.accuracy())


if __name__ == "__main__":
    main()
