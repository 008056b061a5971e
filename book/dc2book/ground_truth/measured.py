"""The same methods on a cell type whose truth nobody planted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from dc2book.gan_probe.study import classifier_fits
from dc2book.ground_truth import replicates
from dc2book.ground_truth.attributions import Attribution
from dc2book.ground_truth.methods import attribute
from dc2book.ground_truth.recovery import rank_correlation
from dc2book.ground_truth.replicates import Plan
from dc2book.ground_truth.worlds import World
from dc2lib.datasets import HistoneDataset
from dc2lib.labels import label
from dc2lib.models import deepchrome as models
from dc2lib.models.gan import counts_to_signals
from dc2lib.training.grid import run_grid

UNTRAINED = "untrained"


def attributions_of_cell(
    dataset: HistoneDataset, plan: Plan, seeds: Sequence[int], *, epochs: int = 8, n_train: int = 0
) -> dict[str, dict[str, Attribution]]:
    """What every method says of classifiers of one cell type, numeric labels, along the gene.

    The plan says where the cell type is stored, the epochs of AttentiveChrome, the GAN and the
    effort; the first of the classifiers' seeds is also that of the untrained networks.  Returns
    attributions by method, by ``seed 0`` and so on and by ``untrained``.
    """
    chosen = np.ones(len(dataset), bool)
    if n_train:
        chosen[np.flatnonzero(dataset.split == "train")[n_train:]] = False
    everything = dataset.gene_oriented(), label(dataset), dataset.split
    counts, labels, split = (values[chosen] for values in everything)
    signals = counts_to_signals(counts[split == "test"])
    wide = counts_to_signals(
        replicates.wider_bins(counts[split == "test"], replicates.ATTENTIVE_BINS))
    generated = replicates.generated_signals(plan)
    world = World(counts, labels, split, tuple(dataset.marks), None)
    fits = run_grid(classifier_fits(dataset.cell, plan.store, ("numeric",), seeds, epochs=epochs,
                                    n_train=n_train), progress=False)
    networks = {f"seed {one.fit.seed}": (one.load_model(), one.fit.seed) for one in fits}
    start = models.build("deepchrome_max", len(dataset.marks), counts.shape[1], seeds[0])
    networks[UNTRAINED] = (start.eval(), seeds[0])
    by_network = {}
    for name, (classifier, seed) in networks.items():
        training = "none" if name == UNTRAINED else "labels"
        attentive, _ = replicates.trained_attentive(
            world, replace(plan, seed=seed, training=training))
        by_network[name] = attribute(
            classifier, signals, generated, dataset.marks, effort=plan.effort, seed=seeds[0],
        ) | {"attention": replicates.attention_of(attentive, wide, counts.shape[1])}
    return by_network


def signed_shares(attributions: Mapping[str, Attribution], marks: Sequence[str]) -> pd.DataFrame:
    """Share of each mark in a method's strength, with the sign of its effect: method by mark.

    Positive: more reads speak for high expression, summed over the bins.  Attention has no sign.
    """
    rows = {}
    for method, one in attributions.items():
        share = one.strength / max(one.strength.sum(), 1e-12)
        direction = one.direction if one.evidence is None else one.evidence.sum(1)
        rows[method] = share * np.sign(direction) if one.signed else share
    return pd.DataFrame(rows, index=list(marks)).T.rename_axis("method")


def agreement(attributions: Mapping[str, Attribution], width: int = 10) -> pd.DataFrame:
    """Spearman correlation of the methods' absolute maps in windows of bins: method by method.

    Methods without a map are left out.
    """
    maps = {
        name: np.add.reduceat(
            one.map_or_strength, np.arange(0, one.evidence.shape[1], width), axis=1
        )
        for name, one in attributions.items()
        if one.evidence is not None
    }
    return pd.DataFrame({a: {b: rank_correlation(maps[a], maps[b]) for b in maps} for a in maps})


def label_direction(dataset: HistoneDataset) -> np.ndarray:
    """Sign of the difference of each mark's mean signal, high minus low genes, ``(mark,)``."""
    labels = label(dataset)
    levels = np.log1p(dataset.counts.mean(1, dtype=np.float64))
    return np.sign(levels[labels == 1].mean(0) - levels[labels == 0].mean(0))
