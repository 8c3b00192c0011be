"""Evaluation of the model card: no leakage between training and test data, and the threshold rule holds."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from tests.server import PROJECT
from training.cross_validation import FOLDS, make_splits
from training.data import Floats, Hands, OpenHands
from training.evaluate import share, share_by_group
from training.fit import HIDDEN_LAYERS, join, make_material
from training.operating_point import MOST_NONE_ANSWERED, answers, choose_prior, with_prior

NONE = 3


def test_model_card_has_the_text_of_its_template() -> None:
    template = (PROJECT / "training" / "model_card.md.template").read_text()
    card = " ".join((PROJECT / "artifacts" / "MODEL_CARD.md").read_text().split())
    texts = [" ".join(text.split()) for text in re.split(r"\$\w+", template)]
    assert [text for text in texts if text not in card] == []


def some_hands(count: int, random: np.random.Generator) -> Hands:
    return Hands(random.standard_normal((count, 63)), random.integers(NONE, size=count))


def some_open_hands(count: int, random: np.random.Generator) -> OpenHands:
    sources = np.array([f"source {number}" for number in random.integers(30, size=count)])
    return OpenHands(
        hands=Hands(random.standard_normal((count, 63)), random.integers(NONE + 1, size=count)),
        near=random.random(count) < 0.1,
        files=np.where(random.random(count) < 0.5, "one", "other"),
        sources=sources,
        groups=sources,
        what=np.full(count, "a hand"),
    )


def some_probabilities(classes: np.ndarray, random: np.random.Generator) -> Floats:
    logits = 2 * random.standard_normal((len(classes), NONE + 1)) + 4 * np.eye(NONE + 1)[classes]
    exponentials = np.exp(logits)
    probabilities: Floats = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities


def test_folds_are_disjoint_and_cover_all_hands_once() -> None:
    random = np.random.default_rng(0)
    table, open_hands = some_hands(200, random), some_open_hands(400, random)
    splits = make_splits(table, open_hands, NONE, seed=0)
    assert len(splits) == FOLDS
    for split in splits:
        assert not set(open_hands.sources[split.hands]) & set(open_hands.sources[~split.hands])
        assert split.hands.any()
        assert split.rows.any()
    assert (np.sum([split.hands for split in splits], axis=0) == 1).all()
    assert (np.sum([split.rows for split in splits], axis=0) == 1).all()


def test_near_hands_are_not_used_for_training() -> None:
    random = np.random.default_rng(1)
    open_hands = some_open_hands(100, random)
    material = make_material(some_hands(50, random), open_hands, NONE, np.array([0]))
    assert len(material.open_hands) == (~open_hands.near).sum() < 100


def test_bias_of_none_is_the_smallest_within_the_limit_in_each_file() -> None:
    random = np.random.default_rng(2)
    open_hands = some_open_hands(3000, random)
    probabilities = some_probabilities(open_hands.hands.classes, random)
    prior = choose_prior(probabilities, open_hands)

    def most_answered(prior: float) -> float:
        answered = answers(with_prior(probabilities, prior))[0] != NONE
        strict = open_hands.is_strictly_none(NONE)
        return max(float(answered[strict & (open_hands.files == file)].mean()) for file in ("one", "other"))

    assert prior > 0
    assert most_answered(prior) <= MOST_NONE_ANSWERED < most_answered(prior - 0.1)


def test_intervals_are_wilson_intervals() -> None:
    nine_of_ten = share(np.arange(10) < 9)
    assert (nine_of_ten.low, nine_of_ten.high) == pytest.approx((0.5958, 0.9821), abs=1e-4)
    none_of_ten = share(np.zeros(10, dtype=bool))
    assert (none_of_ten.low, none_of_ten.high) == pytest.approx((0.0, 0.2775), abs=1e-4)


def test_a_person_with_many_rows_counts_once() -> None:
    of_groups = share_by_group(np.array([True] * 9 + [False]), np.array(["a"] * 9 + ["b"]))
    assert (of_groups.share, of_groups.of) == (0.5, 2)


def test_joined_networks_return_the_geometric_mean() -> None:
    random = np.random.default_rng(3)
    features, labels = random.standard_normal((60, 42)).astype(np.float32), np.arange(60) % 4
    networks = [
        MLPClassifier(HIDDEN_LAYERS, max_iter=500, tol=1e-2, random_state=state).fit(features, labels)
        for state in (0, 1)
    ]
    mean = np.exp(np.mean([np.log(network.predict_proba(features)) for network in networks], axis=0))
    mean /= mean.sum(axis=1, keepdims=True)
    assert join(networks).predict_proba(features) == pytest.approx(mean, abs=1e-5)
