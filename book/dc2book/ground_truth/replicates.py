"""Worlds with a planted rule, a classifier of each, and what all methods say of it.

A replicate is a world of its own with classifiers of its own.  It is kept on disk under a digest of
all that decides it, so that an interrupted study goes on and nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from dc2book.gan_probe.study import classifier_log_odds
from dc2book.ground_truth import attributions as forms
from dc2book.ground_truth.attributions import Attribution
from dc2book.ground_truth.methods import METHODS, Effort, Generated, attribute
from dc2lib.baselines.networks import attention_maps
from dc2lib.cache import cache_path, cached
from dc2lib.datasets import HistoneDataset
from dc2lib.datasets.simulated import Rule, simulate
from dc2lib.labels import label
from dc2lib.models import deepchrome as models
from dc2lib.models.attentive_chrome import AttentiveChrome
from dc2lib.models.gan import counts_to_signals, generate, histone_gan_for
from dc2lib.models.networks import initial_weights
from dc2lib.training import fit as training
from dc2lib.training.executors import outcomes
from dc2lib.training.fit import TUNED
from dc2lib.training.gan import GanRecipe, cached_gan
from dc2lib.training.linear import mark_means

CODE = (__name__, "dc2lib.datasets.simulated.study")
SPLITS = (0.5, 0.2, 0.3)
CLASSIFIER = replace(TUNED, learning_rate=1e-3)
ATTENTIVE = replace(TUNED, learning_rate=1e-2, batch_size=64)
ATTENTIVE_BINS, ATTENTIVE_HIDDEN = 25, 16


@dataclass(frozen=True)
class Plan:
    """All that decides a replicate.

    Attributes
    ----------
    rule
        A planted rule of `dc2lib.datasets.simulated.RULES`.
    seed
        Of the world and of the networks.
    n_genes
        Of the world: half train, a fifth chooses the epoch, the rest is tested and explained.
    epochs, attentive_epochs
        Of DeepChrome and of AttentiveChrome; 0 of the latter leaves attention out.
    training
        ``"labels"``; ``"permuted"``: labels permuted over the genes of each split; ``"none"``: the
        networks stay as they were initialised.
    gan_steps, n_pool
        Steps of the GAN, and generated signals.
    effort
        Of the methods.
    """

    rule: str
    seed: int = 0
    n_genes: int = 2000
    epochs: int = 6
    attentive_epochs: int = 4
    training: str = "labels"
    gan_steps: int = 250
    n_pool: int = 4000
    effort: Effort = field(default_factory=Effort)


@dataclass(frozen=True)
class Replicate:
    """What a replicate left: attributions by method, and scores on the test genes.

    Attributes
    ----------
    labels
        True labels of the test genes, ``(gene,)``.
    scores
        Log odds of the test genes by model (``deepchrome_max``, ``attentive_chrome``, ``linear``),
        ``(gene,)``.
    """

    plan: Plan
    attributions: dict[str, Attribution]
    labels: np.ndarray
    scores: dict[str, np.ndarray]


def run_plans(
    plans: Sequence[Plan], *, workers: int | None = None, home: Path | str | None = None
) -> list[Replicate]:
    """Compute what is missing, on as many workers as told, and return all in order."""
    missing = [plan for plan in dict.fromkeys(plans) if not replicate_path(plan, home).exists()]
    for plan in {population_kind(plan.rule): plan for plan in missing}.values():
        generated_signals(plan, home)
    for outcome in outcomes(replicate, [(plan, home) for plan in missing], workers=workers):
        if outcome.error is not None:
            raise outcome.error
    return [replicate(plan, home) for plan in plans]


def replicate(plan: Plan, home: Path | str | None = None) -> Replicate:
    """One replicate, read from disk if it was computed before."""
    arrays = cached(
        "replicates", asdict(plan), lambda: _computed(plan, home), code=CODE, home=home
    )
    parts: dict[str, dict[str, Any]] = {}
    for name, values in arrays.items():
        kind, _, rest = name.partition("/")
        parts.setdefault(kind, {})[rest] = values
    return Replicate(
        plan,
        {name: _attribution(parts[name]) for name in METHODS if name in parts},
        arrays["labels"],
        parts["scores"],
    )


def replicate_path(plan: Plan, home: Path | str | None = None) -> Path:
    """Where a replicate is kept; it depends on the plan and on the code that carries it out."""
    return cache_path("replicates", asdict(plan), code=CODE, home=home)


def _computed(plan: Plan, home: Path | str | None) -> dict[str, Any]:
    """The arrays of a replicate: ``labels``, ``scores/MODEL`` and ``METHOD/FIELD``."""
    world = planted_world(plan.rule, plan.seed, plan.n_genes)
    counts, truth, test = world.gene_oriented(), label(world), world.split == "test"
    labels = permuted(truth, world.split, plan.seed) if plan.training == "permuted" else truth
    signals = counts_to_signals(counts[test])
    classifier = trained_classifier(counts, labels, world.split, plan)
    found = attribute(
        classifier, signals, generated_signals(plan, home), world.marks,
        effort=plan.effort, seed=plan.seed,
    )  # fmt: skip
    scores = {"deepchrome_max": classifier_log_odds(classifier, signals)}
    if plan.attentive_epochs:
        attentive = trained_attentive(counts, labels, world.split, plan)
        wide = counts_to_signals(wider_bins(counts[test], ATTENTIVE_BINS))
        found["attention"] = attention_of(attentive, wide, counts.shape[1])
        scores["attentive_chrome"] = classifier_log_odds(attentive, wide)
    if plan.training == "labels":
        scores["linear"] = linear_scores(counts, labels, world.split)
    arrays = {"labels": truth[test]} | {f"scores/{name}": one for name, one in scores.items()}
    for name, one in found.items():
        arrays |= {f"{name}/{part}": v for part, v in vars(one).items() if v is not None}
    return arrays


def _attribution(parts: dict[str, np.ndarray]) -> Attribution:
    known = {one.name: parts[one.name] for one in fields(Attribution) if one.name in parts}
    return Attribution(**known | {"signed": bool(parts["signed"])})


def trained_classifier(
    counts: np.ndarray, labels: np.ndarray, split: np.ndarray, plan: Plan
) -> nn.Module:
    """DeepChrome with max pooling, trained as planned on counts ``(gene, bin, mark)``."""
    model = models.build("deepchrome_max", counts.shape[2], counts.shape[1], plan.seed)
    return _trained(model, counts, labels, split, plan, CLASSIFIER, plan.epochs)


def trained_attentive(
    counts: np.ndarray, labels: np.ndarray, split: np.ndarray, plan: Plan
) -> AttentiveChrome:
    """AttentiveChrome of `ATTENTIVE_BINS` wide bins, trained as planned.

    Four bins in one make it about four times as fast as with all bins.
    """
    with initial_weights(plan.seed):
        model = AttentiveChrome(counts.shape[2], ATTENTIVE_BINS, ATTENTIVE_HIDDEN)
    wide = wider_bins(counts, ATTENTIVE_BINS)
    return _trained(model, wide, labels, split, plan, ATTENTIVE, plan.attentive_epochs)


def planted_world(
    rule: str | Rule, seed: int, n_genes: int, signal: float = 1.0
) -> HistoneDataset:
    """One simulated cell type with a planted rule, without exception if the signal is 1.

    Library sizes and calibration are those of the middle between E012 and E013, so that worlds of
    different seeds are samples of one population, and expression does not drift along the genes.
    """
    study = simulate(
        1, n_genes, seed, rule=rule, split_fractions=SPLITS, order_drift=False,
        library_spread=0.0, blend=0.5, signal=signal,
    )  # fmt: skip
    return next(iter(study.datasets.values()))


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


def population_kind(rule: str) -> str:
    """Rules with the same signals share a generator; two of them change the signals."""
    return rule if rule in ("position", "two_groups") else "null"


def generated_signals(plan: Plan, home: Path | str | None = None) -> Generated:
    """Generated signals and discriminator of a rule's population, from a world of its own."""
    kind = population_kind(plan.rule)
    return _generated(kind, plan.n_genes, plan.gan_steps, plan.n_pool, home)


@cache
def _generated(
    kind: str, n_genes: int, gan_steps: int, n_pool: int, home: Path | str | None
) -> Generated:
    world = planted_world(kind, 10**6, n_genes)
    return generated_like(counts_to_signals(world.gene_oriented()), gan_steps, n_pool, home=home)


def generated_like(
    signals: np.ndarray,
    gan_steps: int,
    n_pool: int,
    *,
    seed: int = 0,
    home: Path | str | None = None,
) -> Generated:
    """Generated signals and a discriminator, of a GAN of these signals ``(gene, mark, bin)``."""
    recipe = GanRecipe(
        "relativistic", "r1", 1.0, regularise_every=8, steps=gan_steps,
        round_steps=max(gan_steps // 4, 1), learning_rate=5e-4,
        discriminator_learning_rate=5e-4, averaging=0.99,
    )  # fmt: skip
    networks = histone_gan_for(signals, seed)
    fit = cached_gan("histone_gans", networks, signals, recipe=recipe, seed=seed, home=home)
    return Generated(
        generate(fit.generator, n_pool, seed=seed), signals[:n_pool], fit.discriminator
    )


def _trained(
    model: nn.Module,
    counts: np.ndarray,
    labels: np.ndarray,
    split: np.ndarray,
    plan: Plan,
    recipe: training.Recipe,
    epochs: int,
) -> nn.Module:
    if plan.training == "none":
        return model.eval()
    train, valid = split == "train", split == "valid"
    return training.fit(
        model, counts[train], labels[train], counts[valid], labels[valid],
        recipe=replace(recipe, epochs=epochs, patience=epochs), seed=plan.seed,
    ).model  # fmt: skip
