"""A cell type of a few genes in which expression raises some marks."""

import numpy as np

from dc2lib.baselines.contract import genes_of
from dc2lib.datasets import HistoneDataset

N_BINS = 24


def planted(cell="A", n=240, seed=0, effect=(0, 1, 0, 1, 0)):
    """Expression raises the marks of an effect, in the middle bins most."""
    rng = np.random.default_rng(seed)
    rpkm = np.round(rng.lognormal(1, 1.5, n), 3)
    shape = np.exp(-(((np.arange(N_BINS) - N_BINS / 2) / 4) ** 2))[None, :, None]
    rate = 1 + 2 * np.log1p(rpkm)[:, None, None] * shape * np.array(effect)
    return HistoneDataset.from_arrays(
        rng.poisson(rate),
        [f"G{i:05d}" for i in range(n)],
        cell,
        np.tile(["train", "train", "valid", "test"], n // 4),
        source="simulated",
        rpkm_text=[f"{value:.3f}" for value in rpkm],
        strand=np.where(rng.random(n) < 0.5, "+", "-"),
    )


def parts(labels="numeric", **options):
    """Its genes by split: train, valid, test."""
    dataset = planted(**options)
    return [genes_of(dataset, labels, split) for split in ("train", "valid", "test")]
