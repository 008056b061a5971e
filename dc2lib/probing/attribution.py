"""Attributions gene by gene: how much of a classifier's log odds each mark and bin is given.

All functions take a classifier of signals ``(gene, mark, bin)`` with logits ``(gene, 2)`` and
attribute the log odds of high expression, natural logarithm.  Gradients, integrated gradients and
ablation are captum's (doi:10.48550/arXiv.2009.07896).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import combinations

import numpy as np
import torch
from torch import Tensor
from tqdm import TqdmWarning

from dc2lib.errors import DataError
from dc2lib.models.networks import Network, device_of, evaluating, frozen

with warnings.catch_warnings():  # captum asks for a progress bar of notebooks, and uses none here
    warnings.simplefilter("ignore", TqdmWarning)
    from captum.attr import FeatureAblation, IntegratedGradients, Saliency

BATCH = 128


def saliency(classifier: Network, signals: np.ndarray) -> np.ndarray:
    """Gradient of the log odds at each gene's signal, float32 ``(gene, mark, bin)``, signed.

    Source: Simonyan et al. 2013 (arXiv 1312.6034), who show its absolute value.
    """
    return _in_batches(
        classifier, signals, lambda odds, batch: Saliency(odds).attribute(batch, abs=False)
    )


def integrated_gradients(
    classifier: Network, signals: np.ndarray, baseline: np.ndarray, *,
    steps: int = 16,
) -> np.ndarray:  # fmt: skip
    """Integrated gradients from a baseline, float32 ``(gene, mark, bin)``.

    They add up to the difference of the log odds of gene and baseline, up to
    the error of `steps` points of Gauss-Legendre quadrature.  The baseline is
    one signal ``(mark, bin)``, such as the mean over genes, or zero reads.
    Source: Sundararajan et al. 2017 (arXiv 1703.01365).
    """
    reference = _baseline(signals, baseline)
    return _in_batches(
        classifier,
        signals,
        lambda odds, batch: IntegratedGradients(odds).attribute(
            batch, reference.to(batch.device), n_steps=steps,
            internal_batch_size=4 * BATCH,
        ),
    )


def window_ablation(
    classifier: Network, signals: np.ndarray, baseline: np.ndarray, *, width: int = 10
) -> np.ndarray:
    """Log odds lost when a window of one mark is set to the baseline, ``(gene, mark, bin)``.

    Every bin of a window gets an equal share of the window's loss, float32; windows lie side by
    side from the first bin on.  The baseline is one signal ``(mark, bin)``.
    """
    n_marks, n_bins = signals.shape[1:]
    if width < 1:
        raise DataError(f"windows of {width} bins: expected at least 1")
    window = np.arange(n_bins) // width
    mask = np.arange(n_marks)[:, None] * (window[-1] + 1) + window
    size = np.bincount(window)[window]
    return _ablated(classifier, signals, baseline, mask) / size.astype(np.float32)


def mark_ablation(classifier: Network, signals: np.ndarray, baseline: np.ndarray) -> np.ndarray:
    """Log odds lost when a whole mark is set to the baseline, float32 ``(gene, mark)``."""
    mask = np.repeat(np.arange(signals.shape[1])[:, None], signals.shape[2], axis=1)
    return _ablated(classifier, signals, baseline, mask)[:, :, 0]


def pair_ablation(classifier: Network, signals: np.ndarray, baseline: np.ndarray) -> np.ndarray:
    """What two marks do together beyond the sum of each alone, float32 ``(gene, mark, mark)``.

    For marks a and b: log odds of the gene, minus those without a, minus those without b, plus
    those without both; zero for every classifier that adds up its marks.
    """
    n_marks = signals.shape[1]
    reference = _baseline(signals, baseline)

    def without(odds: Callable[[Tensor], Tensor], batch: Tensor, marks: list[int]) -> Tensor:
        ablated = batch.clone()
        ablated[:, marks] = reference[:, marks].to(batch.device)
        return odds(ablated).detach()

    def attribute(odds: Callable[[Tensor], Tensor], batch: Tensor) -> Tensor:
        whole = without(odds, batch, [])
        alone = [without(odds, batch, [mark]) for mark in range(n_marks)]
        together = torch.zeros(len(batch), n_marks, n_marks, device=batch.device)
        for a, b in combinations(range(n_marks), 2):
            together[:, a, b] = whole - alone[a] - alone[b] + without(odds, batch, [a, b])
        return together + together.transpose(1, 2)

    return _in_batches(classifier, signals, attribute)


def _ablated(
    classifier: Network, signals: np.ndarray, baseline: np.ndarray, mask: np.ndarray
) -> np.ndarray:
    """Log odds lost by setting each feature of a mask ``(mark, bin)`` to the baseline."""
    reference = _baseline(signals, baseline)
    features = torch.from_numpy(mask)[None]
    return _in_batches(
        classifier,
        signals,
        lambda odds, batch: FeatureAblation(odds).attribute(
            batch, reference.to(batch.device), feature_mask=features.to(batch.device)
        ),
    )


def _baseline(signals: np.ndarray, baseline: np.ndarray) -> Tensor:
    if np.shape(baseline) != signals.shape[1:]:
        raise DataError(
            f"the baseline has shape {np.shape(baseline)} and a signal {signals.shape[1:]}:"
            " expected one signal (mark, bin)"
        )
    return torch.as_tensor(baseline, dtype=torch.float32)[None]


def _in_batches(
    classifier: Network,
    signals: np.ndarray,
    attribute: Callable[[Callable[[Tensor], Tensor], Tensor], Tensor],
) -> np.ndarray:
    if not len(signals):
        raise DataError("no gene to explain: expected at least one")

    def odds(inputs: Tensor) -> Tensor:
        logits = classifier(inputs)
        return logits[:, 1] - logits[:, 0]

    place = device_of(classifier)
    parts = []
    with evaluating(classifier), frozen(classifier):
        for start in range(0, len(signals), BATCH):
            batch = torch.as_tensor(signals[start : start + BATCH]).float().to(place)
            parts.append(attribute(odds, batch.requires_grad_(True)).detach().float().cpu())
    return torch.cat(parts).numpy()
