"""What wrong labels do to AUROC: a ceiling, an identity, and a simulation that checks both.

Let a share ``high`` of the genes be truly high, and let a share ``flipped`` of all genes be high
but labelled low (the text rule moves labels in this direction only, as long as the median is below
10).  The observed positives are then the unflipped high genes, the observed negatives are the true
low genes and the flipped ones.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from dc2lib.datasets import published
from dc2lib.errors import DataError
from dc2lib.evaluation.scores import auroc


def expected_auroc(true_auroc: float, high: float, flipped: float) -> float:
    """AUROC on observed labels of a score with a given AUROC on the true labels.

    Holds where the flips do not depend on the score: a flipped gene then scores like an unflipped
    one, so half of those pairs come out right: ``(low * true_auroc + flipped / 2) / (low +
    flipped)`` with ``low = 1 - high``.  With a true AUROC of 1 it is the ceiling of scores that
    know every gene's true class and no more.

    ``high``, ``flipped``: shares of all genes. Raises DataError if the shares are impossible.

    >>> expected_auroc(1.0, 0.5, 0.0)
    1.0
    >>> round(expected_auroc(1.0, 0.5, 0.25), 4)
    0.8333
    """
    if not (0 < high < 1 and 0 <= flipped < high):
        raise DataError(f"shares high={high}, flipped={flipped}: expected 0 <= flipped < high < 1")
    low = 1 - high
    return (low * true_auroc + flipped / 2) / (low + flipped)


def simulated_auroc(
    true_auroc: float, high: float, flipped: float, *, n_genes: int = 100_000,
    seed: int = 0,
) -> float:  # fmt: skip
    """As `expected_auroc`, from genes whose scores and flips are drawn.

    The scores are normal, two classes a fixed distance apart; with a true AUROC
    of 1 they are the true class itself.
    """
    rng = np.random.default_rng(seed)
    true = (rng.random(n_genes) < high).astype(int)
    observed = np.where(
        (true == 1) & (rng.random(n_genes) < flipped / high), 0, true)
    score = true.astype(float)
    if true_auroc < 1:
        distance = np.sqrt(2) * stats.norm.ppf(true_auroc)
        score = score * distance + rng.standard_normal(n_genes)
    return auroc(observed, score)


def ceiling_curves(high: float = 0.45, seed: int = 0) -> pd.DataFrame:
    """`expected_auroc` and `simulated_auroc` by flipped share.

    Columns true_auroc, flipped, derived, simulated.
    """
    return pd.DataFrame([
        {"true_auroc": value, "flipped": share,
         "derived": expected_auroc(value, high, share),
         "simulated": simulated_auroc(value, high, share, seed=seed)}
        for value in (1.0, 0.95, 0.92) for share in np.linspace(0, 0.32, 9)
    ])


def cell_ceilings() -> pd.DataFrame:
    """Ceilings on the test genes of Roadmap's cell types under the text rule.

    Columns cell, flipped (share), class (ceiling of a score that knows every gene's class), rpkm
    (AUROC of the RPKM itself).
    """
    counts = published.label_rule_counts().query("split == 'test'").set_index(["rule", "cell"])
    high = (counts["positive"] / counts["genes"]).unstack("rule")
    flipped = high["numeric"] - high["lexicographic"]
    return pd.DataFrame({
        "cell": high.index,
        "flipped": flipped.to_numpy(),
        "class": [expected_auroc(1.0, share, max(lost, 0.0))
                  for share, lost in zip(high["numeric"], flipped, strict=True)],
        "rpkm": published.rpkm_columns()["rpkm_auroc"].reindex(high.index).to_numpy(),
    })


def decompose(scores: np.ndarray, true: np.ndarray, observed: np.ndarray) -> dict[str, float]:
    """Split the AUROC on observed labels into pairs with true low and with flipped genes.

    An identity, whatever the score:
    ``observed = (1 - weight_flipped) * kept_over_low + weight_flipped * kept_over_flipped``.

    All ``(gene,)``, labels 0 or 1.  Returns ``observed``: AUROC on the observed labels;
    ``kept_over_low``, ``kept_over_flipped``, ``flipped_over_low``: how often a gene of the first
    kind scores above one of the second, kept being the high genes that are labelled so;
    ``weight_flipped``: share of flipped genes among the observed negatives.  Raises DataError if a
    truly low gene is labelled high, or no gene is flipped.
    """
    kept, flipped, low = observed == 1, (true == 1) & (observed == 0), true == 0
    if (kept & low).any():
        raise DataError("a truly low gene is labelled high: the decomposition has no such flips")
    if not flipped.any():
        raise DataError("no gene is flipped: there is nothing to decompose")

    def above(first: np.ndarray, second: np.ndarray) -> float:
        either = first | second
        return auroc(first[either].astype(int), scores[either])

    return {
        "observed": auroc(observed, scores),
        "kept_over_low": above(kept, low),
        "kept_over_flipped": above(kept, flipped),
        "flipped_over_low": above(flipped, low),
        "weight_flipped": float(flipped.sum() / (flipped.sum() + low.sum())),
    }
