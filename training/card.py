"""The model card: what the model is for, how good it is and where it is not."""

from __future__ import annotations

from pathlib import Path
from string import Template
from typing import Any, Final

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from training.data import WebcamFrames
from training.evaluate import HeldOut, calibration

mpl.use("Agg")

_TEMPLATE: Final = Path(__file__).with_name("model_card.md.template")


def write_model_card(
    folder: Path, gestures: list[str], figures: dict[str, Any], held_out: HeldOut, frames: WebcamFrames, digest: str
) -> None:
    """Write MODEL_CARD.md and its two pictures into a folder."""
    _draw_confusion(folder / "confusion.png", gestures, held_out)
    _draw_reliability(folder / "reliability.png", held_out)
    text = Template(_TEMPLATE.read_text()).substitute(
        digest=digest,
        frames=len(frames.persons),
        persons=len(set(frames.persons)),
        rows=len(held_out.hands),
        gestures=", ".join(gestures),
        webcam=_webcam_table(figures["webcam"], gestures),
        held_out=_held_out_table(figures["held_out_accuracy"]),
        implied=_percent(figures["implied_whole_table_accuracy"]),
        calibration=f"{figures['expected_calibration_error']:.3f}",
        webcam_calibration=f"{figures['webcam_expected_calibration_error']:.3f}",
        per_gesture=_gesture_table(gestures, held_out),
    )
    (folder / "MODEL_CARD.md").write_text(text)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _webcam_table(figures: dict[str, dict[str, float]], gestures: list[str]) -> str:
    labels = [label for label in next(iter(figures.values())) if label != "all"]
    head = ["frames", "all", *(gestures[int(label)] for label in labels)]
    return _table(
        head, [[view, *(_percent(row[label]) for label in ("all", *labels))] for view, row in figures.items()]
    )


def _held_out_table(accuracies: dict[str, float]) -> str:
    return _table(["rows", "accuracy"], [[view, _percent(accuracy)] for view, accuracy in accuracies.items()])


def _gesture_table(gestures: list[str], held_out: HeldOut) -> str:
    answers = held_out.probabilities["plain"].argmax(axis=1)
    scores = precision_recall_fscore_support(held_out.hands.classes, answers, labels=range(len(gestures)))
    rows = [
        [gesture, _percent(precision), _percent(recall), _percent(f1), str(count)]
        for gesture, precision, recall, f1, count in zip(gestures, *scores, strict=True)
    ]
    return _table(["gesture", "precision", "recall", "F1", "rows"], rows)


def _draw_confusion(path: Path, gestures: list[str], held_out: HeldOut) -> None:
    matrix = confusion_matrix(held_out.hands.classes, held_out.probabilities["plain"].argmax(axis=1), normalize="true")
    figure, axes = plt.subplots(figsize=(9, 8), layout="constrained")
    axes.imshow(matrix, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.argwhere(matrix >= 0.005):
        share = matrix[row, column]
        axes.text(
            column,
            row,
            f"{100 * share:.0f}",
            ha="center",
            va="center",
            color="white" if share > 0.5 else "black",
            fontsize=8,
        )
    axes.set_xticks(range(len(gestures)), gestures, rotation=60, ha="right")
    axes.set_yticks(range(len(gestures)), gestures)
    axes.set_xlabel("answer")
    axes.set_ylabel("truth")
    axes.set_title("Rows that the network has not seen, percent of each gesture")
    figure.savefig(path, dpi=90, metadata={"Software": None})
    plt.close(figure)


def _draw_reliability(path: Path, held_out: HeldOut) -> None:
    error, bins = calibration(held_out.probabilities["plain"], held_out.hands.classes)
    confidence, accuracy, count = (np.array(column) for column in zip(*bins, strict=True))
    figure, axes = plt.subplots(figsize=(5, 4.5), layout="constrained")
    axes.plot([0, 1], [0, 1], color="grey", linestyle="--", label="perfect")
    axes.plot(confidence, accuracy, marker="o", label=f"measured (error {error:.3f})")
    for x, y, rows in zip(confidence, accuracy, count, strict=True):
        axes.annotate(str(rows), (x, y), textcoords="offset points", xytext=(6, -10), fontsize=7)
    axes.set_xlabel("confidence")
    axes.set_ylabel("share of right answers")
    axes.set_title("Rows that the network has not seen")
    axes.legend()
    figure.savefig(path, dpi=90, metadata={"Software": None})
    plt.close(figure)
