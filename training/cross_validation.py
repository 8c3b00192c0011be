"""Cross-validation: trains the final networks on all data, and those of each fold without some sources and rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from joblib import Parallel, delayed
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from hand_gesture.model.features import wrist_rms
from training.data import Bools, Floats, Hands, Ints, OpenHands, transform
from training.fit import fit, join, make_material
from training.operating_point import with_prior

FOLDS: Final = 5
WIDE: Final = 16 / 9

VIEWS: Final[dict[str, Callable[[Floats], Floats]]] = {
    "plain": lambda hands: hands,
    "mirrored": lambda hands: transform(hands, mirrored=True),
    "tilted +20°": lambda hands: transform(hands, tilt=np.radians(20)),
    "tilted -20°": lambda hands: transform(hands, tilt=np.radians(-20)),
    "squeezed 16:9": lambda hands: transform(hands, squeeze=1 / WIDE),
}


@dataclass(frozen=True)
class HeldOut:
    """Out-of-fold class probabilities of hands, shape (n, classes), by view.

    ``alone`` has those of the plain view for each network of the ensemble separately.
    """

    classes: Ints
    probabilities: dict[str, Floats]
    alone: list[Floats]

    def with_prior(self, prior: float) -> HeldOut:
        """The same with a higher prior of ``none``; see ``operating_point.with_prior``."""
        return HeldOut(
            self.classes,
            {view: with_prior(p, prior) for view, p in self.probabilities.items()},
            [with_prior(p, prior) for p in self.alone],
        )


@dataclass(frozen=True)
class Split:
    """Masks of the hands that one fold leaves out of training."""

    rows: Bools  # of the table
    hands: Bools  # of the open hands


def make_splits(table: Hands, open_hands: OpenHands, none: int, *, seed: int) -> list[Split]:
    """Split into folds: the table by row, stratified by class, and the open hands by source."""
    fold_of_hand = _fold_of_sources(open_hands, none)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(table.values, table.classes)
    splits = []
    for fold, (_, left_out) in enumerate(folds):
        rows = np.zeros(len(table), dtype=bool)
        rows[left_out] = True
        splits.append(Split(rows, fold_of_hand == fold))
    return splits


def train(
    table: Hands,
    open_hands: OpenHands,
    splits: Sequence[Split],
    none: int,
    any_way_up: Ints,
    *,
    seed: int,
    networks: int,
    epochs: int,
) -> tuple[MLPClassifier, list[list[MLPClassifier]]]:
    """Train networks on all data and on each split, in parallel, with progress bars.

    Returns:
        The ensemble trained on all data, and the networks of each split.
    """
    nothing = Split(np.zeros(len(table), dtype=bool), np.zeros(len(open_hands.hands), dtype=bool))

    def run(part: int, split: Split) -> list[MLPClassifier]:
        material = make_material(table.take(~split.rows), open_hands.take(~split.hands), none, any_way_up)
        # One BLAS thread: the number of threads changes the order of summation, and with it the weights
        bar = tqdm(total=epochs, desc=f"training {part + 1}", unit="epoch", position=part, mininterval=1)
        with threadpool_limits(1), bar:
            return fit(material, seed=seed + part, networks=networks, epochs=epochs, on_epoch=bar.update)

    on_all, *of_folds = Parallel(n_jobs=-1)(delayed(run)(*job) for job in enumerate((nothing, *splits)))
    return join(on_all), of_folds


def predict_held_out(
    table: Hands, open_hands: OpenHands, splits: Sequence[Split], networks: Sequence[list[MLPClassifier]]
) -> tuple[HeldOut, HeldOut]:
    """Out-of-fold predictions for the table's rows and the open hands."""

    def answer(hands: Hands, left_out: Sequence[Bools]) -> HeldOut:
        width = len(networks[0][0].classes_)
        probabilities = {view: np.empty((len(hands), width)) for view in VIEWS}
        alone = [np.empty((len(hands), width)) for _ in networks[0]]
        for rows, trained in zip(left_out, networks, strict=True):
            together = join(trained)
            for view, change in VIEWS.items():
                probabilities[view][rows] = together.predict_proba(wrist_rms(change(hands.values[rows])))
            for network, of_network in zip(trained, alone, strict=True):
                of_network[rows] = network.predict_proba(wrist_rms(hands.values[rows]))
        return HeldOut(hands.classes, probabilities, alone)

    with threadpool_limits(1):
        return (
            answer(table, [split.rows for split in splits]),
            answer(open_hands.hands, [split.hands for split in splits]),
        )


def _fold_of_sources(open_hands: OpenHands, none: int) -> Ints:
    """Assign sources to folds so that hands with and without a gesture are balanced; returns the fold of each hand."""
    kinds = np.stack([open_hands.is_gesture(none), open_hands.is_strictly_none(none)])
    shares = kinds / kinds.sum(axis=1, keepdims=True)
    load = np.zeros((FOLDS, 2))
    folds = np.empty(len(open_hands.hands), dtype=np.int64)
    names, counts = np.unique(open_hands.sources, return_counts=True)
    for name in names[np.argsort(-counts, kind="stable")]:
        rows = open_hands.sources == name
        after = load + shares[:, rows].sum(axis=1)
        fold = int((after.max(axis=1) + 0.3 * after.sum(axis=1)).argmin())
        load[fold] = after[fold]
        folds[rows] = fold
    return folds
