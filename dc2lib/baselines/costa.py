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
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from dc2lib.baselines.contract import Fitted, Genes, Setting, log_totals

CANDIDATES: tuple[Setting, ...] = (
    {"components": 2, "gate": "constant"},
    {"components": 2, "gate": "marks"},
    {"components": 3, "gate": "marks"},
)
MIN_SPREAD = 1e-3
RESTARTS = 4
STEPS = 200  # at most; fewer where the mean log likelihood rises by less than TOLERANCE
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Mixture:
    """Components of a mixture: each a regression with a share of the genes."""

    coefficients: np.ndarray  #: float64 (component, feature + 1): the intercept comes last
    spread: np.ndarray  #: float64 (component,): standard deviation of what is left
    weight: np.ndarray  #: float64 (component,): share of the genes

    def predicted(self, features: np.ndarray) -> np.ndarray:
        """What each component expects of each gene, ``(gene, component)``."""
        return with_ones(features) @ self.coefficients.T

    def responsibilities(self, features: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Probability of each component given features and target, ``(gene, component)``."""
        return softmax(self._log_joint(features, target), axis=1)

    def log_likelihood(self, features: np.ndarray, target: np.ndarray) -> float:
        """Mean over the genes, natural logarithm."""
        return float(logsumexp(self._log_joint(features, target), axis=1).mean())

    def _log_joint(self, features: np.ndarray, target: np.ndarray) -> np.ndarray:
        density = norm.logpdf(target[:, None], self.predicted(features), self.spread)
        return np.log(self.weight) + density


def fit(train: Genes, valid: Genes, setting: Setting, seed: int) -> Fitted:
    """EM on log totals; a new gene's expected expression is the weighted mean of its components."""
    scaler = StandardScaler()
    features = scaler.fit_transform(log_totals(train.counts))
    mixture = em(features, train.expression, int(setting["components"]), seed)
    parameters = mixture.coefficients.size + 2 * len(mixture.weight) - 1
    gate = None
    if setting["gate"] == "marks":
        gate = fit_gate(features, mixture.responsibilities(features, train.expression))
        parameters += gate.coef_.size + gate.intercept_.size

    def score(counts: np.ndarray) -> np.ndarray:
        scaled = scaler.transform(log_totals(counts))
        weight = mixture.weight if gate is None else gate.predict_proba(scaled)
        return (mixture.predicted(scaled) * weight).sum(1)

    about = {name: getattr(mixture, name) for name in ("coefficients", "weight", "spread")}
    return Fitted(score, parameters, about)


def fit_gate(features: np.ndarray, responsibilities: np.ndarray) -> LogisticRegression:
    """Each component's probability from features ``(gene, feature)`` alone.

    Learned from responsibilities ``(gene, component)``.
    """
    genes, components = responsibilities.shape
    return LogisticRegression(C=1.0, max_iter=500).fit(
        np.repeat(features, components, axis=0),
        np.tile(np.arange(components), genes),
        sample_weight=responsibilities.ravel(),
    )


def em(features: np.ndarray, target: np.ndarray, n_components: int, seed: int) -> Mixture:
    """The best of some restarts by likelihood of a mixture of linear regressions.

    Features are ``(gene, feature)``, the target is ``(gene,)``.
    """
    rng = np.random.default_rng(seed)
    best, highest = None, -np.inf
    for _ in range(RESTARTS):
        share = rng.dirichlet(np.ones(n_components), size=len(target))
        mixture = _m_step(features, target, share)
        likelihood = mixture.log_likelihood(features, target)
        for _ in range(STEPS):
            mixture = _m_step(features, target, mixture.responsibilities(features, target))
            before, likelihood = likelihood, mixture.log_likelihood(features, target)
            if likelihood - before < TOLERANCE:
                break
        if likelihood > highest:
            best, highest = mixture, likelihood
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
    return Mixture(
        np.array(coefficients), np.maximum(spread, MIN_SPREAD), share.mean(0) + 1e-12
    )
