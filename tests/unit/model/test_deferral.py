from __future__ import annotations

import subprocess
import sys

import pytest

from tests.hands import ARTIFACTS, PROJECT


def run(code: str) -> str:
    """Run code in a process that has imported nothing yet."""
    result = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_loading_the_model_leaves_out_scipy_stats() -> None:
    code = f"""
import sys
from pathlib import Path
from hand_gesture.model.artifacts import load_artifacts
load_artifacts(Path({str(ARTIFACTS)!r}))
print("sklearn" in sys.modules, "scipy.stats" in sys.modules)
"""
    assert run(code).split() == ["True", "False"]


@pytest.mark.parametrize("module", ["ensemble", "linear_model", "neighbors", "neural_network", "svm", "tree"])
def test_models_that_call_it_work_all_the_same(module: str) -> None:
    """Every kind of classifier imports, and what was promised works when it is called."""
    code = f"""
from hand_gesture.model.deferral import deferred
with deferred("scipy.stats"):
    import sklearn.{module}
    from scipy.stats import mode
import numpy as np, sklearn.metrics, sklearn.neighbors
from sklearn.utils.fixes import _mode
print(mode([1, 2, 2]).mode, _mode(np.array([3, 3, 4])).mode, sklearn.metrics.label_ranking_loss([[1, 0]], [[.3, .2]]))
x = np.arange(10.).reshape(-1, 1)
print(sklearn.neighbors.KNeighborsClassifier(3).fit(x, x[:, 0] > 4).predict([[1.], [9.]]))
"""
    assert run(code).split() == ["2", "[3]", "0.0", "[False", "True]"]
