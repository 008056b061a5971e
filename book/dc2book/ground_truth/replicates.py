"""Worlds with a planted rule, a classifier of each, and what all methods say of it.

A replicate is a world of its own with classifiers of its own.  It is kept on disk under a digest of
all that decides it, so that an interrupted study goes on and nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from dc2book.gan_probe.study import classifier_log_odds, gene_signals
from dc2book.ground_truth import attributions as forms
from dc2book.ground_truth.attributions import Attribution
from dc2book.ground_truth.methods import METHODS, Effort, Generated, attribute
from dc2book.ground_truth.worlds import Truth, World, planted_world
from dc2lib.baselines.networks import attention_maps
from dc2lib.cache import cache_path, cached
from dc2lib.datasets import open_cell
from dc2lib.models import deepchrome as models
from dc2lib.models.attentive_chrome import AttentiveChrome
from dc2lib.models.gan import counts_to_signals, generate, histone_gan_for
from dc2lib.models.likelihood import histone_likelihood_for
from dc2lib.models.networks import initial_weights
from dc2lib.training import fit as training
from dc2lib.training.executors import outcomes
from dc2lib.training.fit import TUNED
from dc2lib.training.gan import GanRecipe, cached_gan
from dc2lib.training.likelihood import LikelihoodRecipe, cached_likelihood
from dc2lib.training.linear import mark_means

CODE = __name__
PATIENCE = 8
CLASSIFIER = replace(TUNED, learning_rate=1e-3)
ATTENTIVE = replace(TUNED, learning_rate=1e-2, batch_size=64)
ATTENTIVE_BINS, ATTENTIVE_HIDDEN = 25, 16
SCORED = 2000  # validation genes of the likelihood model, as in the chapter on the GAN probe


@dataclass(frozen=True)
class Plan:
    """All that decides a replicate."""

    rule: str  # a planted rule of `dc2book.ground_truth.worlds.RULES`, or "null"
    cell: str  # the cell type that genes are drawn from
    store: str  # where it is stored
    seed: int = 0  # of the world and of the networks
    n_genes: int = 2000  # half train, a fifth chooses the epoch, the rest is tested and explained
    signal: float = 0.3  # correlation of expression with what the rule says
    epochs: int = 20  # at most, of DeepChrome
    attentive_epochs: int = 20  # at most, of AttentiveChrome; 0 leaves attention out
    training: str = "labels"  # or "permuted" within each split, or "none": as initialised
    gan_steps: int = 2000
    likelihood_epochs: int = 20
    n_pool: int = 4000  # signals of each generator
    effort: Effort = field(default_factory=Effort)

    def world(self) -> World:
        """The genes with their planted labels."""
        dataset = open_cell(self.cell, self.store)
        return planted_world(dataset, self.rule, self.seed, self.n_genes, self.signal)


@dataclass(frozen=True)
class Replicate:
    """What a replicate left: attributions by method, and scores on the test genes.

    ``labels``: true labels of the test genes, ``(gene,)``. ``scores``: their log odds by model
    (``deepchrome_max``, ``attentive_chrome``, ``linear``), ``(gene,)``. ``valid_auroc``: validation
    AUROC of every epoch of the trained networks, by model.
    """

    plan: Plan
    attributions: dict[str, Attribution]
    labels: np.ndarray
    scores: dict[str, np.ndarray]
    valid_auroc: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def truth(self) -> Truth | None:
        """What a perfect attribution shows; None in a null world."""
        return self.plan.world().truth


def run_plans(plans: Sequence[Plan]) -> list[Replicate]:
    """Compute what is missing, on as many workers as told, and return all in order."""
    missing = [plan for plan in dict.fromkeys(plans) if not replicate_path(plan).exists()]
    for arguments in dict.fromkeys(map(_generators, missing)):
        _generated(*arguments)
    for outcome in outcomes(replicate, [(plan,) for plan in missing]):
        if outcome.error is not None:
            raise outcome.error
    return [replicate(plan) for plan in plans]


def replicate(plan: Plan) -> Replicate:
    """One replicate, read from disk if it was computed before."""
    arrays = cached("replicates", _settings(plan), lambda: _computed(plan), code=CODE)
    parts: dict[str, dict[str, Any]] = {}
    for name, values in arrays.items():
        kind, _, rest = name.partition("/")
        parts.setdefault(kind, {})[rest] = values
    found = {
        name: Attribution(**parts[name] | {"signed": bool(parts[name]["signed"])})
        for name in METHODS if name in parts
    }
    return Replicate(plan, found, arrays["labels"], parts["scores"], parts.get("valid", {}))


def replicate_path(plan: Plan) -> Path:
    """Where a replicate is kept; it depends on the plan and on the code that carries it out."""
    return cache_path("replicates", _settings(plan), code=CODE)


def _settings(plan: Plan) -> dict[str, Any]:
    settings = asdict(plan)
    del settings["store"]
    return settings | {"data": open_cell(plan.cell, plan.store).fingerprint}


def _computed(plan: Plan) -> dict[str, Any]:
    """The arrays: ``labels``, ``scores/MODEL``, ``valid/MODEL`` and ``METHOD/FIELD``."""
    world = plan.world()
    test = world.split == "test"
    if plan.training == "permuted":
        world = replace(world, label=permuted(world.label, world.split, plan.seed))
    signals = counts_to_signals(world.counts[test])
    classifier, by_epoch = trained_classifier(world, plan)
    arrays = {"labels": plan.world().label[test], "valid/deepchrome_max": by_epoch}
    found = attribute(classifier, signals, generated_signals(plan), world.marks,
                      effort=plan.effort, seed=plan.seed)
    arrays["scores/deepchrome_max"] = classifier_log_odds(classifier, signals)
    if plan.attentive_epochs:
        attentive, arrays["valid/attentive_chrome"] = trained_attentive(world, plan)
        wide = counts_to_signals(wider_bins(world.counts[test], ATTENTIVE_BINS))
        found["attention"] = attention_of(attentive, wide, world.counts.shape[1])
        arrays["scores/attentive_chrome"] = classifier_log_odds(attentive, wide)
    if plan.training == "labels":
        arrays["scores/linear"] = linear_scores(world.counts, world.label, world.split)
    for name, one in found.items():
        arrays |= {f"{name}/{part}": v for part, v in vars(one).items() if v is not None}
    return arrays


def trained_classifier(world: World, plan: Plan) -> tuple[nn.Module, np.ndarray]:
    """DeepChrome with max pooling, and its validation AUROC of every epoch."""
    _, n_bins, n_marks = world.counts.shape
    model = models.build("deepchrome_max", n_marks, n_bins, plan.seed)
    return _trained(model, world.counts, world, plan, CLASSIFIER, plan.epochs)


def trained_attentive(world: World, plan: Plan) -> tuple[AttentiveChrome, np.ndarray]:
    """AttentiveChrome of `ATTENTIVE_BINS` wide bins, and its validation AUROC of every epoch.

    Four bins in one make it about four times as fast as with all bins.
    """
    with initial_weights(plan.seed):
        model = AttentiveChrome(world.counts.shape[2], ATTENTIVE_BINS, ATTENTIVE_HIDDEN)
    wide = wider_bins(world.counts, ATTENTIVE_BINS)
    return _trained(model, wide, world, plan, ATTENTIVE, plan.attentive_epochs)


def permuted(labels: np.ndarray, split: np.ndarray, seed: int) -> np.ndarray:
    """Labels ``(gene,)`` permuted within each split."""
    rng = np.random.default_rng((seed, 1))
    shuffled = labels.copy()
    for name in np.unique(split):
        rows = np.flatnonzero(split == name)
        shuffled[rows] = labels[rng.permutation(rows)]
    return shuffled


def linear_scores(counts: np.ndarray, labels: np.ndarray, split: np.ndarray) -> np.ndarray:
    """Log odds of the test genes by a logistic regression on mean reads a bin, ``(gene,)``.

    Two logits of five weights and a bias are 12 parameters, of which 6 tell: the same function.
    """
    means = mark_means(counts, "raw")
    model = make_pipeline(StandardScaler(), LogisticRegression(C=100.0, max_iter=1000))
    model.fit(means[split == "train"], labels[split == "train"])
    return model.decision_function(means[split == "test"])


def wider_bins(counts: np.ndarray, n_bins: int) -> np.ndarray:
    """Mean counts of neighbouring bins, float32 ``(gene, n_bins, mark)``."""
    n_genes, old, n_marks = counts.shape
    return counts.reshape(n_genes, n_bins, old // n_bins, n_marks).mean(2, dtype=np.float32)


def attention_of(model: AttentiveChrome, signals: np.ndarray, n_bins: int) -> Attribution:
    """Mean attention over genes, from signals of wider bins ``(gene, mark, bin)``."""
    return forms.of_attention(*attention_maps(model, signals), n_bins)


def generated_signals(plan: Plan) -> Generated:
    """Signals of a GAN and a likelihood model of the cell type's training genes."""
    return _generated(*_generators(plan))


def _generators(plan: Plan) -> tuple[str, str, int, int, int]:
    return plan.cell, plan.store, plan.gan_steps, plan.likelihood_epochs, plan.n_pool


@cache
def _generated(
    cell: str, store: str, gan_steps: int, likelihood_epochs: int, n_pool: int
) -> Generated:
    dataset = open_cell(cell, store)
    train = gene_signals([dataset], "train")
    recipe = GanRecipe(
        "relativistic", "r1", 1.0, regularise_every=8, steps=gan_steps,
        round_steps=max(gan_steps // 4, 1), learning_rate=5e-4,
        discriminator_learning_rate=5e-4, averaging=0.99)
    gan = cached_gan("histone_gans", histone_gan_for(train, 0), train, recipe=recipe, seed=0)
    likelihood = cached_likelihood(
        "histone_likelihoods", histone_likelihood_for(train, 0), train,
        gene_signals([dataset], "valid", SCORED), seed=0,
        recipe=LikelihoodRecipe(epochs=likelihood_epochs))
    pool, other = (generate(fit.generator, n_pool, seed=0) for fit in (gan, likelihood))
    return Generated(pool, other, train[:n_pool], gan.discriminator)


def _trained(
    model: nn.Module, counts: np.ndarray, world: World, plan: Plan, recipe: training.Recipe,
    epochs: int,
) -> tuple[nn.Module, np.ndarray]:
    if plan.training == "none":
        return model.eval(), np.zeros(0)
    train, valid = world.split == "train", world.split == "valid"
    done = training.fit(
        model, counts[train], world.label[train], counts[valid], world.label[valid],
        recipe=replace(recipe, epochs=epochs, patience=PATIENCE), seed=plan.seed)
    return done.model, done.history["valid_auroc"].to_numpy()
