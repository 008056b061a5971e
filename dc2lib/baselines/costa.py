"""Mixture of linear regressions, fitted by EM (Costa et al. 2011).

Source: doi:10.1186/1471-2105-12-S1-S29.  There: marks and the binding affinity of transcription
factors to promoters, in the differentiation of T cells.  The affinities come from sequence, which
the released data do not hold; mark totals alone stand in.

For a new gene nobody knows its component.  With weights that are the same for all genes the
expected expression is again one linear function of the marks, so the mixture ranks new genes as a
single regression would, up to where its components put the slope.  The second candidate lets the
marks decide the weights (a gate by logistic regression); that gate is ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp, softmax
from sklearn.linear_model import LogisticRegression

from dc2lib.baselines.contract import Fitted, Genes, Setting, standardised
from dc2lib.baselines.karlic import log_totals

CANDIDATES: tuple[Setting, ...] = (
    {"components": 2, "gate": "constant"},
    {"components": 2, "gate": "marks"},
    {"components": 3, "gate": "marks"},
)
MIN_SPREAD = 1e-3


@dataclass(frozen=True)
class Mixture:
    """Components of a mixture: each a regression with a share of the genes.

    Attributes
    ----------
    coefficients : float64 (component, feature + 1)
        The intercept comes last.
    spread : float64 (component,)
        Standard deviation of what is left.
    weight : float64 (component,)
        Share of the genes.
    log_likelihood : float
        Mean over the genes.
    """

    coefficients: np.ndarray
    spread: np.ndarray
    weight: np.ndarray
    log_likelihood: float

    def predicted(self, features: np.ndarray) -> np.ndarray:
        """What each component expects of each gene, ``(gene, component)``."""
        return with_ones(features) @ self.coefficients.T

    def responsibilities(self, features: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Probability of each component given features and target, ``(gene, component)``."""
        return softmax(self._log_joint(features, target), axis=1)

    def _log_joint(self, features: np.ndarray, target: np.ndarray) -> np.ndarray:
        gap = (target[:, None] - self.predicted(features)) / self.spread
        return np.log(self.weight) - np.log(self.spread) - gap**2 / 2 - np.log(2 * np.pi) / 2


def fit(train: Genes, valid: Genes, setting: Setting, seed: int) -> Fitted:
    """EM on log totals; a new gene's expected expression is the weighted mean of its components."""
    raw = log_totals(train.counts)
    scale = standardised(raw)
    mixture = em(scale(raw), train.expression, int(setting["components"]), seed)
    gate = None
    if setting["gate"] == "marks":
        gate = Gate(scale(raw), mixture.responsibilities(scale(raw), train.expression))

    def score(counts: np.ndarray) -> np.ndarray:
        features = scale(log_totals(counts))
        weight = mixture.weight if gate is None else gate(features)
        return (mixture.predicted(features) * weight).sum(1)

    size = mixture.coefficients.size + 2 * len(mixture.weight) - 1
    return Fitted(
        score,
        parameters=size + (0 if gate is None else gate.size),
        about={
            "coefficients": mixture.coefficients,
            "weight": mixture.weight,
            "spread": mixture.spread,
        },
    )


class Gate:
    """Probability of each component from the features alone, by logistic regression."""

    def __init__(self, features: np.ndarray, responsibilities: np.ndarray) -> None:
        genes, components = responsibilities.shape
        self.model = LogisticRegression(C=1.0, max_iter=500)
        self.model.fit(
            np.repeat(features, components, axis=0),
            np.tile(np.arange(components), genes),
            sample_weight=responsibilities.ravel(),
        )
        self.size = self.model.coef_.size + self.model.intercept_.size

    def __call__(self, features: np.ndarray) -> np.ndarray:
        return self.model.predict_proba(features)


def em(
    features: np.ndarray,
    target: np.ndarray,
    n_components: int,
    seed: int,
    *,
    restarts: int = 4,
    steps: int = 200,
    tolerance: float = 1e-6,
) -> Mixture:
    """The best of some restarts by likelihood of a mixture of linear regressions.

    Parameters
    ----------
    features, target
        ``(gene, feature)`` and ``(gene,)``.
    steps, tolerance
        Stop after so many steps, or when the mean log likelihood rises by less.
    """
    rng = np.random.default_rng(seed)
    best: Mixture | None = None
    for _ in range(restarts):
        share = rng.dirichlet(np.ones(n_components), size=len(target))
        found = _m_step(features, target, share)
        for _ in range(steps):
            better = _m_step(features, target, found.responsibilities(features, target))
            gained = better.log_likelihood - found.log_likelihood
            found = better
            if gained < tolerance:
                break
        if best is None or found.log_likelihood > best.log_likelihood:
            best = found
    return best


def with_ones(features: np.ndarray) -> np.ndarray:
    """Features with a last column of ones, ``(gene, feature + 1)``."""
    return np.column_stack([features, np.ones(len(features))])


def _m_step(features: np.ndarray, target: np.ndarray, share: np.ndarray) -> Mixture:
    design = with_ones(features)
    ridge = 1e-6 * np.eye(design.shape[1])
    coefficients, spread = [], []
    for column in share.T:
        weighted = design * column[:, None]
        beta = np.linalg.solve(weighted.T @ design + ridge, weighted.T @ target)
        gap = target - design @ beta
        coefficients.append(beta)
        spread.append(np.sqrt(column @ gap**2 / (column.sum() + 1e-12)))
    found = Mixture(
        np.array(coefficients), np.maximum(spread, MIN_SPREAD), share.mean(0) + 1e-12, 0.0
    )
    likelihood = logsumexp(found._log_joint(features, target), axis=1).mean()
    return Mixture(found.coefficients, found.spread, found.weight, float(likelihood))
