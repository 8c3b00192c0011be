"""A neural network in two parts: its last hidden layer, and what the output layer makes of it.

The hidden layer is what gestures of a client's own are told apart by (taught.py). A batch goes through it once, for the
known gestures and for the taught ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Network:
    """The arithmetic of scikit-learn's ``MLPClassifier``, bit for bit, without the checks of its input.

    Those take six times as long as the arithmetic of one hand, and features are finite numbers of the right shape.
    """

    def __init__(self, weights: list[NDArray[Any]], biases: list[NDArray[Any]]) -> None:
        """Take the layers' weights, shape (inputs, units) each, and biases."""
        *self._hidden, self._output = zip(weights, biases, strict=True)
        self.units = len(weights[-1])

    @classmethod
    def of(cls, model: Any) -> Network | None:
        """The network of a classifier; None if it is not one of rectified linear units with a softmax output."""
        has_this_form = (
            getattr(model, "activation", None) == "relu" and getattr(model, "out_activation_", None) == "softmax"
        )
        return cls(model.coefs_, model.intercepts_) if has_this_form and len(model.coefs_) > 1 else None

    def hidden(self, features: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        """The last hidden layer's activations, shape (n, units), of features of shape (n, inputs)."""
        activations: NDArray[Any] = features
        for weights, biases in self._hidden:
            activations = activations @ weights
            activations += biases
            np.maximum(activations, 0, out=activations)
        return activations

    def probabilities(self, hidden: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        """Class probabilities, shape (n, classes), of the last hidden layer's activations."""
        weights, biases = self._output
        scores: NDArray[Any] = hidden @ weights
        scores += biases
        scores -= scores.max(axis=1)[:, np.newaxis]
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1)[:, np.newaxis]
        return scores
