"""Training one network, and many linear models."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dc2lib.labels import label
from dc2lib.linear import fit_linear
from dc2lib.models import build
from dc2lib.training import PAPER, fit
from tools.bench.harness import Row, Stage, Task, paired, product_rate

MULTIPLY_ADDS_A_SAMPLE = 4.745e6 / 2


def train_one(task: Task) -> Row:
    """One epoch of the max-pooling network, against a textbook loop over a DataLoader."""
    train, valid = task.dataset.take("train"), task.dataset.take("valid").select(np.arange(64))
    labels = label(train)
    valid_labels = np.arange(64) % 2
    recipe = replace(PAPER, epochs=1)

    def ours() -> None:
        fit(build("deepchrome_max"), train.counts, labels, valid.counts, valid_labels,
            recipe=recipe, device="cpu")

    def plain() -> None:
        signal = torch.from_numpy(train.counts.astype(np.float32)).transpose(1, 2).contiguous()
        pairs_ = TensorDataset(signal, torch.from_numpy(labels.astype(np.int64)))
        model = TextbookNetwork()
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        for batch, truth in DataLoader(pairs_, batch_size=32, shuffle=True):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(batch), truth).backward()
            optimizer.step()

    limit = product_rate() / MULTIPLY_ADDS_A_SAMPLE
    return paired(task, "train_one", ours, plain, work=len(train), unit="genes/s", limit=limit)


def linear_all_cells(task: Task) -> Row:
    """Five restarts on eight cell types at once, against one model after the other."""
    recipe = replace(PAPER, epochs=3)
    cells = [replace(task.dataset, cell=f"S{number:03d}") for number in range(8)]
    seeds = range(5)

    def plain() -> None:
        for one in cells:
            train, valid = one.take("train"), one.take("valid")
            for seed in seeds:
                fit(build("linear", seed=seed), train.counts, label(train), valid.counts,
                    label(valid), recipe=recipe, seed=seed, device="cpu")

    return paired(task, "linear_all_cells", lambda: fit_linear(cells, recipe=recipe, seeds=seeds),
                  plain, work=len(cells) * len(seeds), unit="models/s", pairs=min(task.pairs, 3))


class TextbookNetwork(nn.Sequential):
    """DeepChrome's layers as a tutorial would write them."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv1d(5, 50, 10), nn.ReLU(), nn.MaxPool1d(5), nn.Flatten(), nn.Dropout(0.5),
            nn.Linear(900, 625), nn.ReLU(), nn.Linear(625, 125), nn.ReLU(), nn.Linear(125, 2),
        )


STAGES = (
    Stage("train_one", train_one, threads=(1, 2)),
    Stage("linear_all_cells", linear_all_cells),
)
