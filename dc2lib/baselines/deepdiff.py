"""DeepDiff: the difference of expression between two cell types (Sekhon et al. 2018).

Source: doi:10.1093/bioinformatics/bty612.  There: ten pairs of Roadmap cell types, marks within
20 kb of the TSS, LSTMs with attention over bins and marks as in AttentiveChrome, log fold change of
read counts as the target, and expression in each cell type as auxiliary targets.  The released data
reach 5 kb and hold RPKM, which stand in; the auxiliary targets are left out.

Beside it: linear regression and gradient boosting on differences of the marks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import stats
from sklearn.linear_model import LinearRegression
from torch import Tensor, nn

from dc2lib.baselines import boosting
from dc2lib.baselines.contract import Genes, flat_log_counts, log_counts, log_totals
from dc2lib.errors import DataError
from dc2lib.models.attentive_chrome import DeepDiff
from dc2lib.models.deepchrome import count_parameters
from dc2lib.models.networks import device_of, evaluating, initial_weights
from dc2lib.training.fit import TUNED, batches, default_device, make_optimizer, set_learning_rate

BATCH = 128
N_VALID = 2000


@dataclass(frozen=True)
class Pair:
    """The same genes in two cell types."""

    first: np.ndarray  #: counts uint16 ``(gene, bin, mark)``, upstream first
    second: np.ndarray  #: the same in the second cell type
    change: np.ndarray  #: log2 of (RPKM + 1) in the first minus in the second, float64 ``(gene,)``

    def __len__(self) -> int:
        return len(self.change)

    def take(self, chosen: np.ndarray | slice) -> Pair:
        """The genes given by an index array, a mask or a slice."""
        return Pair(self.first[chosen], self.second[chosen], self.change[chosen])

    def swapped(self) -> Pair:
        """The cell types exchanged."""
        return Pair(self.second, self.first, -self.change)


Predictor = Callable[[Pair], np.ndarray]


def paired(first: Genes, second: Genes) -> Pair:
    """Genes of two cell types that hold the same genes in the same order.

    Raises DataError if their numbers differ.
    """
    if len(first) != len(second):
        raise DataError(
            f"the cell types hold {len(first)} and {len(second)} genes: expected the same genes;"
            " select those that both hold"
        )
    return Pair(first.counts, second.counts, first.expression - second.expression)


def fit(train: Pair, valid: Pair, *, epochs: int, seed: int = 0) -> tuple[Predictor, int]:
    """Train `DeepDiff` on the squared error; keep the epoch of the best validation correlation.

    Epochs are compared on at most `N_VALID` validation genes, evenly spaced in the list.

    Returns
    -------
    The predictor of log fold change, and its number of parameters.
    """
    _, n_bins, n_marks = train.first.shape
    recipe = replace(TUNED, learning_rate=2e-3, epochs=epochs)
    with initial_weights(seed):
        model = DeepDiff(n_marks, n_bins)
    place = default_device()
    optimizer = make_optimizer(model.to(place).train(), recipe)
    target = torch.from_numpy((train.change / train.change.std()).astype(np.float32)).to(place)
    steps = -(-len(train) // recipe.batch_size) * epochs
    few = valid.take(slice(None, None, -(-len(valid) // N_VALID)))
    best, weights, step = -np.inf, None, 0
    for epoch in range(epochs):
        for index in batches(len(train), recipe.batch_size, seed, epoch):
            set_learning_rate(optimizer, recipe, step / steps)
            optimizer.zero_grad()
            answer = model(*_signals(train.take(index), place))
            nn.functional.mse_loss(answer, target[index]).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            step += 1
        score = correlation(_answers(model, few), few.change)
        if weights is None or score > best:
            best = score
            weights = {k: v.clone() for k, v in model.state_dict().items()}
    model.load_state_dict(weights)
    return lambda pair: _answers(model, pair), count_parameters(model)


def fit_linear(train: Pair) -> tuple[Predictor, int]:
    """Linear regression on the differences of log totals, without intercept: odd as well."""
    model = LinearRegression(fit_intercept=False).fit(_total_changes(train), train.change)
    return lambda pair: model.predict(_total_changes(pair)), model.coef_.size


def fit_boosting(train: Pair, seed: int = 0) -> tuple[Predictor, int]:
    """Gradient boosting on the differences of log counts in every bin and on both totals."""

    def features(pair: Pair) -> np.ndarray:
        bins = flat_log_counts(pair.first) - flat_log_counts(pair.second)
        return np.column_stack([bins, log_totals(pair.first), log_totals(pair.second)])

    return _boosted(train, seed, features)


def fit_level(train: Pair, seed: int = 0) -> tuple[Predictor, int]:
    """Boosting on the sums of log counts, which cannot tell the cell types apart: a control."""
    return _boosted(
        train, seed, lambda pair: flat_log_counts(pair.first) + flat_log_counts(pair.second)
    )


def correlation(answer: np.ndarray, truth: np.ndarray) -> float:
    """Pearson correlation, 0 where the answer does not vary."""
    if np.ptp(answer) == 0 or np.ptp(truth) == 0:
        return 0.0
    return float(stats.pearsonr(answer, truth).statistic)


def _boosted(
    train: Pair, seed: int, features: Callable[[Pair], np.ndarray]
) -> tuple[Predictor, int]:
    model = boosting.fit_regression(features(train), train.change, seed)
    return lambda pair: model.predict(features(pair)), boosting.n_parameters(model)


def _signals(pair: Pair, device: torch.device) -> tuple[Tensor, Tensor]:
    return tuple(
        torch.from_numpy(log_counts(part)).transpose(1, 2).to(device)
        for part in (pair.first, pair.second)
    )


def _answers(model: DeepDiff, pair: Pair) -> np.ndarray:
    with evaluating(model), torch.inference_mode():
        parts = [
            model(*_signals(pair.take(slice(i, i + BATCH)), device_of(model))).cpu().numpy()
            for i in range(0, len(pair), BATCH)
        ]
    return np.concatenate(parts).astype(np.float64)


def _total_changes(pair: Pair) -> np.ndarray:
    return log_totals(pair.first) - log_totals(pair.second)
