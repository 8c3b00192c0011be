"""The allowlist of estimators that may be loaded, and the validation of their state before they predict.

The compiled code of scikit-learn and XGBoost does no bounds checks: a tree node with a wrong index reads out of bounds.
Everything that this code uses as an index or a size is therefore validated here.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from hand_gesture.model.safe_pickle import Placeholder, Special, UnsafePickleError
from hand_gesture.model.safe_pickle import load as load_pickle

MAX_NESTING: Final = 30
MAX_CLASSES: Final = 10_000

_ALLOWED: Final = MappingProxyType(
    {
        "sklearn.calibration": "CalibratedClassifierCV _CalibratedClassifier _SigmoidCalibration",
        "sklearn.decomposition._pca": "PCA",
        "sklearn.discriminant_analysis": "LinearDiscriminantAnalysis QuadraticDiscriminantAnalysis",
        "sklearn.dummy": "DummyClassifier",
        "sklearn.ensemble._bagging": "BaggingClassifier",
        "sklearn.ensemble._forest": "ExtraTreesClassifier RandomForestClassifier",
        "sklearn.ensemble._gb": "GradientBoostingClassifier",
        "sklearn.ensemble._hist_gradient_boosting.binning": "_BinMapper",
        "sklearn.ensemble._hist_gradient_boosting.gradient_boosting": "HistGradientBoostingClassifier",
        "sklearn.ensemble._hist_gradient_boosting.predictor": "TreePredictor",
        "sklearn.ensemble._stacking": "StackingClassifier",
        "sklearn.ensemble._voting": "VotingClassifier",
        "sklearn.ensemble._weight_boosting": "AdaBoostClassifier",
        "sklearn.feature_selection._univariate_selection": "SelectKBest SelectPercentile",
        "sklearn.feature_selection._variance_threshold": "VarianceThreshold",
        "sklearn.impute._base": "SimpleImputer",
        "sklearn.linear_model._logistic": "LogisticRegression LogisticRegressionCV",
        "sklearn.linear_model._passive_aggressive": "PassiveAggressiveClassifier",
        "sklearn.linear_model._perceptron": "Perceptron",
        "sklearn.linear_model._ridge": "RidgeClassifier RidgeClassifierCV",
        "sklearn.linear_model._stochastic_gradient": "SGDClassifier",
        "sklearn.multiclass": "OneVsOneClassifier OneVsRestClassifier",
        "sklearn.naive_bayes": "BernoulliNB ComplementNB GaussianNB MultinomialNB",
        "sklearn.neighbors._classification": "KNeighborsClassifier",
        "sklearn.neighbors._nearest_centroid": "NearestCentroid",
        "sklearn.neural_network._multilayer_perceptron": "MLPClassifier",
        "sklearn.pipeline": "FeatureUnion Pipeline",
        "sklearn.preprocessing._data": "MaxAbsScaler MinMaxScaler Normalizer PowerTransformer QuantileTransformer"
        " RobustScaler StandardScaler",
        "sklearn.preprocessing._label": "LabelBinarizer LabelEncoder",
        "sklearn.preprocessing._polynomial": "PolynomialFeatures",
        "sklearn.svm._classes": "LinearSVC NuSVC SVC",
        "sklearn.tree._classes": "DecisionTreeClassifier DecisionTreeRegressor ExtraTreeClassifier",
        "sklearn.tree._tree": "Tree",
        "sklearn.utils._bunch": "Bunch",
        "xgboost.core": "Booster",
        "xgboost.sklearn": "XGBClassifier XGBRFClassifier",
    }
)
CLASSES: Final = frozenset((module, name) for module, names in _ALLOWED.items() for name in names.split())

# Attributes that predictions do not need, or that are recreated below
_NOT_NEEDED: Final = (
    "numpy.random.",
    "sklearn._loss.",
    "sklearn.ensemble._gb_losses.",
    "sklearn.feature_selection._univariate_selection.",
    "sklearn.linear_model._sgd_fast.",
    "sklearn.metrics._dist_metrics.",
    "sklearn.neighbors._ball_tree.",
    "sklearn.neighbors._dist_metrics.",
    "sklearn.neighbors._kd_tree.",
    "sklearn.neural_network._stochastic_optimizers.",
)
_ATOMS: Final = (type(None), bool, int, float, complex, str, bytes, bytearray, slice, np.generic, np.dtype)
_KERNELS: Final = ("linear", "poly", "rbf", "sigmoid")
_METRICS: Final = ("minkowski", "euclidean", "manhattan", "cityblock", "chebyshev", "l1", "l2", "p")


def _refuse(what: str) -> NoReturn:
    raise UnsafePickleError(what)


def _whole(value: object, least: int, most: int) -> bool:
    return isinstance(value, int | np.integer) and bool(least <= value <= most)


class _Trees(Special):
    """Creates scikit-learn's compiled trees."""

    def make(self, cls: type, arguments: tuple[Any, ...]) -> Any:
        if len(arguments) != 3:
            _refuse("it has a tree with invalid arguments")
        features, classes, outputs = arguments
        if not (
            _whole(features, 1, 1_000_000)
            and _whole(outputs, 1, 1)
            and isinstance(classes, np.ndarray)
            and classes.shape == (1,)
            and classes.dtype.kind == "i"
            and 1 <= classes[0] <= MAX_CLASSES
        ):
            _refuse("it has a tree with invalid arguments")
        return cls(int(features), classes.astype(np.intp), 1)

    def set_state(self, instance: Any, state: Any) -> None:
        if not isinstance(state, dict) or not state.keys() >= {"max_depth", "node_count", "nodes", "values"}:
            _refuse("it has a tree without nodes")
        nodes = _current_nodes(state["nodes"])
        values = state["values"]
        check_nodes(nodes["left_child"], nodes["right_child"], nodes["feature"], instance.n_features, leaf=-1)
        if not np.isfinite(nodes["threshold"]).all():
            _refuse("it has a tree whose thresholds are not numbers")
        if (
            not isinstance(values, np.ndarray)
            or values.dtype != np.float64
            or values.shape != (len(nodes), 1, instance.max_n_classes)
            or not np.isfinite(values).all()
        ):
            _refuse("it has a tree whose leaves are not numbers")
        if state["node_count"] != len(nodes) or not _whole(state["max_depth"], 0, len(nodes)):
            _refuse("it has a tree whose size does not match its attributes")
        instance.__setstate__(
            {
                "max_depth": int(state["max_depth"]),
                "node_count": len(nodes),
                "nodes": nodes,
                "values": np.ascontiguousarray(values),
            }
        )


def _current_nodes(nodes: object) -> NDArray[Any]:
    """Convert nodes to the installed scikit-learn: before 1.3 they had no ``missing_go_to_left``."""
    from sklearn.tree._tree import NODE_DTYPE  # noqa: PLC0415 (the supervisor process does not need it)

    if not isinstance(nodes, np.ndarray) or nodes.ndim != 1 or not len(nodes) or nodes.dtype.names is None:
        _refuse("it has a tree without nodes")
    if {*nodes.dtype.names} - {"missing_go_to_left"} != {*NODE_DTYPE.names} - {"missing_go_to_left"}:
        _refuse("it has a tree with unsupported nodes")
    current = np.zeros(len(nodes), dtype=NODE_DTYPE)
    for name in nodes.dtype.names:
        if nodes.dtype[name].kind != NODE_DTYPE[name].kind:
            _refuse("it has a tree with unsupported nodes")
        current[name] = nodes[name]
    return current


def check_nodes(
    left: NDArray[Any], right: NDArray[Any], feature: NDArray[Any], features: int, *, leaf: int | NDArray[np.bool_]
) -> None:
    """Check that every path through a tree ends at a leaf and uses existing features.

    Args:
        left: index of each node's left child.
        right: index of each node's right child.
        feature: index of the feature that each node compares.
        features: number of features.
        leaf: the value of ``left`` and ``right`` at a leaf, or a mask of the leaves.

    Raises:
        UnsafePickleError: a child does not exist or does not come after its parent, or a feature does not exist.
    """
    index = np.arange(len(left))
    is_leaf = leaf if isinstance(leaf, np.ndarray) else (left == leaf)
    inner = ~is_leaf
    ordered = all((side[inner] > index[inner]).all() and (side[inner] < len(left)).all() for side in (left, right))
    same = isinstance(leaf, np.ndarray) or bool((right[is_leaf] == leaf).all())
    if not len(left) or not ordered or not same:
        _refuse("it has a tree whose nodes point outside of it")
    if not ((feature[inner] >= 0) & (feature[inner] < features)).all():
        _refuse("it has a tree with invalid feature indices")


class _Boosters(Special):
    """Creates XGBoost's compiled models, which XGBoost parses from the bytes in the pickle."""

    def make(self, cls: type, arguments: tuple[Any, ...]) -> Any:
        if arguments:
            _refuse("it creates a Booster with arguments, which pickle does not")
        return object.__new__(cls)

    def set_state(self, instance: Any, state: Any) -> None:
        handle = state.get("handle") if isinstance(state, dict) else None
        if not isinstance(handle, bytes | bytearray) or not handle:
            _refuse("it has an XGBoost model without its trees")
        with quiet_xgboost():
            try:
                instance.__setstate__({"handle": bytearray(handle)})
                instance.written_by = _version_in(bytes(handle))
            except Exception as error:
                line = str(error).strip().splitlines()[0][:120]
                raise UnsafePickleError(f"XGBoost cannot read its trees ({line})") from None


def _version_in(model: bytes) -> str:
    """The version of XGBoost that wrote a model, from its UBJSON (https://ubjson.org); empty if not found."""
    found = re.search(rb"version\[(?:#L.{7}|#i)?.?i(.)i(.)i(.)", model, re.DOTALL)
    return ".".join(str(part[0]) for part in found.groups()) if found else ""


def quiet_xgboost() -> Any:
    """Context manager that silences XGBoost's warnings."""
    return importlib.import_module("xgboost").config_context(verbosity=0)


SPECIAL: Final[Mapping[tuple[str, str], Special]] = MappingProxyType(
    {("sklearn.tree._tree", "Tree"): _Trees(), ("xgboost.core", "Booster"): _Boosters()}
)


def import_all(libraries: tuple[str, ...] = ("sklearn",)) -> None:
    """Import all allowlisted modules of these libraries, before the sandbox blocks imports."""
    for module in _ALLOWED:
        if module.partition(".")[0] in libraries:
            importlib.import_module(module)


def read(content: bytes) -> tuple[Any, set[str]]:
    """Load a pickle of estimators; call ``prepare`` before using them.

    Returns:
        The object, and the versions of scikit-learn that wrote it.

    Raises:
        UnsafePickleError: see ``safe_pickle.load``.
    """
    return load_pickle(content, CLASSES, SPECIAL)


def name_of(value: object) -> str:
    """Qualified class name of an object from a file, also of a placeholder."""
    if isinstance(value, Placeholder):
        return value.name
    return f"{type(value).__module__}.{type(value).__qualname__}"


def is_estimator(value: object) -> bool:
    """Whether the object's class is allowlisted."""
    return (type(value).__module__, type(value).__name__) in CLASSES


def is_classifier(value: object) -> bool:
    """Whether it is an allowlisted classifier."""
    return is_estimator(value) and callable(getattr(type(value), "predict", None)) and "Regressor" not in name_of(value)


def is_transformer(value: object) -> bool:
    """Whether it is a fitted transformer of features, such as a scaler."""
    kind = type(value)
    encodes_labels = kind.__name__ in {"LabelEncoder", "LabelBinarizer"}
    prepares = is_estimator(value) and not encodes_labels and callable(getattr(kind, "transform", None))
    return prepares and hasattr(value, "n_features_in_")


def prepare(value: Any) -> Any:
    """Validate an estimator from ``read`` with everything that it contains, and adapt it to the installed versions.

    Removes attributes that predictions do not need, and adds those that older versions lack.

    Raises:
        UnsafePickleError: it contains unsupported objects, or its state would make compiled code read out of bounds.
    """
    return _Preparation().prepare(value, 0)


class _Preparation:
    def __init__(self) -> None:
        self._done: dict[int, Any] = {}
        self._kept: list[Any] = []  # keep references, because ids of freed objects are reused

    def prepare(self, value: Any, depth: int) -> Any:  # noqa: PLR0912 (one branch per type)
        if type(value) in _ATOMS or isinstance(value, np.generic | np.dtype):
            return value
        if id(value) in self._done:
            return self._done[id(value)]
        if depth > MAX_NESTING:
            _refuse("it is nested too deeply")
        self._done[id(value)] = value
        self._kept.append(value)
        if isinstance(value, Placeholder):
            if value.name.startswith(_NOT_NEEDED):
                self._done[id(value)] = None
                return None
            _refuse(
                f"it contains {value.name}, which is not supported (docs/models.md lists what is); train it again "
                "without"
            )
        if type(value) is list:
            value[:] = [self.prepare(item, depth + 1) for item in value]
        elif type(value) in (tuple, set, frozenset):
            prepared = type(value)(self.prepare(item, depth + 1) for item in value)
            self._done[id(value)] = prepared
            return prepared
        elif isinstance(value, dict):
            for key, item in [*value.items()]:
                dict.__setitem__(value, key, self.prepare(item, depth + 1))
        elif type(value) is np.ndarray:
            if value.dtype.hasobject:
                value[...] = _objects([self.prepare(item, depth + 1) for item in value.flat], value.shape)
        elif type(value).__name__ in {"Booster", "Tree"} and is_estimator(value):
            pass  # compiled objects were validated when they were created
        elif is_estimator(value):
            for name, item in [*vars(value).items()]:
                vars(value)[name] = self.prepare(item, depth + 1)
            needed, prepare = _PREPARATIONS.get(type(value).__name__, ("", None))
            if prepare and needed in vars(value):  # unfitted otherwise, such as the base estimator of an ensemble
                try:
                    prepare(value)
                except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
                    if isinstance(error, UnsafePickleError):
                        raise
                    raise UnsafePickleError(
                        f"its {type(value).__name__} does not match the installed version ({error})"
                    ) from None
            _tidy(value)
        elif not isinstance(value, type):
            _refuse(f"it contains {name_of(value)}, which is not supported")
        return value


def _objects(items: list[Any], shape: tuple[int, ...]) -> NDArray[np.object_]:
    """An array of objects; np.array would turn sequences among them into dimensions."""
    array = np.empty(len(items), dtype=object)
    for index, item in enumerate(items):
        array[index] = item
    return array.reshape(shape)


def _tidy(estimator: Any) -> None:
    """Reset parameters that slow predictions down or print, and add parameters of newer versions."""
    attributes = vars(estimator)
    attributes.pop("feature_names_in_", None)  # else each call with plain arrays warns
    for name, value in (("verbose", 0), ("n_jobs", None), ("warm_start", False), ("memory", None)):
        if name in attributes:
            attributes[name] = value
    get_names = getattr(type(estimator), "_get_param_names", None)
    if get_names and not type(estimator).__module__.startswith("xgboost"):
        signature = inspect.signature(type(estimator).__init__)
        for name in get_names():
            if name not in attributes and signature.parameters[name].default is not signature.empty:
                attributes[name] = signature.parameters[name].default


def _prepare_tree(estimator: Any) -> None:
    tree = estimator.tree_
    if type(tree).__name__ != "Tree" or tree.node_count < 1 or tree.n_features != estimator.n_features_in_:
        _refuse("it has a tree whose size does not match its attributes")
    if "Regressor" in type(estimator).__name__:
        if tree.max_n_classes != 1:
            _refuse("it has a tree whose size does not match its attributes")
        return
    if tree.max_n_classes != len(estimator.classes_) or estimator.n_outputs_ != 1:
        _refuse("it has a tree whose size does not match its attributes")
    estimator.n_classes_ = np.intp(tree.max_n_classes)
    state = tree.__getstate__()
    sums = state["values"].sum(axis=2, keepdims=True)
    if (state["values"] < 0).any() or (sums <= 0).any():
        _refuse("it has a tree whose leaves are not probabilities")
    if not np.allclose(sums, 1):  # before 1.4 leaves had sample counts instead of probabilities
        state["values"] = state["values"] / sums
        tree.__setstate__(state)


def _prepare_forest(estimator: Any) -> None:
    if not isinstance(estimator.estimators_, list) or not estimator.estimators_:
        _refuse("it has a forest without trees")
    classes = len(np.asarray(estimator.classes_))
    for tree in estimator.estimators_:
        if not hasattr(tree, "tree_") or tree.n_features_in_ != estimator.n_features_in_ or tree.n_classes_ != classes:
            _refuse("it has a forest whose trees do not match it")
    estimator.n_classes_, estimator.n_estimators = classes, len(estimator.estimators_)


def _prepare_boosting(estimator: Any) -> None:
    from sklearn._loss.loss import ExponentialLoss, HalfBinomialLoss, HalfMultinomialLoss  # noqa: PLC0415

    classes = len(estimator.classes_)
    outputs = 1 if classes == 2 else classes
    trees = estimator.estimators_
    if not isinstance(trees, np.ndarray) or trees.ndim != 2 or not len(trees) or trees.shape[1] != outputs:
        _refuse("it has trees for another number of classes")
    for tree in trees.flat:
        if type(tree).__name__ != "DecisionTreeRegressor" or tree.n_features_in_ != estimator.n_features_in_:
            _refuse("its trees do not match it")
    if estimator.loss == "exponential":
        estimator._loss = ExponentialLoss()
    else:
        estimator._loss = HalfBinomialLoss() if classes == 2 else HalfMultinomialLoss(n_classes=classes)
    estimator.n_trees_per_iteration_ = outputs


def _prepare_histogram_boosting(estimator: Any) -> None:
    from sklearn._loss.loss import HalfBinomialLoss, HalfMultinomialLoss  # noqa: PLC0415
    from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE  # noqa: PLC0415

    classes = len(estimator.classes_)
    outputs = 1 if classes == 2 else classes
    features = estimator.n_features_in_
    for iteration in estimator._predictors:
        if len(iteration) != outputs:
            _refuse("it has trees for another number of classes")
        for predictor in iteration:
            nodes = predictor.nodes
            if nodes.dtype != PREDICTOR_RECORD_DTYPE or nodes["is_categorical"].any():
                _refuse("it has a tree whose nodes are not those of the installed scikit-learn")
            check_nodes(nodes["left"], nodes["right"], nodes["feature_idx"], features, leaf=nodes["is_leaf"] != 0)
            if not np.isfinite(nodes["value"]).all():
                _refuse("it has a tree whose leaves are not numbers")
    if estimator._baseline_prediction.shape != (1, outputs) or len(estimator._bin_mapper.is_categorical_) != features:
        _refuse("it has trees for another number of classes")
    estimator._loss = HalfBinomialLoss() if classes == 2 else HalfMultinomialLoss(n_classes=classes)
    estimator.n_trees_per_iteration_ = outputs


def _prepare_support_vectors(estimator: Any) -> None:
    if estimator.kernel not in _KERNELS:
        _refuse(f"its SVC has the kernel {str(estimator.kernel)[:20]!r}; only {', '.join(_KERNELS)} are supported")
    if estimator._sparse:
        _refuse("its SVC was trained on a sparse matrix")
    vectors, counts = estimator.support_vectors_, estimator._n_support
    classes = len(estimator.classes_)
    pairs = classes * (classes - 1) // 2
    arrays = {
        "support_vectors_": (vectors, (len(estimator.support_), estimator.n_features_in_)),
        "_dual_coef_": (estimator._dual_coef_, (classes - 1, len(vectors))),
        "_intercept_": (estimator._intercept_, (pairs,)),
        "_probA": (estimator._probA, (0,) if not estimator._probA.size else (pairs,)),
        "_probB": (estimator._probB, estimator._probA.shape),
    }
    for name, (array, shape) in arrays.items():
        if array.dtype != np.float64 or array.shape != shape or not np.isfinite(array).all():
            _refuse(f"the {name} of its SVC does not match its other attributes")
        setattr(estimator, name, np.ascontiguousarray(array))
    if counts.shape != (classes,) or (counts < 0).any() or counts.sum() != len(vectors) or counts.dtype != np.int32:
        _refuse("the number of its SVC's support vectors does not match its other attributes")
    if not (np.isfinite([estimator._gamma, estimator.coef0]).all() and _whole(estimator.degree, 0, 100)):
        _refuse("the kernel parameters of its SVC are not numbers")
    estimator.cache_size = 200
    # Only read when fitting; newer versions use a sentinel for "not given"
    estimator.probability = bool(estimator._probA.size)
    estimator._effective_probability = estimator.probability


def _prepare_neighbors(estimator: Any) -> None:
    from sklearn.neighbors import BallTree, KDTree  # noqa: PLC0415

    samples, classes = estimator._fit_X, estimator._y
    if samples.ndim != 2 or samples.dtype.kind != "f" or not np.isfinite(samples).all():
        _refuse("the neighbours of its KNeighborsClassifier are not numbers")
    if classes.shape != (len(samples),) or classes.dtype.kind not in "iu":
        _refuse("its KNeighborsClassifier does not have one class per neighbour")
    if (classes < 0).any() or (classes >= len(estimator.classes_)).any():
        _refuse("its KNeighborsClassifier has classes without a name")
    if not _whole(estimator.n_neighbors, 1, len(samples)) or estimator.weights not in ("uniform", "distance"):
        _refuse("its KNeighborsClassifier has unsupported weights or an invalid number of neighbours")
    given = estimator.effective_metric_params_ or {}
    parameters = {name: value for name, value in given.items() if value is not None}  # with p, there is w=None
    if estimator.effective_metric_ not in _METRICS or parameters.keys() - {"p"}:
        _refuse("its KNeighborsClassifier has an unsupported metric")
    estimator.metric_params = None
    estimator.outputs_2d_ = False
    # The search tree is a pointer structure: rebuild it from the samples, which gives the same neighbours
    trees = {"kd_tree": KDTree, "ball_tree": BallTree}
    estimator._tree = None
    if make := trees.get(estimator._fit_method):
        estimator._tree = make(
            samples, max(2, min(int(estimator.leaf_size), 10_000)), metric=estimator.effective_metric_, **parameters
        )
    elif estimator._fit_method != "brute":
        _refuse("its KNeighborsClassifier has an unsupported algorithm")


def _prepare_network(estimator: Any) -> None:
    layers = [estimator.n_features_in_, *(bias.shape[0] for bias in estimator.intercepts_)]
    if [weights.shape for weights in estimator.coefs_] != [*itertools.pairwise(layers)] or estimator.n_layers_ != len(
        layers
    ):
        _refuse("the shapes of the layers of its MLPClassifier do not match")


def _prepare_xgboost(estimator: Any) -> None:
    booster = estimator.get_booster()
    booster.feature_names = booster.feature_types = None
    booster.set_param({"nthread": 1, "device": "cpu", "verbosity": 0})
    vars(estimator).update(device=None, verbosity=0, feature_types=None, callbacks=None, gpu_id=None)
    for name, parameter in inspect.signature(importlib.import_module("xgboost").XGBModel.__init__).parameters.items():
        if name != "self" and parameter.kind is not parameter.VAR_KEYWORD and name not in vars(estimator):
            setattr(estimator, name, parameter.default)  # parameters of newer versions
    if not _whole(getattr(estimator, "n_classes_", 0), 2, MAX_CLASSES):
        _refuse("its XGBClassifier has no valid number of classes")


# By class: an attribute that fitted estimators have, and the function that validates and adapts them
_PREPARATIONS: Final[Mapping[str, tuple[str, Callable[[Any], None]]]] = MappingProxyType(
    {
        "DecisionTreeClassifier": ("tree_", _prepare_tree),
        "DecisionTreeRegressor": ("tree_", _prepare_tree),
        "ExtraTreeClassifier": ("tree_", _prepare_tree),
        "ExtraTreesClassifier": ("estimators_", _prepare_forest),
        "GradientBoostingClassifier": ("estimators_", _prepare_boosting),
        "HistGradientBoostingClassifier": ("_predictors", _prepare_histogram_boosting),
        "KNeighborsClassifier": ("_fit_X", _prepare_neighbors),
        "MLPClassifier": ("coefs_", _prepare_network),
        "NuSVC": ("support_vectors_", _prepare_support_vectors),
        "RandomForestClassifier": ("estimators_", _prepare_forest),
        "SVC": ("support_vectors_", _prepare_support_vectors),
        "XGBClassifier": ("_Booster", _prepare_xgboost),
        "XGBRFClassifier": ("_Booster", _prepare_xgboost),
    }
)


def check_boosters(value: Any) -> list[str]:
    """Validate the trees of XGBoost models, by exporting them as JSON.

    Returns:
        The versions of XGBoost that wrote them.

    Raises:
        UnsafePickleError: a tree has invalid indices or an unsupported kind.
    """
    versions = []
    for estimator in walk(value):
        if not type(estimator).__module__.startswith("xgboost.sklearn") or "_Booster" not in vars(estimator):
            continue  # unfitted, such as the base estimator of an ensemble
        model = json.loads(bytes(estimator.get_booster().save_raw("json")))
        versions.append(vars(estimator.get_booster()).pop("written_by", ""))
        learner = model["learner"]
        booster = learner["gradient_booster"]
        booster = booster.get("gbtree", booster)
        if "model" not in booster or "trees" not in booster["model"]:
            _refuse("its XGBClassifier has a booster without trees")
        features = int(learner["learner_model_param"]["num_feature"])
        classes = max(1, int(learner["learner_model_param"]["num_class"]))
        for tree, output in zip(booster["model"]["trees"], booster["model"]["tree_info"], strict=True):
            left, right, index = (
                np.array(tree[name], dtype=np.int64) for name in ("left_children", "right_children", "split_indices")
            )
            check_nodes(left, right, index, features, leaf=-1)
            if any(tree.get("split_type", ())) or not 0 <= output < classes:
                _refuse("its XGBClassifier has categorical splits or invalid outputs, which are not supported")
            if not np.isfinite(np.array(tree["split_conditions"], dtype=np.float64)).all():
                _refuse("it has a tree whose leaves are not numbers")
    return versions


def walk(value: Any) -> Iterator[Any]:
    """All estimators nested in a prepared estimator, itself first."""
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if is_estimator(item):
            yield item
            waiting += getattr(item, "__dict__", {}).values()
        if isinstance(item, dict):
            waiting += item.values()
        elif isinstance(item, list | tuple) or (isinstance(item, np.ndarray) and item.dtype.hasobject):
            waiting += list(item.flat) if isinstance(item, np.ndarray) else item
