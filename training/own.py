"""Trains a classifier on a user's own table: ``make train TABLE=my.csv``.

A shorter version of the bundled model's training: the same architecture, features, augmentation and synthetic hands,
with fewer epochs.
"""

from __future__ import annotations

import argparse
import io
import pickle
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import LabelEncoder
from threadpoolctl import threadpool_limits

from hand_gesture.landmarks import parse_hand, restore_shape
from hand_gesture.model.artifacts import (
    COMMANDS_FILE,
    ENCODER_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    REFERENCE_HANDS_FILE,
    ArtifactsError,
    Commands,
    Manifest,
    ReferenceHands,
    installed_versions,
    load_commands,
    load_reference_hands,
    sha256,
)
from hand_gesture.model.features import wrist_rms
from hand_gesture.model.stored_hands import STORED_HANDS_FILE, write_stored_hands
from training.data import Bools, Floats, Hands, Ints, OpenHands
from training.depth import normalize
from training.fit import Material, fit, join, make_material
from training.operating_point import MIN_CONFIDENCE, answers
from training.reference import make_reference_hands
from training.stored_set import make_stored_hands
from training.table import Size, Table, TableError, leave_out, read_table

PROJECT: Final = Path(__file__).parents[1]
BUNDLED: Final = PROJECT / "artifacts"
OUTPUT: Final = PROJECT / "build" / "my_model"
FEATURES: Final = "wrist_rms_v3"
SEED: Final = 0
NETWORKS: Final = 2
EPOCHS: Final = 24
FOLDS: Final = 5
FOLD_EPOCHS: Final = 12  # of the single network that evaluates a fold
MOST_REFERENCES: Final = 400  # rows per gesture that are considered for its reference hand
MOST_MISTAKES: Final = 8  # most frequent confusions to list

_EPILOG: Final = """\
The table is a CSV file with a header, or a JSON Lines file (.jsonl):

  x1,y1,z1,...,x21,y21,z21  the landmarks as from MediaPipe, in pixels, or normalised; z is optional
  label                     the gesture, or none (optional, but helps)
  size                      optional: width and height of the frame, 640x480; without it, or --size, hands in 0..1 are
                            distorted on frames that are not square
  person, source, recording or group
                            optional: the group for cross-validation, ideally the person

JSON Lines: {"landmarks": HAND, "label": "fist", "size": [640, 480]}, HAND in any format of POST /predict; "form" may be
"image 0..1", "pixels" or "normalised"; rows with a true "near" are not used.
"""


def main() -> None:
    """Evaluate and train a model on a table, and write its artifacts."""
    parser = argparse.ArgumentParser(
        prog="python -m training.own",
        description="Train a classifier of your own gestures from a table of hands.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("table", type=Path, help="the table, see below")
    parser.add_argument(
        "--output", type=Path, default=OUTPUT, help="output folder, for import_model.py (default: build/my_model)"
    )
    parser.add_argument("--commands", type=Path, help="JSON object from gesture to game command")
    parser.add_argument("--size", type=_size, help="width and height of the frames of rows without a size, 640x480")
    arguments = parser.parse_args()
    try:
        commands = load_commands(arguments.commands) if arguments.commands else {}
        table = read_table(arguments.table, arguments.size)
        if unknown := sorted(commands.keys() - table.classes):
            raise TableError(f"{arguments.commands} has a command for {', '.join(unknown)}, which is not in the table.")
        _describe(arguments.table, table)
        findings, network = _train(table)
        _report(table, findings)
        _write(arguments.output, network, table, commands, findings, arguments.table)
    except (TableError, ArtifactsError) as error:
        raise SystemExit(str(error)) from None
    print(f"wrote {arguments.output}")


def _size(text: str) -> Size:
    width, height = (float(part) for part in text.lower().split("x"))
    return width, height


def _describe(path: Path, table: Table) -> None:
    counts = ", ".join(f"{name} {count}" for name, count in table.counts().items() if count)
    print(f"{path}: {len(table.hands)} hands ({counts})")
    if table.left_out:
        print(f"{table.left_out} rows marked as near are not used.")
    if table.unsized:
        print(
            f"{table.unsized} hands are in 0..1 without the size of their frame; add a column size, or --size, to "
            "avoid distorted hands."
        )
    if table.groups is None:
        print(
            "There is no column person, source, recording or group. Hands of one recording are almost identical, so "
            "the accuracy below is higher than for new people."
        )


@dataclass(frozen=True)
class Findings:
    """Out-of-fold predictions; ``judged`` is the mask of hands whose gesture also occurs in the training folds."""

    given: Ints
    judged: Bools

    def figures(self, table: Table) -> dict[str, Any]:
        """Values for the manifest."""
        right = (self.given == table.hands.classes) & self.judged
        gesture = self.judged & (table.hands.classes != table.none)
        nothing = self.judged & ~gesture
        each = {
            name: round(float(right[rows].sum() / rows.sum()), 4)
            for label, name in enumerate(table.classes)
            if (rows := self.judged & (table.hands.classes == label)).any()
        }
        shares = {"gestures_right": (right, gesture), "none_answered": (self.given != table.none, nothing)}
        return {
            "left_out_by": table.grouped_by or "row",
            **{name: round(float(cases[of].mean()), 4) for name, (cases, of) in shares.items() if of.any()},
            "each_right": each,
        }


def _train(table: Table) -> tuple[Findings, MLPClassifier]:
    """Cross-validate, then train the final networks on all hands."""
    folds = list(leave_out(table, FOLDS, SEED))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # One BLAS thread: the number of threads changes the order of summation, and with it the weights
    with threadpool_limits(1), Progress(*columns) as progress:
        bar = progress.add_task("training", total=len(folds) * FOLD_EPOCHS + NETWORKS * EPOCHS)

        def advance() -> None:
            progress.advance(bar)

        given, judged = np.full(len(table.hands), table.none), np.zeros(len(table.hands), dtype=bool)
        for number, (seen, unseen) in enumerate(folds):
            progress.update(bar, description=f"evaluating {number + 1}/{len(folds)}")
            answered = _predict_unseen(table, seen, unseen, SEED + 1 + number, advance)
            if answered is None:
                progress.advance(bar, FOLD_EPOCHS)
                continue
            given[unseen] = answered
            judged[unseen] = np.isin(table.hands.classes[unseen], [*np.unique(table.hands.classes[seen]), table.none])
        progress.update(bar, description="training")
        material = _material(table.hands, table.groups, table.none)
        networks = fit(
            material, seed=SEED, networks=NETWORKS, epochs=EPOCHS, on_epoch=lambda: progress.advance(bar, NETWORKS)
        )
    return Findings(given, judged), join(networks)


def _predict_unseen(table: Table, seen: Ints, unseen: Ints, seed: int, advance: Callable[[], None]) -> Ints | None:
    """Predictions of a network trained on ``seen`` for ``unseen``; None if ``seen`` has no gestures."""
    gestures = np.setdiff1d(table.hands.classes[seen], [table.none])
    if not len(gestures):
        return None
    # The network only has the classes in its training data
    names = np.append(gestures, table.none)
    hands = Hands(table.hands.values[seen], np.searchsorted(names, table.hands.classes[seen]))
    groups = None if table.groups is None else table.groups[seen]
    (network,) = fit(
        _material(hands, groups, len(gestures)), seed=seed, networks=1, epochs=FOLD_EPOCHS, on_epoch=advance
    )
    answered: Ints = names[answers(network.predict_proba(wrist_rms(table.hands.values[unseen])))[0]]
    return answered


def _material(hands: Hands, groups: np.ndarray | None, none: int) -> Material:
    """Prepare the training data, with the bundled reference hands as additional donors of fingers."""
    is_none = hands.classes == none
    nothing = hands.take(is_none)
    names = np.full(len(nothing), "table") if groups is None else groups[is_none]
    of_none = OpenHands(nothing, np.zeros(len(nothing), dtype=bool), names, names, names, names)
    material = make_material(hands.take(~is_none), of_none, none, any_way_up=np.zeros(0, dtype=np.int64))
    return replace(material, donors=normalize(_reference_hands(), material.proportions)[0])


def _reference_hands() -> Floats:
    reference = load_reference_hands(BUNDLED)
    hands = np.array([parse_hand(hand) for hand in (*reference.hands.values(), *reference.other_side.values())])
    restore_shape(hands, reference.image_size)
    return hands


def _report(table: Table, findings: Findings) -> None:
    figures = findings.figures(table)
    unit = f"each {table.grouped_by}" if table.grouped_by else "some rows"
    if "gestures_right" not in figures:
        print(f"No evaluation: without {unit}, the remaining hands have other gestures.")
        return
    print(f"\nCross-validation, leaving out {unit}: {100 * figures['gestures_right']:.1f} % of gestures correct")
    if "none_answered" in figures:
        print(f"{100 * figures['none_answered']:.1f} % of hands labelled none are predicted as a gesture")
    for name, share in figures["each_right"].items():
        print(f"  {name:<20} {100 * share:5.1f} %")
    names = np.array(table.classes)
    wrong = findings.judged & (findings.given != table.hands.classes)
    mistakes = Counter(
        zip(names[table.hands.classes[wrong]].tolist(), names[findings.given[wrong]].tolist(), strict=True)
    )
    for (truth, answer), count in mistakes.most_common(MOST_MISTAKES):
        print(f"  {truth} predicted as {answer}: {count} times")
    if not findings.judged.all():
        missing = sorted(set(names[table.hands.classes[~findings.judged]].tolist()) - figures["each_right"].keys())
        whose = f": only one {table.grouped_by} has {', '.join(missing)}" if missing else ""
        print(f"  {(~findings.judged).sum()} hands could not be evaluated{whose}")


def _write(
    folder: Path, network: MLPClassifier, table: Table, commands: dict[str, str], findings: Findings, source: Path
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    encoder = LabelEncoder()
    encoder.classes_ = np.array(table.classes)  # the order of the network's outputs, which LabelEncoder.fit would sort
    contents = {
        MODEL_FILE: pickle.dumps(network, protocol=5),
        ENCODER_FILE: pickle.dumps(encoder, protocol=5),
        COMMANDS_FILE: Commands(commands).model_dump_json(indent=2).encode(),
        REFERENCE_HANDS_FILE: _typical_hands(table, network).model_dump_json().encode(),
        STORED_HANDS_FILE: _stored_hands(table),
    }
    counts = table.counts()
    gestures = len(table.hands) - counts["none"]
    manifest = Manifest(
        feature_contract=FEATURES,
        gestures=table.classes,
        min_confidence=MIN_CONFIDENCE,
        sha256={name: sha256(content) for name, content in contents.items()},
        versions=installed_versions(),
        training_data={
            "sha256": {source.name: sha256(source.read_bytes())},
            "rows": len(table.hands),
            "shares": {name: round(counts[name] / gestures, 4) for name in table.classes[:-1]},
        },
        figures=findings.figures(table),
    )
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=2) + "\n")


def _stored_hands(table: Table) -> bytes:
    """The stored hands for custom gestures that are added later."""
    is_none = table.hands.classes == table.none
    stored = make_stored_hands(
        table.hands.take(~is_none), table.hands.take(is_none), table.classes, donors=_reference_hands()
    )
    file = io.BytesIO()
    write_stored_hands(file, stored)
    return file.getvalue()


def _typical_hands(table: Table, network: MLPClassifier) -> ReferenceHands:
    """Reference hands: a typical hand of each gesture and side that the network predicts correctly."""
    random = np.random.default_rng(SEED)
    rows = [np.flatnonzero(table.hands.classes == label) for label in range(table.none)]
    chosen = np.concatenate([random.permutation(of_label)[:MOST_REFERENCES] for of_label in rows])
    found = make_reference_hands(table.hands.take(np.sort(chosen)), table.classes, network)

    def recognised(name: str, hand: list[list[float]]) -> bool:
        values = parse_hand(hand)[np.newaxis]
        restore_shape(values, found.image_size)
        answer: int = answers(network.predict_proba(wrist_rms(values)))[0][0]
        return table.classes[answer] == name

    sides = [
        {name: hand for name, hand in side.items() if recognised(name, hand)}
        for side in (found.hands, found.other_side)
    ]
    hands = sides[1] | sides[0]
    if not hands:
        raise TableError(
            "The model recognizes none of the gestures; check that the columns are the landmarks in MediaPipe's order, "
            "and that the labels are in the right rows."
        )
    other_side = {name: hand for name, hand in sides[1].items() if name in sides[0]}
    return ReferenceHands(image_size=found.image_size, hands=hands, other_side=other_side)


if __name__ == "__main__":
    main()
