"""Writes the model card: intended use, evaluation and known weaknesses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from training.contact_sheet import draw_contact_sheet
from training.cross_validation import VIEWS, HeldOut
from training.data import Bools, OpenHands, WebcamFrames
from training.evaluate import (
    FileResults,
    Share,
    calibration,
    evaluate_on_table,
    implied_whole_table_accuracy,
    share,
)
from training.fit import HIDDEN_LAYERS
from training.operating_point import MIN_CONFIDENCE, MOST_NONE_ANSWERED, answers, trade, with_prior

mpl.use("Agg")

_TEMPLATE: Final = Path(__file__).with_name("model_card.md.template")
_COLOURS: Final = ("#1f6f8b", "#d1495b", "#edae49", "#30638e")
_PRIORS: Final = (-1.0, -0.5, 0.0, 0.5, 1.0)  # relative to the chosen bias
_WORDS: Final = 26  # characters


@dataclass(frozen=True)
class Findings:
    """Results of the evaluation of a network."""

    classes: list[str]
    networks: int
    seed: int
    prior: float
    of_table: HeldOut
    of_open: HeldOut
    open_hands: OpenHands
    files: list[FileResults]
    frames: WebcamFrames
    webcam: dict[str, dict[str, Share]]
    distances: dict[str, dict[str, float]]

    @property
    def none(self) -> int:
        """The class of hands that make no gesture."""
        return len(self.classes) - 1

    @property
    def judged(self) -> Bools:
        """Mask of the open hands with an unambiguous label."""
        return self.open_hands.is_gesture(self.none) | self.open_hands.is_strictly_none(self.none)


def write_model_card(folder: Path, findings: Findings, digest: str) -> None:
    """Write MODEL_CARD.md and its plots to a folder."""
    _draw_trade(folder / "trade.png", findings)
    _draw_confusion(folder / "confusion.png", findings)
    _draw_reliability(folder / "reliability.png", findings)
    wrong = _draw_wrong(folder / "wrong.png", findings)
    of_table = evaluate_on_table(findings.of_table)
    files = {of.file: of for of in findings.files}
    text = Template(_TEMPLATE.read_text()).substitute(
        digest=digest,
        networks=findings.networks,
        hidden=" and ".join(map(str, HIDDEN_LAYERS)),
        frames=len(findings.frames.persons),
        persons=len(set(findings.frames.persons)),
        disputed=int(findings.frames.disputed.sum()),
        rows=len(findings.of_table.classes),
        open_rows=len(findings.of_open.classes),
        sources=len(set(findings.open_hands.sources)),
        groups=len(set(findings.open_hands.groups)),
        gestures=", ".join(findings.classes[:-1]),
        operating_point=MIN_CONFIDENCE,
        limit=f"{100 * MOST_NONE_ANSWERED:.0f} %",
        prior=f"{findings.prior:.1f}",
        seed=findings.seed,
        unseen=_unseen_table(files),
        priors=_priors_table(findings),
        each=_shares_table("gesture", {name: of.by_gesture for name, of in files.items()}, findings.classes[:-1]),
        views=_shares_table("view", {name: of.by_view for name, of in files.items()}, list(VIEWS)),
        alone=_alone_table(files),
        wrong=wrong,
        webcam=_webcam_table(findings.webcam),
        distances=_distances_table(findings.distances),
        table=_table(["view", "accuracy"], [[view, str(of)] for view, of in of_table.items()]),
        implied=f"{100 * implied_whole_table_accuracy(of_table['plain']):.1f} %",
        per_gesture=_gesture_table(findings),
    )
    (folder / "MODEL_CARD.md").write_text(text)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shares_table(name: str, files: Mapping[str, Mapping[str, Share]], keys: list[str]) -> str:
    rows = [
        [key, *(str(of[key]) if key in of else "" for of in files.values())]
        for key in keys
        if any(key in of for of in files.values())
    ]
    return _table([name, *files], rows)


def _unseen_table(files: Mapping[str, FileResults]) -> str:
    rows: dict[str, list[str]] = {
        "recall": [str(of.right) for of in files.values()],
        "recall, mean over people, clips or photographs": [str(of.right_by_group) for of in files.values()],
        "recall without the class none": [str(of.right_without_none) for of in files.values()],
        "recall of fists seen from the knuckles or the side": [str(of.fists_from_the_side) for of in files.values()],
        "false positive rate": [str(of.none_answered) for of in files.values()],
        "false positive rate, mean over people, clips or photographs": [
            str(of.none_answered_by_group) for of in files.values()
        ],
        "false positive rate of near hands": [str(of.near_answered) for of in files.values()],
        "area under the ROC curve": [f"{of.area:.4f}" for of in files.values()],
        "expected calibration error": [f"{of.calibration_error:.3f}" for of in files.values()],
    }
    return _table(["", *files], [[name, *cells] for name, cells in rows.items()])


def _priors_table(findings: Findings) -> str:
    """Results with other biases of ``none``."""
    plain, of_rows = findings.of_open.probabilities["plain"], findings.of_table.probabilities["plain"]
    gesture, strict = findings.open_hands.is_gesture(findings.none), findings.open_hands.is_strictly_none(findings.none)
    rows = []
    for shift in _PRIORS:
        given = answers(with_prior(plain, shift))[0]
        of_table = answers(with_prior(of_rows, shift))[0]
        rows.append(
            [
                f"{findings.prior + shift:.1f}",
                str(share((given != findings.none)[strict])),
                str(share((given == findings.of_open.classes)[gesture])),
                str(share(of_table == findings.of_table.classes)),
            ]
        )
    return _table(["bias", "false positive rate", "recall", "accuracy on table rows"], rows)


def _alone_table(files: Mapping[str, FileResults]) -> str:
    rows = [[name, _range(of.alone_right), _range(of.alone_none_answered)] for name, of in files.items()]
    return _table(["file", "recall", "false positive rate"], rows)


def _range(shares: list[float]) -> str:
    return f"{100 * min(shares):.1f} – {100 * max(shares):.1f} %"


def _webcam_table(figures: dict[str, dict[str, Share]]) -> str:
    labels = list(next(iter(figures.values())))
    return _table(
        ["frames", *labels], [[view, *(str(row[label]) for label in labels)] for view, row in figures.items()]
    )


def _distances_table(figures: dict[str, dict[str, float]]) -> str:
    kinds = list(next(iter(figures.values())))
    rows = [[gesture, *(f"{row[kind]:.2f}" for kind in kinds)] for gesture, row in figures.items()]
    return _table(["frames", *kinds], rows)


def _gesture_table(findings: Findings) -> str:
    given = answers(findings.of_table.probabilities["plain"])[0]
    labels = findings.of_table.classes
    precision, *_ = precision_recall_fscore_support(labels, given, labels=range(findings.none), zero_division=0)
    rows = [
        [gesture, f"{100 * precision[label]:.1f} %", str(share((given == label)[labels == label]))]
        for label, gesture in enumerate(findings.classes[:-1])
    ]
    return _table(["gesture", "precision", "recall"], rows)


def _draw_wrong(path: Path, findings: Findings) -> str:
    """Draw all misclassified hands, and list them in the same order."""
    probabilities = findings.of_open.probabilities["plain"]
    given, confidence = answers(probabilities)
    labels, hands = findings.of_open.classes, findings.open_hands
    rows = np.flatnonzero(findings.judged & (given != labels))
    rows = rows[np.lexsort((given[rows], labels[rows], labels[rows] == findings.none))]
    captions = [
        f"{number}  {findings.classes[labels[row]]} → {findings.classes[given[row]]}\n{confidence[row]:.2f}"
        for number, row in enumerate(rows, 1)
    ]
    draw_contact_sheet(path, hands.hands.values[rows], captions)
    listed = [
        [
            str(number),
            findings.classes[labels[row]],
            f"{findings.classes[given[row]]} {confidence[row]:.2f}",
            str(hands.what[row]),
            str(hands.sources[row]),
        ]
        for number, row in enumerate(rows, 1)
    ]
    return _table(["", "label", "prediction", "label of the source", "source"], listed)


def _draw_trade(path: Path, findings: Findings) -> None:
    figure, axes = plt.subplots(figsize=(6, 4.5), layout="constrained")
    for of, colour in zip(findings.files, _COLOURS, strict=False):
        curve = trade(
            findings.of_open.probabilities["plain"], findings.open_hands, findings.open_hands.files == of.file
        )
        axes.plot(100 * curve.none_answered, 100 * curve.right, color=colour, label=of.file)
        axes.plot(100 * of.none_answered.share, 100 * of.right.share, marker="o", color=colour)
    axes.axvline(100 * MOST_NONE_ANSWERED, color="grey", linestyle="--", linewidth=0.8)
    axes.set_xlabel("hands of no gesture that get one, percent")
    axes.set_ylabel("hands of a gesture that get it, percent")
    axes.set_xlim(0, 15)
    axes.set_ylim(85, 100)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    axes.set_title("Sources left out of training; the dots are the operating point")
    figure.savefig(path, dpi=90, metadata={"Software": None})
    plt.close(figure)


def _draw_confusion(path: Path, findings: Findings) -> None:
    given = answers(findings.of_table.probabilities["plain"])[0]
    labels = range(len(findings.classes))
    matrix = confusion_matrix(findings.of_table.classes, given, labels=labels, normalize="true")[:-1]
    figure, axes = plt.subplots(figsize=(9, 8), layout="constrained")
    axes.imshow(matrix, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.argwhere(matrix >= 0.005):
        value = matrix[row, column]
        color = "white" if value > 0.5 else "black"
        axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", color=color, fontsize=8)
    axes.set_xticks(range(len(findings.classes)), findings.classes, rotation=60, ha="right")
    axes.set_yticks(range(findings.none), findings.classes[:-1])
    axes.set_xlabel("answer")
    axes.set_ylabel("truth")
    axes.set_title("Rows of the table left out of training, percent of each gesture")
    figure.savefig(path, dpi=90, metadata={"Software": None})
    plt.close(figure)


def _draw_reliability(path: Path, findings: Findings) -> None:
    figure, axes = plt.subplots(figsize=(5, 4.5), layout="constrained")
    axes.plot([0, 1], [0, 1], color="grey", linestyle="--", label="perfect")
    for of, colour in zip(findings.files, _COLOURS, strict=False):
        rows = findings.judged & (findings.open_hands.files == of.file)
        error, bins = calibration(findings.of_open.probabilities["plain"][rows], findings.of_open.classes[rows])
        confidence, accuracy, count = (np.array(column) for column in zip(*bins, strict=True))
        axes.plot(confidence, accuracy, marker="o", color=colour, label=f"{of.file} (error {error:.3f})")
        for x, y, hands in zip(confidence, accuracy, count, strict=True):
            axes.annotate(f"{hands:.0f}", (x, y), textcoords="offset points", xytext=(6, -10), fontsize=7)
    axes.set_xlabel("confidence")
    axes.set_ylabel("share of right answers")
    axes.set_title("Sources left out of training")
    axes.legend()
    figure.savefig(path, dpi=90, metadata={"Software": None})
    plt.close(figure)
