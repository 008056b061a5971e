"""What a method says about a classifier, in one form for all methods.

How strong each mark is, and where a method can say it, in which bins, with which sign and in which
pairs.  Signals are float32 ``(gene, mark, bin)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.preprocessing import scale

from dc2book.gan_probe.study import combination_effects, top_of


@dataclass(frozen=True)
class Attribution:
    """What one method says about one classifier."""

    #: how much each mark matters, not negative, float64 ``(mark,)``, in the method's own unit
    strength: np.ndarray
    #: signed map float64 ``(mark, bin)``, positive where more reads speak for high expression; or
    #: None if the method does not say where
    evidence: np.ndarray | None = None
    #: signed number a mark, float64 ``(mark,)``; None: the method does not say.  Where there is a
    #: map, it is read in the map instead
    direction: np.ndarray | None = None
    #: how much two marks do together, not negative and symmetric, float64 ``(mark, mark)``; None:
    #: the method does not say
    pairs: np.ndarray | None = None
    signed: bool = True  # whether the map says for which class something speaks; attention does not

    @property
    def size(self) -> float:
        """The strongest mark, in the method's unit: what a detector by size looks at."""
        return float(self.strength.max())

    @property
    def contrast(self) -> float:
        """The strongest mark as a share of all: what an eye sees, whatever the scale."""
        total = self.strength.sum()
        return float(self.strength.max() / total) if total > 0 else 1 / len(self.strength)

    @property
    def map_or_strength(self) -> np.ndarray:
        """Absolute map ``(mark, bin)``, or the strengths ``(mark,)`` where there is no map."""
        return np.abs(self.strength if self.evidence is None else self.evidence)


def of_gradients(gradients: np.ndarray, signals: np.ndarray) -> Attribution:
    """Of saliency ``(gene, mark, bin)``: mean gradient as map, mean absolute gradient as strength.

    Two marks act together where the gradient of one changes with the level of the other.
    """
    return Attribution(
        strength=np.abs(gradients).mean((0, 2), dtype=np.float64),
        evidence=gradients.mean(0, dtype=np.float64),
        pairs=_symmetric(gradient_slopes(gradients.sum(2, dtype=np.float64), signals)),
    )


def of_integrated(attributions: np.ndarray, signals: np.ndarray) -> Attribution:
    """Of attributions ``(gene, mark, bin)`` that stand for a difference from a baseline.

    The strength is the mean absolute attribution.  An attribution is positive where it speaks for
    high expression, be it for the presence or the absence of reads; the map is therefore how much
    the attribution rises with the signal of its bin (covariance over genes, divided by the
    signal's standard deviation), which for a linear classifier is weight times standard deviation.
    """
    return Attribution(
        strength=np.abs(attributions).mean((0, 2), dtype=np.float64),
        evidence=covariance_by_spread(attributions, signals),
        pairs=_symmetric(product_effects(attributions.sum(2, dtype=np.float64), signals)),
    )


def of_windows(ablations: np.ndarray, signals: np.ndarray) -> Attribution:
    """Of the ablation of windows ``(gene, mark, bin)``: as `of_integrated`, without pairs."""
    whole = of_integrated(ablations, signals)
    return Attribution(whole.strength, whole.evidence)


def of_marks(ablations: np.ndarray, together: np.ndarray, signals: np.ndarray) -> Attribution:
    """Of the ablation of marks ``(gene, mark)`` and pairs ``(gene, mark, mark)``, no positions."""
    return Attribution(
        strength=np.abs(ablations).mean(0, dtype=np.float64),
        direction=covariance_by_spread(ablations, signals.mean(2)),
        pairs=np.abs(together).mean(0, dtype=np.float64),
    )


def of_optimised(high: np.ndarray, low: np.ndarray) -> Attribution:
    """Of inputs optimised for high and for low expression ``(start, mark, bin)``: their difference.

    One input a class cannot say which marks act together.
    """
    evidence = high.mean(0, dtype=np.float64) - low.mean(0, dtype=np.float64)
    return Attribution(strength=np.abs(evidence).mean(1), evidence=evidence)


def of_favourites(
    pool: np.ndarray, log_odds: np.ndarray, keep: int, marks: Sequence[str]
) -> Attribution:
    """Of the GAN probe: the favourites for high minus those for low among generated signals.

    In standard deviations of the pool, bin by bin, so that a mark that varies much does not win by
    that alone.  Pairs: products of marks that the log odds follow beyond the sum of both
    (`dc2book.gan_probe.study.combination_effects`).
    """
    high, low = (
        top_of(pool, log_odds, keep, class_).samples.mean(0, dtype=np.float64)
        for class_ in ("high", "low")
    )
    spread = pool.std(0, dtype=np.float64)
    evidence = np.divide(high - low, spread, out=np.zeros_like(spread), where=spread > 0)
    effects, _ = combination_effects(pool, log_odds, marks)
    pairs = np.zeros((len(marks), len(marks)))
    for pair, effect in zip(effects["pair"], effects["effect"], strict=True):
        a, b = (list(marks).index(mark) for mark in pair.split(" and "))
        pairs[a, b] = pairs[b, a] = abs(effect)
    return Attribution(strength=np.abs(evidence).mean(1), evidence=evidence, pairs=pairs)


def of_attention(bins: np.ndarray, marks: np.ndarray, n_bins: int = 100) -> Attribution:
    """Of AttentiveChrome's attention over bins ``(gene, mark, bin)`` and marks ``(gene, mark)``.

    Attention is positive: it says how much, not for which class.  Its map is spread over `n_bins`
    if the model read wider bins.
    """
    weight = marks.mean(0, dtype=np.float64)
    width = n_bins // bins.shape[2]
    spread = np.repeat(bins.mean(0, dtype=np.float64), width, axis=1) / width
    return Attribution(strength=weight, evidence=weight[:, None] * spread, signed=False)


def covariance_by_spread(attributions: np.ndarray, signals: np.ndarray) -> np.ndarray:
    """Covariance over genes of attributions and signals by the signals' standard deviation.

    Both ``(gene, ...)``; zero where a signal never varies.
    """
    centred = signals - signals.mean(0, dtype=np.float64)
    covariance = (centred * attributions).mean(0)
    spread = centred.std(0)
    return np.divide(covariance, spread, out=np.zeros_like(spread), where=spread > 0)


def gradient_slopes(gradients: np.ndarray, signals: np.ndarray) -> np.ndarray:
    """How the gradient of a mark (row) changes with the level of another (column), standardised.

    Least squares of the gradients ``(gene, mark)``, summed over bins, on the marks' mean signals
    in standard deviations.
    """
    levels = scale(signals.mean(2, dtype=np.float64))
    design = np.column_stack([np.ones(len(levels)), levels])
    weights, *_ = np.linalg.lstsq(design, gradients, rcond=None)
    return weights[1:].T


def product_effects(attributions: np.ndarray, signals: np.ndarray) -> np.ndarray:
    """How the attribution of a mark (row) follows the product of its level and another's (column).

    Least squares of the attributions ``(gene, mark)``, summed over bins, on the mark's own level,
    its square and its products with all other levels, in standard deviations.
    """
    levels = scale(signals.mean(2, dtype=np.float64))
    n_marks = levels.shape[1]
    effects = np.zeros((n_marks, n_marks))
    for mark in range(n_marks):
        own = levels[:, [mark]]
        others = np.delete(np.arange(n_marks), mark)
        design = np.column_stack([np.ones(len(levels)), levels, own**2, own * levels[:, others]])
        weights, *_ = np.linalg.lstsq(design, attributions[:, mark], rcond=None)
        effects[mark, others] = weights[-len(others) :]
    return effects


def _symmetric(effects: np.ndarray) -> np.ndarray:
    pairs = np.abs(effects) + np.abs(effects).T
    np.fill_diagonal(pairs, 0)
    return pairs / 2
