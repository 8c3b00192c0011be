"""Draws misclassified hands as skeletons, to tell errors of the network from wrong labels."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from hand_gesture.landmarks import LANDMARK_COUNT, WRIST
from training.data import Floats
from training.depth import FINGERS

mpl.use("Agg")

_COLUMNS: Final = 8
_SIDE: Final = 1.35  # inches per hand
_COLOURS: Final = ("#d1495b", "#edae49", "#00798c", "#30638e", "#7d5ba6")  # thumb to pinky
_PALM: Final = (0, 5, 9, 13, 17, 0)


def draw_contact_sheet(path: Path, hands: Floats, captions: list[str]) -> None:
    """Draw hands, shape (n, 63), as skeletons with captions of two lines.

    Thumbs are red, the other fingers yellow, green, blue and violet.
    """
    rows = max(1, -(-len(hands) // _COLUMNS))
    figure, axes = plt.subplots(rows, _COLUMNS, figsize=(_COLUMNS * _SIDE, rows * (_SIDE + 0.35)), layout="constrained")
    for axis in np.ravel(axes):
        axis.set_axis_off()
    for axis, hand, caption in zip(np.ravel(axes), hands, captions, strict=False):
        points = hand.reshape(LANDMARK_COUNT, 3)[:, :2]
        axis.plot(*points[list(_PALM)].T, color="#999999", linewidth=1)
        for finger, colour in zip(FINGERS, _COLOURS, strict=True):
            axis.plot(*points[finger].T, color=colour, linewidth=1.6)
        axis.plot(*points[WRIST], marker="o", color="black", markersize=3)
        axis.set_aspect("equal")
        axis.invert_yaxis()  # y grows downwards in images
        axis.margins(0.08)
        axis.set_title(caption, fontsize=6, pad=2)
    figure.savefig(path, dpi=80, metadata={"Software": None})
    plt.close(figure)
