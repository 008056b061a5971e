"""The genes of a cell type that a model is trained on."""

from __future__ import annotations

import numpy as np

from dc2lib.datasets import HistoneDataset


def training_genes(dataset: HistoneDataset, n_train: int = 0, seed: int = 0) -> HistoneDataset:
    """The training genes, or ``n_train`` of them drawn with the seed (0: all)."""
    train = dataset.take("train")
    if not 0 < n_train < len(train):
        return train
    drawn = np.random.default_rng(seed).choice(len(train), n_train, replace=False)
    return train.select(np.sort(drawn))
