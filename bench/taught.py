"""Evaluates custom gestures on people other than the one in the examples: python -m bench.taught.

Examples are consecutive frames of one person (taught_hands.jsonl). They are evaluated on hands of other sources: those
labelled with the same shape should get the gesture, those without a gesture should not, and those of a known gesture
should keep it. The stored hands never include the source of the evaluated hand.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from hand_gesture.landmarks import parse_hand, restore_shape
from hand_gesture.model.artifacts import load_artifacts
from hand_gesture.model.classifier import NONE, GestureClassifier, Predictions
from hand_gesture.model.stored_hands import STORED_HANDS_FILE, StoredHands, read_stored_hands
from hand_gesture.model.taught import (
    MARGIN_SCALE,
    MAX_EXAMPLES,
    MAX_GESTURES,
    RARENESS,
    OwnGesture,
    TaughtGestures,
    Teacher,
    confidence_of,
)
from hand_gesture.model.taught_report import report_on
from training.data import Hands, read_table
from training.stored_set import make_stored_hands

PROJECT: Final = Path(__file__).parents[1]
DATA: Final = PROJECT.parent / "shared" / "data"
GOALS: Final = ("L", "C", "I", "ILY")  # what the targets are for
EXAMPLES: Final = (1, 5, 10, 30)
USUAL: Final = 10
FOLDS: Final = 2  # of sources
EVERYDAY: Final = "everyday_hands.jsonl"
# J is I, drawn in the air
SHAPES: Final = {
    "ILY": r"I love you",
    "middle finger": r"middle.finger\b|middle finger up",
    "I": r"letter [IiJj]$|\) [IJ]$",
}
WANTED: Final = {"I": r"letter [Ii]$|\) I$"}

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Lesson = tuple[str, str]  # a gesture's name and the source that teaches it


@dataclass(frozen=True)
class Judged:
    """Hands to judge by, and what the classifier says of them."""

    hands: Hands
    strict: Bools  # make no gesture, and none that is near to one
    sources: NDArray[np.str_]
    what: NDArray[np.str_]
    everyday: Bools
    hidden: NDArray[np.floating[Any]]
    right: Bools  # makes a gesture, and gets it

    def named(self, pattern: str) -> Bools:
        """Which hands' sources call them so."""
        return np.array([re.search(pattern, what) is not None for what in self.what])


@dataclass(frozen=True)
class Outcome:
    """Shares; ``own`` counts each hand alike."""

    own: float
    hands: int
    open_taken: float
    everyday_taken: float
    lost: float


def main() -> None:
    """Evaluate and print all tables."""
    parser = argparse.ArgumentParser(description="Judge taught gestures on people other than their teachers.")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with the five files of hands")
    parser.add_argument("--artifacts", type=Path, default=PROJECT / "artifacts", help="the model (default: artifacts/)")
    arguments = parser.parse_args()
    if not (arguments.data / "taught_hands.jsonl").is_file():
        raise SystemExit(f"There is no taught_hands.jsonl in {arguments.data}; give the data's folder with --data.")
    with threadpool_limits(1):
        _print_all(arguments.data, arguments.artifacts)


def _print_all(data: Path, artifacts: Path) -> None:
    classifier = load_artifacts(artifacts).classifier
    table, classes = read_table(data / "hagrid_hands.csv")
    lessons = _read_lessons(data / "taught_hands.jsonl")
    judged = _read_judged([data / "open_hands.jsonl", data / EVERYDAY], classes, classifier)
    fold_of = {source: fold % FOLDS for fold, source in enumerate(_shuffled(np.unique(judged.sources)))}
    folds = np.array([fold_of[source] for source in judged.sources])
    near = (judged.hands.classes == len(classes) - 1) & ~judged.strict

    def teachers(make: Callable[[Hands, Hands, list[str]], StoredHands]) -> list[Teacher]:
        return [
            Teacher(classifier, make(table, judged.hands.take((folds != fold) & ~near), classes))
            for fold in range(FOLDS)
        ]

    made, real = teachers(make_stored_hands), teachers(_real_hands)
    committed = [Teacher(classifier, read_stored_hands(artifacts / STORED_HANDS_FILE))] * FOLDS

    def judge(by: Sequence[Teacher], taught: Iterable[Iterable[Lesson]], count: int) -> list[Outcome]:
        return [
            outcome
            for together in taught
            for outcome in _judge(by, folds, {lesson: lessons[lesson] for lesson in together}, count, judged)
        ]

    singles = [[lesson] for lesson in lessons if lesson[0] in GOALS]
    triples = [
        list(three)
        for three in itertools.combinations([lesson for [lesson] in singles], 3)
        if len({name for name, _ in three}) == 3
    ]
    print(f"{len(judged.sources)} hands of {len(fold_of)} sources; {len(singles)} teachers of {', '.join(GOALS)}\n")
    print(_head("examples, gestures at once"))
    for count in EXAMPLES:
        print(_line(f"{count}, one", judge(made, singles, count)))
    print(_line(f"{USUAL}, three ({len(triples)} triples)", judge(made, triples, USUAL)))
    print("\n" + _head(f"stored hands, {USUAL} examples"))
    print(_line("made, without the judged sources", judge(made, singles, USUAL)))
    print(_line("real, without the judged sources", judge(real, singles, USUAL)))
    print(_line("made of all, as committed", judge(committed, singles, USUAL)))
    print("\n" + _head(f"gesture, {USUAL} examples"))
    for name in sorted({name for name, _ in lessons}, key=lambda name: (name not in GOALS, name)):
        print(_line(name, judge(made, [[lesson] for lesson in lessons if lesson[0] == name], USUAL)))
    _print_reports(committed[0], lessons)
    _print_calibration(made, folds, {lesson: lessons[lesson] for [lesson] in singles}, judged)
    _print_seconds(committed[0], lessons)
    _print_frames(committed[0], lessons)


def _read_lessons(path: Path) -> dict[Lesson, Floats]:
    lessons: dict[Lesson, list[Floats]] = {}
    for row in map(json.loads, path.read_text().splitlines()):
        lessons.setdefault((row["name"], row["source"]), []).append(_read_hand(row))
    return {lesson: np.array(hands) for lesson, hands in lessons.items()}


def _read_hand(row: dict[str, Any]) -> Floats:
    hand = parse_hand(row["landmarks"])[np.newaxis]
    restore_shape(hand, row["size"])
    read: Floats = hand[0]
    return read


def _read_judged(paths: list[Path], classes: list[str], classifier: GestureClassifier) -> Judged:
    rows = [(path.name, json.loads(line)) for path in paths for line in path.read_text().splitlines()]
    hands = Hands(
        np.array([_read_hand(row) for _, row in rows]), np.array([classes.index(row["label"]) for _, row in rows])
    )
    predictions = classifier.predict(hands.values)
    assert predictions.hidden is not None  # noqa: S101 (a network is judged)
    labels = np.array([row["label"] for _, row in rows])
    given = np.array([prediction.gesture for prediction in predictions])
    return Judged(
        hands=hands,
        strict=np.array([row["label"] == NONE and not row.get("near") for _, row in rows]),
        sources=np.array([row["source"] for _, row in rows]),
        what=np.array([row["what"] for _, row in rows]),
        everyday=np.array([name == EVERYDAY for name, _ in rows]),
        hidden=predictions.hidden,
        right=(labels != NONE) & (given == labels),
    )


def _shuffled(sources: NDArray[np.str_]) -> list[str]:
    shuffled: list[str] = np.random.default_rng(1).permutation(sources).tolist()
    return shuffled


def _real_hands(table: Hands, others: Hands, classes: list[str]) -> StoredHands:
    """As many real hands as are made, all of no gesture among them, as they are."""
    none = len(classes) - 1
    is_none = others.classes == none
    gestures = Hands(
        np.concatenate([table.values, others.values[~is_none]]),
        np.concatenate([table.classes, others.classes[~is_none]]),
    )
    chosen = gestures.take(np.random.default_rng(0).permutation(len(gestures))[: 3000 - int(is_none.sum())])
    labels = np.concatenate([chosen.classes, others.classes[is_none]])
    return StoredHands(np.concatenate([chosen.values, others.values[is_none]]), np.array(classes)[labels])


def _evenly(hands: Floats, count: int) -> Floats:
    """So many of a recording's hands, evenly spread over it."""
    count = min(count, len(hands))
    chosen: Floats = hands[((np.arange(count) + 0.5) * len(hands) / count).astype(int)]
    return chosen


def _pattern(name: str, *, wanted: bool) -> str:
    letter = rf"letter ({name}|{name.lower()})$|^{name}(,|$)|\) {name}$|\({name}\)$"
    return (WANTED if wanted else {}).get(name) or SHAPES.get(name, letter)


def _margins(by: Sequence[Teacher], folds: NDArray[np.int64], taught: dict[str, OwnGesture], judged: Judged) -> Floats:
    """Each hand's margins, shape (n, gestures), told with the stored hands that were made without its source."""
    margins = np.empty((len(folds), len(taught)))
    for fold, teacher in enumerate(by):
        margins[folds == fold] = teacher.teach(taught).margins(judged.hidden[folds == fold])
    return margins


def _judge(
    by: Sequence[Teacher], folds: NDArray[np.int64], lessons: Mapping[Lesson, Floats], count: int, judged: Judged
) -> list[Outcome]:
    """One outcome for each gesture that is taught; the hands taken and lost are those of all of them."""
    taught = {name: OwnGesture(_evenly(hands, count)) for (name, _), hands in lessons.items()}
    margins = _margins(by, folds, taught, judged)
    best, is_taken = margins.argmax(axis=1), margins.max(axis=1) > 0
    others = ~np.isin(judged.sources, [source for _, source in lessons])
    shapes = np.any([judged.named(_pattern(name, wanted=False)) for name in taught], axis=0)
    strict = judged.strict & others & ~shapes
    known = (judged.hands.classes < judged.hands.classes.max()) & others
    outcomes = []
    for index, (name, source) in enumerate(lessons):
        own = judged.named(_pattern(name, wanted=True)) & (judged.sources != source)
        outcomes.append(
            Outcome(
                own=float((is_taken & (best == index))[own].mean()),
                hands=int(own.sum()),
                open_taken=float(is_taken[strict & ~judged.everyday].mean()),
                everyday_taken=float(is_taken[strict & judged.everyday].mean()),
                lost=float((is_taken & judged.right)[known].mean()),
            )
        )
    return outcomes


def _head(first: str) -> str:
    return (
        f"{first:34s} | others' right, by teacher | by hand | no-gesture hands taken: open | everyday | points lost\n"
        f"{'-' * 34}-|{'-' * 27}|{'-' * 9}|{'-' * 30}|{'-' * 10}|{'-' * 12}"
    )


def _line(first: str, outcomes: list[Outcome]) -> str:
    hands = np.array([outcome.hands for outcome in outcomes])
    own = np.array([outcome.own for outcome in outcomes])
    open_taken, everyday, lost = (
        100 * float(np.mean([getattr(outcome, name) for outcome in outcomes]))
        for name in ("open_taken", "everyday_taken", "lost")
    )
    return (
        f"{first:34s} | {100 * own.mean():23.1f} % | {100 * np.average(own, weights=hands):5.1f} % | "
        f"{open_taken:26.2f} % | {everyday:6.2f} % | {lost:11.2f}"
    )


def _print_reports(teacher: Teacher, lessons: Mapping[Lesson, Floats]) -> None:
    print(f"\nWhat POST /gestures says to each teacher, {USUAL} examples")
    for (name, source), hands in lessons.items():
        report = report_on(teacher, {name: OwnGesture(_evenly(hands, USUAL))})[name]
        print(
            f"{name:13s} {source.partition('/')[0]:15s} left out {report.right_left_out} tilted {report.right_tilted} "
            f"of {report.examples}, {report.resembles} {report.resemblance:.2f}, takes {100 * report.taken:.1f} %: "
            f"{report.advice}"
        )


def _print_calibration(
    by: Sequence[Teacher], folds: NDArray[np.int64], lessons: Mapping[Lesson, Floats], judged: Judged
) -> None:
    """The scale of the margins that fits best, and what the confidences given say, both sides weighted alike."""
    margins, is_own, weights = [], [], []
    for (name, source), hands in lessons.items():
        shown = _margins(by, folds, {name: OwnGesture(_evenly(hands, USUAL))}, judged)[:, 0]
        others = judged.sources != source
        own = judged.named(_pattern(name, wanted=True)) & others
        known = judged.hands.classes < judged.hands.classes.max()
        other = (judged.strict | known) & others & ~judged.named(_pattern(name, wanted=False))
        for side in (own, other):
            margins.append(shown[side])
            is_own.append(np.full(side.sum(), side is own))
            weights.append(np.full(side.sum(), 1 / side.sum()))
    margin, truth, weight = np.concatenate(margins), np.concatenate(is_own), np.concatenate(weights)

    def loss(parameters: Floats) -> float:
        scores = parameters[0] + parameters[1] * margin
        return float(np.sum(weight * np.logaddexp(0, np.where(truth, -scores, scores))))

    intercept, slope = minimize(loss, [0.0, 10.0]).x
    print(
        f"\nConfidence: scale of the margins {1 / slope:.3f} and rareness {np.exp(intercept) + 1:.0f} fit best; the "
        f"service has {MARGIN_SCALE} and {RARENESS}.\n"
        f"Where one hand in {RARENESS} makes the gesture, of the hands that get it"
    )
    weight = np.where(truth, weight / RARENESS, weight * (1 - 1 / RARENESS))
    confidence = np.array([confidence_of(value) for value in margin])
    for low, high in itertools.pairwise([0.5, 0.8, 0.95, 0.99, 1.01]):
        rows = (margin > 0) & (confidence >= low) & (confidence < high)
        share, mean = (100 * np.average(values[rows], weights=weight[rows]) for values in (truth, confidence))
        print(f"  with confidence from {low:.2f}, {rows.sum()} hands: {share:.1f} % are right, {mean:.1f} % was said")


def _print_seconds(teacher: Teacher, lessons: Mapping[Lesson, Floats]) -> None:
    hands = np.concatenate(list(lessons.values()))
    print("\nmilliseconds of CPU, median of 9")
    for count, examples in ((1, USUAL), (MAX_GESTURES, USUAL), (MAX_GESTURES, MAX_EXAMPLES)):
        taught = _many(hands, count, examples)
        to_teach = _milliseconds(partial(teacher.teach, taught))
        to_report = _milliseconds(partial(report_on, teacher, taught))
        print(f"  {count:2d} gestures of {examples:2d} examples: taught {to_teach:6.1f}, reported on {to_report:6.1f}")


def _print_frames(teacher: Teacher, lessons: Mapping[Lesson, Floats]) -> None:
    """What a stream's frames cost, as batches of 64 hands."""
    classifier, model = teacher.classifier, teacher.network
    hands = np.concatenate(list(lessons.values()))
    batch = hands[:64]
    answers = classifier.predict(batch)
    taught = {count: teacher.teach(_many(hands, count, USUAL)) for count in (1, MAX_GESTURES)}
    features = classifier.features.make(batch)
    whole = _milliseconds(partial(classifier.predict, batch))
    print("\nmicroseconds of CPU for each hand, in batches of 64, median of 9")
    print(f"  the classifier {1000 * whole / 64:.1f}, its network alone ", end="")
    print(f"{1000 * _milliseconds(lambda: model.probabilities(model.hidden(features))) / 64:.1f}")
    for count, gestures in taught.items():
        own = _milliseconds(partial(_predict_all, gestures, answers))
        print(f"  {count} taught, beside: {1000 * own / 64:.1f}")


def _predict_all(taught: TaughtGestures, answers: Predictions) -> None:
    for row in range(len(answers)):
        taught.predict(answers, row)


def _many(hands: Floats, count: int, examples: int) -> dict[str, OwnGesture]:
    return {f"gesture {n}": OwnGesture(hands[n * 30 : n * 30 + examples]) for n in range(count)}


def _milliseconds(work: Callable[[], object]) -> float:
    """Of CPU, so that a busy machine does not count."""
    seconds = []
    for _ in range(9):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return 1000 * float(np.median(seconds))


if __name__ == "__main__":
    main()
