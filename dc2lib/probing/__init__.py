"""Ask a classifier what it looks for: optimise an input, sample a generator, attribute a gene.

`optimise_input` is gradient descent on the input with loss terms that the caller chooses;
`monte_carlo_probe` streams a generator through a classifier and keeps what the classifier likes
best; `attribution` says how much of the log odds each mark and bin is given.  All take any PyTorch
module.  Section 3.1 of DeepChrome 2.0 (arXiv 2209.11923).

>>> from torch import nn
>>> start = uniform_start(2, (6,))
>>> optimise_input(start, [class_term(nn.Linear(6, 3), target=1)], steps=5).final.shape
(2, 6)
"""

from dc2lib.probing.monte_carlo import (
    Panel,
    ProbeResult,
    Samples,
    log_odds,
    monte_carlo_probe,
    top_samples,
)
from dc2lib.probing.optimise import (
    LossTerm,
    Trajectory,
    class_term,
    discriminator_term,
    distance_term,
    generated_start,
    norm_term,
    optimise_input,
    score_term,
    uniform_start,
)

__all__ = [
    "LossTerm", "Panel", "ProbeResult", "Samples", "Trajectory", "class_term",
    "discriminator_term", "distance_term", "generated_start", "log_odds", "monte_carlo_probe",
    "norm_term", "optimise_input", "score_term", "top_samples", "uniform_start",
]  # fmt: skip
