"""Evaluates networks on sources and table rows left out of training, and on webcam frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.stats import norm
from sklearn.neighbors import NearestNeighbors
from sklearn.neural_network import MLPClassifier

from hand_gesture.landmarks import PLANAR_COUNT
from hand_gesture.model.features import wrist_rms
from training.cross_validation import VIEWS, WIDE, HeldOut
from training.data import Bools, Floats, Hands, OpenHands, WebcamFrames
from training.operating_point import answers, trade

# Rows of the public table of which ours has the hardest; see the model card
WHOLE_TABLE_ROWS: Final = 25_675
CONFIDENCE: Final = 0.95  # level of the confidence intervals
SIDE_VIEWS: Final = ("knuckles", "sideways")  # names in the files for fists that do not show the palm


@dataclass(frozen=True)
class Share:
    """A proportion with its 95 % confidence interval (Wilson) and number of cases."""

    share: float
    low: float
    high: float
    of: int

    def __str__(self) -> str:
        if not self.of:
            return "–"
        return f"{100 * self.share:.1f} % ({100 * self.low:.1f} – {100 * self.high:.1f}, {self.of})"

    def figures(self) -> dict[str, float]:
        """Values for the manifest."""
        return {"share": round(self.share, 4), "low": round(self.low, 4), "high": round(self.high, 4), "of": self.of}


def share(cases: Bools) -> Share:
    """The proportion of cases that are true."""
    return _wilson(float(cases.mean()) if len(cases) else 0.0, len(cases))


def share_by_group(cases: Bools, groups: np.ndarray) -> Share:
    """The mean of the proportions per group, so that a person with many rows counts once."""
    _, group = np.unique(groups, return_inverse=True)
    means = np.bincount(group, cases) / np.bincount(group)
    return _wilson(float(means.mean()), len(means))


def _wilson(observed: float, count: int) -> Share:
    """Wilson score interval (Wilson 1927, https://doi.org/10.2307/2276774)."""
    if not count:
        return Share(0.0, 0.0, 1.0, 0)
    z = float(norm.ppf((1 + CONFIDENCE) / 2))
    middle = (observed + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(observed * (1 - observed) / count + z**2 / (4 * count**2))
    return Share(observed, max(middle - half, 0.0), min(middle + half, 1.0), count)


@dataclass(frozen=True)
class FileResults:
    """Evaluation of the out-of-fold predictions for the hands of one file."""

    file: str
    right: Share
    right_by_group: Share
    right_without_none: Share
    by_view: dict[str, Share]
    by_gesture: dict[str, Share]
    fists_from_the_side: Share
    none_answered: Share
    none_answered_by_group: Share
    near_answered: Share
    area: float
    calibration_error: float
    alone_right: list[float]  # of each network of the ensemble separately, to show the variance
    alone_none_answered: list[float]

    def figures(self) -> dict[str, Any]:
        """Values for the manifest."""
        return {
            "gestures_right": self.right.figures(),
            "gestures_right_by_group": self.right_by_group.figures(),
            "fist_right": self.by_gesture["fist"].figures() if "fist" in self.by_gesture else None,
            "strict_none_answered": self.none_answered.figures(),
            "strict_none_answered_by_group": self.none_answered_by_group.figures(),
            "near_none_answered": self.near_answered.figures(),
            "area_under_roc": round(self.area, 4),
            "expected_calibration_error": round(self.calibration_error, 4),
        }


def evaluate_file(file: str, held_out: HeldOut, open_hands: OpenHands, classes: list[str]) -> FileResults:
    """Evaluate the predictions for one file of open hands."""
    none = len(classes) - 1
    of_file = open_hands.files == file
    labels = held_out.classes
    gesture, strict = open_hands.is_gesture(none) & of_file, open_hands.is_strictly_none(none) & of_file
    plain = held_out.probabilities["plain"]
    right = answers(plain)[0] == labels
    answered = answers(plain)[0] != none
    likeliest = plain[:, :none].argmax(axis=1) == labels
    near = open_hands.near & of_file & ~gesture
    from_the_side = gesture & np.array([any(view in what for view in SIDE_VIEWS) for what in open_hands.what])
    if "fist" in classes:
        from_the_side &= labels == classes.index("fist")
    alone = [answers(p)[0] for p in held_out.alone]
    return FileResults(
        file=file,
        right=share(right[gesture]),
        right_by_group=share_by_group(right[gesture], open_hands.groups[gesture]),
        right_without_none=share(likeliest[gesture]),
        by_view={view: share((answers(p)[0] == labels)[gesture]) for view, p in held_out.probabilities.items()},
        by_gesture={
            name: share(right[gesture & (labels == label)])
            for label, name in enumerate(classes[:none])
            if (gesture & (labels == label)).any()
        },
        fists_from_the_side=share(right[from_the_side]),
        none_answered=share(answered[strict]),
        none_answered_by_group=share_by_group(answered[strict], open_hands.groups[strict]),
        near_answered=share(answered[near]),
        area=trade(plain, open_hands, of_file).area,
        calibration_error=calibration(plain[gesture | strict], labels[gesture | strict])[0],
        alone_right=[float((given == labels)[gesture].mean()) for given in alone],
        alone_none_answered=[float((given != none)[strict].mean()) for given in alone],
    )


def evaluate_on_webcam(network: MLPClassifier, frames: WebcamFrames, classes: list[str]) -> dict[str, dict[str, Share]]:
    """Accuracy on webcam frames by view: on all undisputed frames, by gesture, and on disputed frames."""
    views = {
        "with image_size": frames.features(with_size=True),
        "without image_size": frames.features(with_size=False),
        "16:9, without image_size": frames.features(with_size=False, aspect=WIDE),
        "mirrored": frames.features(with_size=True, mirrored=True),
        "tilted +20°": frames.features(with_size=True, tilt=20),
        "tilted -20°": frames.features(with_size=True, tilt=-20),
    }
    labels, counted = frames.hands.classes, ~frames.disputed
    figures = {}
    for view, features in views.items():
        right = answers(network.predict_proba(features.astype(np.float32)))[0] == labels
        each = {classes[label]: share(right[counted & (labels == label)]) for label in np.unique(labels[counted])}
        figures[view] = {"all": share(right[counted])} | each | {"disputed": share(right[~counted])}
    return figures


def distances_from_training(
    frames: WebcamFrames, table: Hands, open_hands: OpenHands, classes: list[str]
) -> dict[str, dict[str, float]]:
    """Median distance of the frames of each gesture to the nearest training hand of each kind.

    The distance is the root mean square difference of the features.
    """
    none = len(classes) - 1
    kept = ~open_hands.near
    features = wrist_rms(np.concatenate([table.values, open_hands.hands.values[kept]]))
    labels = np.concatenate([table.classes, open_hands.hands.classes[kept]])
    shown = frames.features(with_size=True)
    distances = {}
    for label in np.unique(frames.hands.classes):
        kinds = {"its gesture": labels == label, "none": labels == none}
        kinds["another gesture"] = ~(kinds["its gesture"] | kinds["none"])
        hands = shown[frames.hands.classes == label]
        distances[classes[label]] = {
            kind: float(np.median(NearestNeighbors(n_neighbors=1).fit(features[rows]).kneighbors(hands)[0]))
            / PLANAR_COUNT**0.5
            for kind, rows in kinds.items()
        }
    return distances


def evaluate_on_table(held_out: HeldOut) -> dict[str, Share]:
    """Accuracy on the table's rows by view; ``none`` counts as wrong."""
    return {view: share(answers(held_out.probabilities[view])[0] == held_out.classes) for view in VIEWS}


def implied_whole_table_accuracy(of_table: Share) -> float:
    """Accuracy on the whole public table if all rows outside of our table are predicted correctly."""
    return 1 - (1 - of_table.share) * of_table.of / WHOLE_TABLE_ROWS


def calibration(
    probabilities: Floats, labels: np.ndarray, bins: int = 10
) -> tuple[float, list[tuple[float, float, int]]]:
    """Expected calibration error (Guo et al. 2017, https://arxiv.org/abs/1706.04599) with bins of equal width.

    Returns:
        The error, and the mean confidence, accuracy and count of each bin that is not empty.
    """
    given, confidence = answers(probabilities)
    right = given == labels
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    rows = [
        (float(confidence[bin_of == b].mean()), float(right[bin_of == b].mean()), int((bin_of == b).sum()))
        for b in np.unique(bin_of)
    ]
    error = sum(abs(mean - accuracy) * count for mean, accuracy, count in rows) / len(confidence)
    return error, rows
