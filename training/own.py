"""Trains a classifier of somebody's own gestures from one table: make train TABLE=my.csv.

The recipe is the bundled model's, shortened: networks of the same shape and features, hands that are seen tilted,
turned and squeezed, and hands of no gesture put together from fingers.
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
JUDGE_EPOCHS: Final = 12  # of one network for each fold
MOST_REFERENCES: Final = 400  # rows of a gesture among which a typical hand is looked for
MOST_MISTAKES: Final = 8  # kinds that are listed

_EPILOG: Final = """\
The table is a CSV with a line of column names, or JSON lines (.jsonl):

  x1,y1,z1,...,x21,y21,z21  the hand's landmarks as MediaPipe gives them, in pixels, or normalised; z may be left out
  label                     the gesture; none for hands that make none (they help, but are not needed)
  size                      optional: the frame's width and height, 640x480; without it, or --size, hands in 0..1 keep
                            the shape that the frame gave them
  person, source, recording or group
                            optional: whose hand it is; the model is then judged on people that it has not seen

In JSON lines: {"landmarks": HAND, "label": "fist", "size": [640, 480]}, HAND in any form that POST /predict takes;
"form" may say "image 0..1", "pixels" or "normalised"; rows with a true "near" are left out.
"""


def main() -> None:
    """Read, judge, train, write."""
    parser = argparse.ArgumentParser(
        prog="python -m training.own",
        description="Train a classifier of your own gestures from a table of hands.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("table", type=Path, help="the table, see below")
    parser.add_argument(
        "--output", type=Path, default=OUTPUT, help="folder to write, for import_model.py (default: build/my_model)"
    )
    parser.add_argument("--commands", type=Path, help="your table from gesture to command (JSON); default: none")
    parser.add_argument("--size", type=_size, help="width and height of frames whose rows do not tell, as 640x480")
    arguments = parser.parse_args()
    try:
        commands = load_commands(arguments.commands) if arguments.commands else {}
        table = read_table(arguments.table, arguments.size)
        if unknown := sorted(commands.keys() - table.classes):
            raise TableError(
                f"{arguments.commands} has a command for {', '.join(unknown)}, but the table has no such hand."
            )
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
        print(f"{table.left_out} rows are left out, because they are marked as near to a gesture.")
    if table.unsized:
        print(
            f"{table.unsized} hands are in 0..1 of a frame whose size is not known; with a column size, or --size, the "
            "model would learn their true shape."
        )
    if table.groups is None:
        print(
            "No column person, source, recording or group says whose hands they are. Hands of one recording are alike, "
            "so the share below will be higher than what other people get."
        )


@dataclass(frozen=True)
class Findings:
    """Answers for hands that were left out of training; ``judged`` are those whose gesture others have shown, too."""

    given: Ints
    judged: Bools

    def figures(self, table: Table) -> dict[str, Any]:
        """For the manifest."""
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
    """Judge networks on hands that they have not seen, and train those that see all."""
    folds = list(leave_out(table, FOLDS, SEED))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # BLAS sums in another order on another number of threads, and then the weights differ in the last digits
    with threadpool_limits(1), Progress(*columns) as progress:
        bar = progress.add_task("training", total=len(folds) * JUDGE_EPOCHS + NETWORKS * EPOCHS)

        def advance() -> None:
            progress.advance(bar)

        given, judged = np.full(len(table.hands), table.none), np.zeros(len(table.hands), dtype=bool)
        for number, (seen, unseen) in enumerate(folds):
            progress.update(bar, description=f"judging {number + 1}/{len(folds)}")
            answered = _judge(table, seen, unseen, SEED + 1 + number, advance)
            if answered is None:
                progress.advance(bar, JUDGE_EPOCHS)
                continue
            given[unseen] = answered
            judged[unseen] = np.isin(table.hands.classes[unseen], [*np.unique(table.hands.classes[seen]), table.none])
        progress.update(bar, description="training")
        material = _material(table.hands, table.groups, table.none)
        networks = fit(
            material, seed=SEED, networks=NETWORKS, epochs=EPOCHS, on_epoch=lambda: progress.advance(bar, NETWORKS)
        )
    return Findings(given, judged), join(networks)


def _judge(table: Table, seen: Ints, unseen: Ints, seed: int, advance: Callable[[], None]) -> Ints | None:
    """What a network that saw some of the hands answers for others; None where it saw no gesture."""
    gestures = np.setdiff1d(table.hands.classes[seen], [table.none])
    if not len(gestures):
        return None
    # Its classes are those that it has seen
    names = np.append(gestures, table.none)
    hands = Hands(table.hands.values[seen], np.searchsorted(names, table.hands.classes[seen]))
    groups = None if table.groups is None else table.groups[seen]
    (network,) = fit(
        _material(hands, groups, len(gestures)), seed=seed, networks=1, epochs=JUDGE_EPOCHS, on_epoch=advance
    )
    answered: Ints = names[answers(network.predict_proba(wrist_rms(table.hands.values[unseen])))[0]]
    return answered


def _material(hands: Hands, groups: np.ndarray | None, none: int) -> Material:
    """What networks learn from: hands of gestures, hands of none, and fingers of the bundled reference hands."""
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
        print(f"Nothing could be judged: what is left when {unit} is left out shows other gestures.")
        return
    print(f"\nWith {unit} left out of training: {100 * figures['gestures_right']:.1f} % of gestures right")
    if "none_answered" in figures:
        print(f"{100 * figures['none_answered']:.1f} % of the hands of no gesture get one")
    for name, share in figures["each_right"].items():
        print(f"  {name:<20} {100 * share:5.1f} %")
    names = np.array(table.classes)
    wrong = findings.judged & (findings.given != table.hands.classes)
    mistakes = Counter(
        zip(names[table.hands.classes[wrong]].tolist(), names[findings.given[wrong]].tolist(), strict=True)
    )
    for (truth, answer), count in mistakes.most_common(MOST_MISTAKES):
        print(f"  {truth} was taken for {answer} {count} times")
    if not findings.judged.all():
        missing = sorted(set(names[table.hands.classes[~findings.judged]].tolist()) - figures["each_right"].keys())
        whose = f": only one {table.grouped_by} shows {', '.join(missing)}" if missing else ""
        print(f"  {(~findings.judged).sum()} hands could not be judged{whose}")


def _write(
    folder: Path, network: MLPClassifier, table: Table, commands: dict[str, str], findings: Findings, source: Path
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    encoder = LabelEncoder()
    encoder.classes_ = np.array(table.classes)  # as the network has them: the gestures in order, then none
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
    """What gestures that are taught to the model later are told apart from."""
    is_none = table.hands.classes == table.none
    stored = make_stored_hands(
        table.hands.take(~is_none), table.hands.take(is_none), table.classes, donors=_reference_hands()
    )
    file = io.BytesIO()
    write_stored_hands(file, stored)
    return file.getvalue()


def _typical_hands(table: Table, network: MLPClassifier) -> ReferenceHands:
    """A typical hand of each gesture and side, where the network takes it for this gesture."""
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
            "The model tells none of the gestures apart; check that the columns are the landmarks in MediaPipe's order "
            "and that the labels belong to their rows."
        )
    other_side = {name: hand for name, hand in sides[1].items() if name in sides[0]}
    return ReferenceHands(image_size=found.image_size, hands=hands, other_side=other_side)


if __name__ == "__main__":
    main()
