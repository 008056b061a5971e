"""Fit a network on log counts by Adam, as every network of the table is fitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from torch import nn

from dc2lib.baselines.contract import Fitted, Genes, Setting
from dc2lib.models.deepchrome import count_parameters
from dc2lib.models.networks import initial_weights
from dc2lib.training.fit import TUNED, fit, predict_logits


def fit_network(
    build: Callable[[int, int], nn.Module], train: Genes, valid: Genes, setting: Setting, seed: int
) -> Fitted:
    """Train ``build(n_marks, n_bins)`` and keep the epoch with the best validation AUROC.

    Parameters
    ----------
    setting
        ``learning_rate`` and ``epochs``.
    seed
        Decides weights, order and dropout.

    Returns
    -------
    Fitted
        The score is the log odds of class 1; ``about`` holds the weights as ``weights.NAME`` and
        the validation AUROC of every epoch.
    """
    _, n_bins, n_marks = train.counts.shape
    with initial_weights(seed):
        model = build(n_marks, n_bins)
    epochs = int(setting["epochs"])
    recipe = replace(
        TUNED, learning_rate=float(setting["learning_rate"]), epochs=epochs, patience=epochs
    )
    result = fit(
        model, train.counts, train.label, valid.counts, valid.label, recipe=recipe, seed=seed
    )

    def score(counts: np.ndarray) -> np.ndarray:
        return log_odds(predict_logits(result.model, counts, transform="log1p"))

    weights = {f"weights.{k}": v.cpu().numpy() for k, v in result.model.state_dict().items()}
    about = {"valid_auroc": result.history["valid_auroc"].to_numpy()} | weights
    return Fitted(score, parameters=count_parameters(result.model), about=about)


def log_odds(logits: np.ndarray) -> np.ndarray:
    """Log odds of class 1, float64 ``(gene,)``, from logits ``(gene, 2)``."""
    return logits[:, 1].astype(np.float64) - logits[:, 0]
