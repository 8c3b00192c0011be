"""The forward pass of a neural network in two parts: up to the last hidden layer, and the output layer.

Custom gestures (taught.py) are predicted from the last hidden layer, which is computed once for them and for the known
gestures.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Network:
    """The forward pass of scikit-learn's ``MLPClassifier`` with bit-identical results, without its input validation.

    The validation takes six times as long as the arithmetic for one hand, and the features are already validated.
    """

    def __init__(self, weights: list[NDArray[Any]], biases: list[NDArray[Any]]) -> None:
        """Create a network from the weights, shape (inputs, units), and biases, shape (units,), of its layers."""
        *self._hidden, self._output = zip(weights, biases, strict=True)
        self.units = len(weights[-1])

    @classmethod
    def of(cls, model: Any) -> Network | None:
        """The network of a classifier; None unless it is a multi-layer perceptron with ReLU and a softmax output."""
        is_relu_softmax = (
            getattr(model, "activation", None) == "relu" and getattr(model, "out_activation_", None) == "softmax"
        )
        return cls(model.coefs_, model.intercepts_) if is_relu_softmax and len(model.coefs_) > 1 else None

    def hidden(self, features: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        """Activations of the last hidden layer, shape (n, units), from features, shape (n, inputs)."""
        activations: NDArray[Any] = features
        for weights, biases in self._hidden:
            activations = activations @ weights
            activations += biases
            np.maximum(activations, 0, out=activations)
        return activations

    def probabilities(self, hidden: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        """Class probabilities, shape (n, classes), from activations of the last hidden layer, shape (n, units)."""
        weights, biases = self._output
        scores: NDArray[Any] = hidden @ weights
        scores += biases
        scores -= scores.max(axis=1)[:, np.newaxis]
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1)[:, np.newaxis]
        return scores
