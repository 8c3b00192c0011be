"""The model card: what the model is for, how good it is and where it is not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any, Final

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from training.data import OpenHands, WebcamFrames
from training.evaluate import MIN_CONFIDENCE, HeldOut, answers, calibration, trade
from training.fit import HIDDEN_LAYERS, NETWORKS

mpl.use("Agg")

_TEMPLATE: Final = Path(__file__).with_name("model_card.md.template")
_MISTAKES: Final = 12  # kinds of hands of no gesture that are shown


@dataclass(frozen=True)
class Findings:
    """What is known of a network."""

    classes: list[str]
    figures: dict[str, Any]
    of_table: HeldOut
    of_open: HeldOut
    open_hands: OpenHands
    frames: WebcamFrames

    @property
    def none(self) -> int:
        """The class of hands that make no gesture."""
        return len(self.classes) - 1


def write_model_card(folder: Path, findings: Findings, digest: str) -> None:
    """Write MODEL_CARD.md and its pictures into a folder."""
    _draw_trade(folder / "trade.png", findings)
    _draw_confusion(folder / "confusion.png", findings)
    _draw_reliability(folder / "reliability.png", findings)
    unseen = findings.figures["unseen_sources"]
    text = Template(_TEMPLATE.read_text()).substitute(
        digest=digest,
        networks=NETWORKS,
        hidden=" and ".join(map(str, HIDDEN_LAYERS)),
        frames=len(findings.frames.persons),
        persons=len(set(findings.frames.persons)),
        rows=len(findings.of_table.classes),
        open_rows=len(findings.of_open.classes),
        sources=len(set(findings.open_hands.sources)),
        groups=len(set(findings.open_hands.groups)),
        gestures=", ".join(findings.classes[:-1]),
        operating_point=MIN_CONFIDENCE,
        unseen=_unseen_table(unseen),
        each=_table(["gesture", "right"], [[name, _percent(v)] for name, v in unseen["each_gesture_right"].items()]),
        views=_shares_table("view", unseen["gestures_right"]),
        mistakes=_mistakes_table(findings),
        webcam=_webcam_table(findings.figures["webcam"]),
        distances=_distances_table(findings.figures["webcam_distances_from_training"]),
        table=_shares_table("view", findings.figures["unseen_rows_of_the_table"]),
        implied=_percent(findings.figures["implied_whole_table_accuracy"]),
        calibration=f"{unseen['expected_calibration_error']:.3f}",
        per_gesture=_gesture_table(findings),
    )
    (folder / "MODEL_CARD.md").write_text(text)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shares_table(name: str, shares: dict[str, float]) -> str:
    return _table([name, "right"], [[view, _percent(share)] for view, share in shares.items()])


def _unseen_table(unseen: dict[str, Any]) -> str:
    rows = [
        ["hands of a gesture that get it", _percent(unseen["gestures_right"]["plain"])],
        ["the same, each person, clip or photograph counted once", _percent(unseen["gestures_right_by_group"])],
        ["the same, were none not possible", _percent(unseen["gestures_right_were_none_not_possible"])],
        ["hands of no gesture that get one", _percent(unseen["strict_none_answered"])],
        ["the same, each person, clip or photograph counted once", _percent(unseen["strict_none_answered_by_group"])],
        ["hands of no gesture, near to one, that get one", _percent(unseen["near_none_answered"])],
        ["area under the ROC curve", f"{unseen['area_under_roc']:.4f}"],
    ]
    return _table(["", ""], rows)


def _webcam_table(figures: dict[str, dict[str, float]]) -> str:
    labels = list(next(iter(figures.values())))
    return _table(
        ["frames", *labels], [[view, *(_percent(row[label]) for label in labels)] for view, row in figures.items()]
    )


def _distances_table(figures: dict[str, dict[str, float]]) -> str:
    kinds = list(next(iter(figures.values())))
    rows = [[gesture, *(f"{row[kind]:.2f}" for kind in kinds)] for gesture, row in figures.items()]
    return _table(["frames", *kinds], rows)


def _mistakes_table(findings: Findings) -> str:
    given = answers(findings.of_open.probabilities["plain"])[0]
    wrong = findings.open_hands.is_strictly_none(findings.none) & (given != findings.none)
    kinds = zip(findings.open_hands.what[wrong], given[wrong], strict=True)
    counts = Counter((str(what), findings.classes[answer]) for what, answer in kinds)
    refused = findings.open_hands.is_gesture(findings.none) & (given == findings.none)
    refusals = Counter(findings.classes[label] for label in findings.of_open.classes[refused])
    rows = [[what, answer, str(count)] for (what, answer), count in counts.most_common(_MISTAKES)]
    rows += [[f"a hand that makes {name}", "none", str(count)] for name, count in refusals.most_common(_MISTAKES)]
    return _table(["the hand", "answer", "hands"], rows)


def _gesture_table(findings: Findings) -> str:
    given = answers(findings.of_table.probabilities["plain"])[0]
    scores = precision_recall_fscore_support(
        findings.of_table.classes, given, labels=range(findings.none), zero_division=0
    )
    rows = [
        [gesture, _percent(precision), _percent(recall), _percent(f1), str(count)]
        for gesture, precision, recall, f1, count in zip(findings.classes[:-1], *scores, strict=True)
    ]
    return _table(["gesture", "precision", "recall", "F1", "rows"], rows)


def _draw_trade(path: Path, findings: Findings) -> None:
    curve = trade(findings.of_open, findings.open_hands)
    unseen = findings.figures["unseen_sources"]
    figure, axes = plt.subplots(figsize=(6, 4.5), layout="constrained")
    axes.plot(100 * curve.none_answered, 100 * curve.right, color="#1f6f8b")
    chosen = 100 * unseen["strict_none_answered"], 100 * unseen["gestures_right"]["plain"]
    axes.plot(*chosen, marker="o", color="#d1495b")
    axes.annotate("operating point", chosen, (8, -14), textcoords="offset points")
    axes.set_xlabel("hands of no gesture that get one, percent")
    axes.set_ylabel("hands of a gesture that get it, percent")
    axes.set_xlim(0, 30)
    axes.set_ylim(80, 100)
    axes.grid(alpha=0.3)
    axes.set_title("Sources that the network has not seen")
    figure.savefig(path, dpi=90, metadata={"Software": None})
    plt.close(figure)


def _draw_confusion(path: Path, findings: Findings) -> None:
    given = answers(findings.of_table.probabilities["plain"])[0]
    labels = range(len(findings.classes))
    matrix = confusion_matrix(findings.of_table.classes, given, labels=labels, normalize="true")[:-1]
    figure, axes = plt.subplots(figsize=(9, 8), layout="constrained")
    axes.imshow(matrix, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.argwhere(matrix >= 0.005):
        share = matrix[row, column]
        color = "white" if share > 0.5 else "black"
        axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=color, fontsize=8)
    axes.set_xticks(range(len(findings.classes)), findings.classes, rotation=60, ha="right")
    axes.set_yticks(range(findings.none), findings.classes[:-1])
    axes.set_xlabel("answer")
    axes.set_ylabel("truth")
    axes.set_title("Rows of the table that the network has not seen, percent of each gesture")
    figure.savefig(path, dpi=90, metadata={"Software": None})
    plt.close(figure)


def _draw_reliability(path: Path, findings: Findings) -> None:
    judged = ~findings.open_hands.near
    error, bins = calibration(findings.of_open.probabilities["plain"][judged], findings.of_open.classes[judged])
    confidence, accuracy, count = (np.array(column) for column in zip(*bins, strict=True))
    figure, axes = plt.subplots(figsize=(5, 4.5), layout="constrained")
    axes.plot([0, 1], [0, 1], color="grey", linestyle="--", label="perfect")
    axes.plot(confidence, accuracy, marker="o", label=f"measured (error {error:.3f})")
    for x, y, rows in zip(confidence, accuracy, count, strict=True):
        axes.annotate(str(rows), (x, y), textcoords="offset points", xytext=(6, -10), fontsize=7)
    axes.set_xlabel("confidence")
    axes.set_ylabel("share of right answers")
    axes.set_title("Sources that the network has not seen")
    axes.legend()
    figure.savefig(path, dpi=90, metadata={"Software": None})
    plt.close(figure)
