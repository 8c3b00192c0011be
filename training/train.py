"""Trains the bundled classifier and writes artifacts/: ``python -m training.train``."""

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
from hand_gesture.model.stored_hands import STORED_HANDS_FILE, write_stored_hands
from training.card import Findings, write_model_card
from training.cross_validation import make_splits, predict_held_out, train
from training.data import Hands, read_open_hands, read_table, read_webcam_frames
from training.evaluate import (
    distances_from_training,
    evaluate_file,
    evaluate_on_table,
    evaluate_on_webcam,
    implied_whole_table_accuracy,
)
from training.fit import EPOCHS, NETWORKS
from training.operating_point import MIN_CONFIDENCE, choose_prior
from training.reference import make_reference_hands
from training.stored_set import make_stored_hands

PROJECT: Final = Path(__file__).parents[1]
DATA: Final = PROJECT.parent / "shared" / "data"
FEATURES: Final = "wrist_rms_v3"
ANY_WAY_UP: Final = ("fist",)  # gestures whose meaning does not depend on orientation
SEED: Final = 0  # the first one: choosing a seed by its result would overfit the evaluation
QUICK_EPOCHS: Final = 8


def main() -> None:
    """Train and evaluate the networks, and write the artifacts."""
    parser = argparse.ArgumentParser(description="Train the classifier and write artifacts/.")
    parser.add_argument(
        "--table", type=Path, default=DATA / "hagrid_hands.csv", help="63 coordinates and a label a row"
    )
    parser.add_argument(
        "--open",
        type=Path,
        nargs="+",
        default=[DATA / "open_hands.jsonl", DATA / "everyday_hands.jsonl"],
        help="hands from many sources, with and without gestures",
    )
    parser.add_argument(
        "--webcam", type=Path, default=DATA / "webcam_hands.json", help="labelled frames for the evaluation"
    )
    parser.add_argument("--out", type=Path, default=PROJECT / "artifacts", help="output folder (default: artifacts/)")
    parser.add_argument("--quick", action="store_true", help="one network and few epochs, to try a change")
    arguments = parser.parse_args()
    for path in (arguments.table, *arguments.open, arguments.webcam):
        if not path.is_file():
            raise SystemExit(f"{path} does not exist; give the paths of the data with --table, --open and --webcam.")

    table, classes = read_table(arguments.table)
    none = len(classes) - 1
    open_hands = read_open_hands(arguments.open, classes)
    frames = read_webcam_frames(arguments.webcam, classes)
    print(f"{len(table)} rows of the table, {len(open_hands.hands)} hands of {len(set(open_hands.sources))} sources")
    splits = make_splits(table, open_hands, none, seed=SEED)
    networks, epochs = (1, QUICK_EPOCHS) if arguments.quick else (NETWORKS, EPOCHS)
    any_way_up = np.flatnonzero(np.isin(classes, ANY_WAY_UP))
    network, fold_networks = train(
        table, open_hands, splits, none, any_way_up, seed=SEED, networks=networks, epochs=epochs
    )
    of_table, of_open = predict_held_out(table, open_hands, splits, fold_networks)
    prior = choose_prior(of_open.probabilities["plain"], open_hands)
    of_table, of_open = of_table.with_prior(prior), of_open.with_prior(prior)
    network.intercepts_[-1][none] += np.float32(prior)
    with threadpool_limits(1):
        findings = Findings(
            classes,
            networks,
            SEED,
            prior,
            of_table,
            of_open,
            open_hands,
            [evaluate_file(file, of_open, open_hands, classes) for file in dict.fromkeys(open_hands.files.tolist())],
            frames,
            evaluate_on_webcam(network, frames, classes),
            distances_from_training(frames, table, open_hands, classes),
        )
    figures = _figures(findings)
    print(json.dumps(figures, indent=1, ensure_ascii=False))
    stored = make_stored_hands(table, open_hands.hands.take(~open_hands.near), classes)
    write_stored_hands(arguments.out / STORED_HANDS_FILE, stored)
    data = {path.name: sha256(path.read_bytes()) for path in (arguments.table, *arguments.open)}
    _write(arguments.out, network, classes, table, figures, data)
    write_model_card(arguments.out, findings, sha256((arguments.out / MODEL_FILE).read_bytes()))
    print(f"wrote {arguments.out}")


def _figures(findings: Findings) -> dict[str, Any]:
    """Results for the manifest; the model card has more."""
    of_table = evaluate_on_table(findings.of_table)
    return {
        "none_prior_log_odds": round(findings.prior, 1),
        "operating_point": MIN_CONFIDENCE,
        "unseen_sources": {of.file: of.figures() for of in findings.files},
        "unseen_rows_of_the_table": {view: of.figures() for view, of in of_table.items()},
        "implied_whole_table_accuracy": round(implied_whole_table_accuracy(of_table["plain"]), 4),
        "webcam": {view: {name: of.figures() for name, of in row.items()} for view, row in findings.webcam.items()},
    }


def _write(
    folder: Path,
    network: MLPClassifier,
    classes: list[str],
    table: Hands,
    figures: dict[str, Any],
    data: dict[str, str],
) -> None:
    encoder = LabelEncoder()
    encoder.classes_ = np.array(classes)  # the order of the network's outputs, which LabelEncoder.fit would sort
    (folder / MODEL_FILE).write_bytes(pickle.dumps(network, protocol=5))
    (folder / ENCODER_FILE).write_bytes(pickle.dumps(encoder, protocol=5))
    reference = make_reference_hands(table, classes, network)
    (folder / REFERENCE_HANDS_FILE).write_text(reference.model_dump_json() + "\n")
    files = (MODEL_FILE, ENCODER_FILE, COMMANDS_FILE, REFERENCE_HANDS_FILE, STORED_HANDS_FILE)
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
            # Class shares of the training data, which monitoring compares with the predictions
            "shares": {name: round(counts[label] / len(table), 4) for label, name in enumerate(classes[:-1])},
        },
        figures=figures,
    )
    (folder / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=2) + "\n")


if __name__ == "__main__":
    main()
