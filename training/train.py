"""Trains the classifier and writes artifacts/: python -m training.train [--table CSV] [--webcam JSON]."""

from __future__ import annotations

import argparse
import json
import pickle
from pathlib import Path
from typing import Any, Final

import numpy as np
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import LabelEncoder
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from hand_gesture.landmarks import FEATURE_CONTRACT, LANDMARK_COUNT
from hand_gesture.model.artifacts import (
    COMMANDS_FILE,
    ENCODER_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    REFERENCE_HANDS_FILE,
    Manifest,
    ReferenceHands,
    installed_versions,
    sha256,
)
from training.card import write_model_card
from training.data import Hands, WebcamFrames, read_table, read_webcam_frames
from training.evaluate import HeldOut, calibration, cross_validate, implied_accuracy, judge_on_webcam
from training.fit import EPOCHS, fit

PROJECT: Final = Path(__file__).parents[1]
DATA: Final = PROJECT.parent / "shared" / "data"
SEED: Final = 0
REFERENCE_IMAGE_SIZE: Final = (640, 480)
REFERENCE_HAND_SIDE: Final = 220.0  # pixels
REFERENCE_NEIGHBOURS: Final = 25


def main() -> None:
    """Train, judge, write."""
    parser = argparse.ArgumentParser(description="Train the classifier and write artifacts/.")
    parser.add_argument("--table", type=Path, default=DATA / "hagrid_hands.csv", help="63 features and a label a row")
    parser.add_argument("--webcam", type=Path, default=DATA / "webcam_hands.json", help="labelled frames to judge by")
    parser.add_argument("--out", type=Path, default=PROJECT / "artifacts", help="folder to write (default: artifacts/)")
    arguments = parser.parse_args()
    for path in (arguments.table, arguments.webcam):
        if not path.is_file():
            raise SystemExit(f"There is no {path}; give the data's place with --table and --webcam.")

    hands, gestures = read_table(arguments.table)
    frames = read_webcam_frames(arguments.webcam, gestures)
    print(f"{len(hands)} hands of {len(gestures)} gestures; cross-validating, then training on all of them")
    held_out = cross_validate(hands, seed=SEED)
    # BLAS sums in another order on another number of threads, and then the weights differ in the last digits
    with threadpool_limits(1), tqdm(total=EPOCHS, unit="epoch") as bar:
        network = fit(hands, seed=SEED, on_epoch=lambda _: bar.update())
    figures = _figures(network, held_out, frames)
    _print_figures(figures, gestures)
    _write(arguments.out, network, gestures, hands, figures, sha256(arguments.table.read_bytes()))
    digest = sha256((arguments.out / MODEL_FILE).read_bytes())
    write_model_card(arguments.out, gestures, figures, held_out, frames, digest)
    print(f"wrote {arguments.out}")


def _figures(network: MLPClassifier, held_out: HeldOut, frames: WebcamFrames) -> dict[str, Any]:
    webcam = network.predict_proba(frames.features(with_size=True))
    figures = {
        "webcam": judge_on_webcam(network, frames),
        "webcam_expected_calibration_error": calibration(webcam, frames.hands.classes)[0],
        "held_out_accuracy": {view: held_out.accuracy(view) for view in held_out.probabilities},
        "implied_whole_table_accuracy": implied_accuracy(held_out),
        "expected_calibration_error": calibration(held_out.probabilities["plain"], held_out.hands.classes)[0],
    }
    rounded: dict[str, Any] = json.loads(json.dumps(figures), parse_float=lambda text: round(float(text), 4))
    return rounded


def _print_figures(figures: dict[str, Any], gestures: list[str]) -> None:
    print("\nwebcam frames                 all    each gesture")
    for view, row in figures["webcam"].items():
        each = ", ".join(f"{gestures[int(label)]} {100 * row[label]:.1f}" for label in row if label != "all")
        print(f"  {view:26} {100 * row['all']:5.1f}  {each}")
    print("rows not seen (5-fold cross-validation)")
    for view, accuracy in figures["held_out_accuracy"].items():
        print(f"  {view:26} {100 * accuracy:5.1f}")
    print(f"implied for the whole public table: {100 * figures['implied_whole_table_accuracy']:.1f}")
    print(
        f"expected calibration error: {figures['expected_calibration_error']:.3f} on rows not seen, "
        f"{figures['webcam_expected_calibration_error']:.3f} on webcam frames"
    )


def _write(
    folder: Path, network: MLPClassifier, gestures: list[str], hands: Hands, figures: dict[str, Any], digest: str
) -> None:
    encoder = LabelEncoder().fit(gestures)
    (folder / MODEL_FILE).write_bytes(pickle.dumps(network, protocol=5))
    (folder / ENCODER_FILE).write_bytes(pickle.dumps(encoder, protocol=5))
    reference = ReferenceHands(
        image_size=REFERENCE_IMAGE_SIZE,
        hands={gesture: _typical_hand(hands, label) for label, gesture in enumerate(gestures)},
    )
    (folder / REFERENCE_HANDS_FILE).write_text(reference.model_dump_json() + "\n")
    files = (MODEL_FILE, ENCODER_FILE, COMMANDS_FILE, REFERENCE_HANDS_FILE)
    manifest = Manifest(
        feature_contract=FEATURE_CONTRACT,
        gestures=gestures,
        sha256={name: sha256((folder / name).read_bytes()) for name in files},
        versions=installed_versions(),
        training_data={"sha256": digest, "rows": len(hands), "shares": _shares(hands, gestures)},
        figures=figures,
    )
    (folder / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=2) + "\n")


def _shares(hands: Hands, gestures: list[str]) -> dict[str, float]:
    """How frequent each gesture is: what monitoring compares the service's answers with."""
    shares = np.bincount(hands.classes, minlength=len(gestures)) / len(hands)
    return {gesture: round(float(share), 4) for gesture, share in zip(gestures, shares, strict=True)}


def _typical_hand(hands: Hands, label: int) -> list[list[float]]:
    """The mean of the hands nearest to a gesture's median, as MediaPipe would give it: 21 [x, y, z] in 0..1."""
    of_label = hands.values[hands.classes == label]
    distance = ((of_label - np.median(of_label, axis=0)) ** 2).sum(axis=1)
    points = of_label[np.argsort(distance)[:REFERENCE_NEIGHBOURS]].mean(axis=0).reshape(LANDMARK_COUNT, 3)
    xy = points[:, :2] * (REFERENCE_HAND_SIDE / np.ptp(points[:, :2], axis=0).max())
    middle = (xy.min(axis=0) + xy.max(axis=0)) / 2
    points[:, :2] = (xy - middle) / REFERENCE_IMAGE_SIZE + 0.5
    typical: list[list[float]] = points.round(6).tolist()
    return typical


if __name__ == "__main__":
    main()
