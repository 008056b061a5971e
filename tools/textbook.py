"""The plain ways that `make bench` compares with: DeepChrome as a tutorial would write it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from dc2lib.datasets import HistoneDataset
from dc2lib.labels import label
from dc2lib.models.deepchrome import DeepChrome
from dc2lib.models.gan import HistoneGenerator
from dc2lib.training.fit import PAPER
from dc2lib.training.grid_fits import FitRecord
from dc2lib.training.linear import mark_means

BATCH, PROBE_BATCH = 32, 4096


class Network(nn.Sequential):
    """DeepChrome's layers as a tutorial would write them."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv1d(5, 50, 10), nn.ReLU(), nn.MaxPool1d(5), nn.Flatten(), nn.Dropout(0.5),
            nn.Linear(900, 625), nn.ReLU(), nn.Linear(625, 125), nn.ReLU(), nn.Linear(125, 2),
        )


def epochs(train: HistoneDataset, epochs: int, *judges: HistoneDataset) -> None:
    """Train as a tutorial does; score validation genes after every epoch, test genes in the end."""
    loader = DataLoader(_genes(train), batch_size=PAPER.batch_size, shuffle=True)
    model = Network()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    for _ in range(epochs):
        model.train()
        for batch, truth in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(batch), truth).backward()
            optimizer.step()
        for judge in judges[:1]:
            auroc(model, _genes(judge), PAPER.batch_size)
    for judge in judges[1:]:
        auroc(model, _genes(judge), PAPER.batch_size)


def bootstrap(
    labels: np.ndarray, scores: np.ndarray, n_resamples: int, rng: np.random.Generator
) -> None:
    """A call of scikit-learn a resample."""
    for _ in range(n_resamples):
        drawn = rng.integers(len(labels), size=len(labels))
        roc_auc_score(labels[drawn], scores[drawn])


def auroc(model: nn.Module, genes: TensorDataset, batch_size: int) -> float:
    """AUROC by one pass of a DataLoader and one call of scikit-learn."""
    model.eval()
    with torch.no_grad():
        scored = [(model(batch).softmax(1)[:, 1], truth)
                  for batch, truth in DataLoader(genes, batch_size=batch_size)]
    scores, labels = (torch.cat(part).numpy() for part in zip(*scored, strict=True))
    return roc_auc_score(labels, scores)


def linear(dataset: HistoneDataset, epochs: int) -> None:
    """One linear model on means over the bins that lie in memory: no DataLoader slows it down."""
    train, valid = dataset.take("train"), dataset.take("valid")
    features, truth = torch.from_numpy(mark_means(train.counts)), _targets(train)
    judged, valid_labels = torch.from_numpy(mark_means(valid.counts)), label(valid)
    model = nn.Linear(features.shape[1], 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    for _ in range(epochs):
        for index in torch.randperm(len(truth)).split(PAPER.batch_size):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(features[index]), truth[index]).backward()
            optimizer.step()
        with torch.no_grad():
            roc_auc_score(valid_labels, model(judged).softmax(1)[:, 1].numpy())


def column(records: Sequence[FitRecord], test: HistoneDataset) -> list[float]:
    """AUROC of each fitted model by one textbook pass."""
    genes = _genes(test, np.log1p)
    return [auroc(network(record), genes, BATCH) for record in records]


def network(record: FitRecord) -> Network:
    """The fitted model in a tutorial's layers, which flatten filter by filter."""
    weights = {name: torch.from_numpy(value) for name, value in record.weights().items()}
    hidden = weights["hidden1.weight"]
    n_filters = len(weights["convolution.bias"])
    weights["hidden1.weight"] = hidden.unflatten(1, (-1, n_filters)).transpose(1, 2).flatten(1)
    model = Network().eval()
    model.load_state_dict(dict(zip(model.state_dict(), weights.values(), strict=True)))
    return model


def best_samples(
    generator: HistoneGenerator, classifier: DeepChrome, n: int, keep: int
) -> list[Tensor]:
    """The best samples of each class by a loop over large batches, as one writes it first."""
    best = [(torch.empty(0), torch.empty(0)) for _ in range(2)]
    with torch.no_grad():
        for start in range(0, n, PROBE_BATCH):
            samples = generator(torch.randn(min(PROBE_BATCH, n - start), generator.n_latent))
            probability = classifier(samples).softmax(1)
            for number, (scores, chosen) in enumerate(best):
                top, order = torch.cat([scores, probability[:, number]]).topk(keep)
                best[number] = top, torch.cat([chosen, samples])[order]
    return [chosen for _, chosen in best]


def _genes(
    dataset: HistoneDataset, transform: Callable[[np.ndarray], np.ndarray] = np.asarray
) -> TensorDataset:
    signal = torch.from_numpy(transform(dataset.counts.astype(np.float32)))
    return TensorDataset(signal.transpose(1, 2).contiguous(), _targets(dataset))


def _targets(dataset: HistoneDataset) -> Tensor:
    return torch.from_numpy(label(dataset).astype(np.int64))
