"""Trains the classifier and writes artifacts/: python -m training.train; --help lists where the data may be."""

from __future__ import annotations

import argparse
import json
import pickle
from collections import Counter
from pathlib import Path
from typing import Any, Final

import numpy as np
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import LabelEncoder
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from hand_gesture.model.artifacts import (
    COMMANDS_FILE,
    ENCODER_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    REFERENCE_HANDS_FILE,
    Manifest,
    installed_versions,
    sha256,
)
from training.card import Findings, write_model_card
from training.data import Hands, OpenHands, WebcamFrames, read_open_hands, read_table, read_webcam_frames
from training.evaluate import (
    MIN_CONFIDENCE,
    WHOLE_TABLE_ROWS,
    HeldOut,
    answers,
    by_group,
    calibration,
    choose_prior,
    cross_validate,
    distances_from_training,
    judge_on_webcam,
    make_material,
    trade,
)
from training.fit import EPOCHS, NETWORKS, fit
from training.reference import make_reference_hands

PROJECT: Final = Path(__file__).parents[1]
DATA: Final = PROJECT.parent / "shared" / "data"
FEATURES: Final = "wrist_rms_v3"
SEED: Final = 0
LEAST_ROWS: Final = 20  # for a gesture to be judged by itself


def main() -> None:
    """Train, judge, write."""
    parser = argparse.ArgumentParser(description="Train the classifier and write artifacts/.")
    parser.add_argument(
        "--table", type=Path, default=DATA / "hagrid_hands.csv", help="63 coordinates and a label a row"
    )
    parser.add_argument("--open", type=Path, default=DATA / "open_hands.jsonl", help="hands of many sources, some none")
    parser.add_argument("--webcam", type=Path, default=DATA / "webcam_hands.json", help="labelled frames to judge by")
    parser.add_argument("--out", type=Path, default=PROJECT / "artifacts", help="folder to write (default: artifacts/)")
    arguments = parser.parse_args()
    for path in (arguments.table, arguments.open, arguments.webcam):
        if not path.is_file():
            raise SystemExit(f"There is no {path}; give the data's places with --table, --open and --webcam.")

    table, classes = read_table(arguments.table)
    open_hands = read_open_hands(arguments.open, classes)
    frames = read_webcam_frames(arguments.webcam, classes)
    sources = len(set(open_hands.sources))
    print(f"{len(table)} rows of the table, {len(open_hands.hands)} hands of {sources} sources; leaving parts out")
    of_table, of_open = cross_validate(table, open_hands, classes, seed=SEED)
    prior = choose_prior(of_open, open_hands)
    of_table, of_open = of_table.with_prior(prior), of_open.with_prior(prior)
    print("training on all of them")
    material = make_material(table, open_hands, np.ones(len(open_hands.hands), dtype=bool), classes)
    # BLAS sums in another order on another number of threads, and then the weights differ in the last digits
    with threadpool_limits(1), tqdm(total=NETWORKS * EPOCHS, unit="epoch") as bar:
        network = fit(material, seed=SEED, on_epoch=bar.update)
        network.intercepts_[-1][material.none] += np.float32(prior)
        judged = _figures(network, of_table, of_open, table, open_hands, frames, classes)
    figures = {"none_prior_log_odds": prior} | judged
    print(json.dumps(figures, indent=1, ensure_ascii=False))
    data = {path.name: sha256(path.read_bytes()) for path in (arguments.table, arguments.open)}
    _write(arguments.out, network, classes, table, figures, data)
    digest = sha256((arguments.out / MODEL_FILE).read_bytes())
    findings = Findings(classes, figures, of_table, of_open, open_hands, frames)
    write_model_card(arguments.out, findings, digest)
    print(f"wrote {arguments.out}")


def _figures(
    network: MLPClassifier,
    of_table: HeldOut,
    of_open: HeldOut,
    table: Hands,
    open_hands: OpenHands,
    frames: WebcamFrames,
    classes: list[str],
) -> dict[str, Any]:
    none = len(classes) - 1
    gesture, strict = open_hands.is_gesture(none), open_hands.is_strictly_none(none)
    given = {view: answers(probabilities)[0] for view, probabilities in of_open.probabilities.items()}
    right = given["plain"] == of_open.classes
    answered = given["plain"] != none
    likeliest = of_open.probabilities["plain"][:, :none].argmax(axis=1) == of_open.classes
    table_right = {
        view: float((answers(probabilities)[0] == of_table.classes).mean())
        for view, probabilities in of_table.probabilities.items()
    }
    judged = gesture | strict
    figures = {
        "operating_point": MIN_CONFIDENCE,
        "unseen_sources": {
            "area_under_roc": trade(of_open, open_hands).area,
            "gestures_right": {view: float((row == of_open.classes)[gesture].mean()) for view, row in given.items()},
            "gestures_right_by_group": by_group(right[gesture], open_hands.groups[gesture]),
            "gestures_right_were_none_not_possible": float(likeliest[gesture].mean()),
            "each_gesture_right": {
                name: float(right[of_open.classes == label].mean())
                for label, name in enumerate(classes[:none])
                if (of_open.classes == label).sum() >= LEAST_ROWS
            },
            "strict_none_answered": float(answered[strict].mean()),
            "strict_none_answered_by_group": by_group(answered[strict], open_hands.groups[strict]),
            "near_none_answered": float(answered[open_hands.near].mean()),
            "expected_calibration_error": calibration(of_open.probabilities["plain"][judged], of_open.classes[judged])[
                0
            ],
        },
        "unseen_rows_of_the_table": table_right,
        "implied_whole_table_accuracy": 1 - (1 - table_right["plain"]) * len(of_table.classes) / WHOLE_TABLE_ROWS,
        "webcam": judge_on_webcam(network, frames, classes),
        "webcam_distances_from_training": distances_from_training(frames, table, open_hands, classes),
    }
    rounded: dict[str, Any] = json.loads(json.dumps(figures), parse_float=lambda text: round(float(text), 4))
    return rounded


def _write(
    folder: Path,
    network: MLPClassifier,
    classes: list[str],
    table: Hands,
    figures: dict[str, Any],
    data: dict[str, str],
) -> None:
    encoder = LabelEncoder()
    encoder.classes_ = np.array(classes)  # as the network has them: the gestures in order, then none
    (folder / MODEL_FILE).write_bytes(pickle.dumps(network, protocol=5))
    (folder / ENCODER_FILE).write_bytes(pickle.dumps(encoder, protocol=5))
    reference = make_reference_hands(table, classes, network)
    (folder / REFERENCE_HANDS_FILE).write_text(reference.model_dump_json() + "\n")
    files = (MODEL_FILE, ENCODER_FILE, COMMANDS_FILE, REFERENCE_HANDS_FILE)
    counts = Counter(table.classes.tolist())
    manifest = Manifest(
        feature_contract=FEATURES,
        gestures=classes,
        min_confidence=MIN_CONFIDENCE,
        sha256={name: sha256((folder / name).read_bytes()) for name in files},
        versions=installed_versions(),
        training_data={
            "sha256": data,
            "rows": len(table),
            # How frequent each gesture is: what monitoring compares the service's answers with
            "shares": {name: round(counts[label] / len(table), 4) for label, name in enumerate(classes[:-1])},
        },
        figures=figures,
    )
    (folder / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=2) + "\n")


if __name__ == "__main__":
    main()
