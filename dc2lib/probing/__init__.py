"""Two ways to ask a classifier what it looks for: optimise an input, or sample a generator.

`optimise_input` is gradient descent on the input with loss terms that the caller chooses;
`monte_carlo_probe` streams a generator through a classifier and keeps what the classifier likes
best.  Both take any PyTorch module.  Section 3.1 of DeepChrome 2.0 (arXiv 2209.11923).
"""

from dc2lib.probing.monte_carlo import latents, monte_carlo_probe
from dc2lib.probing.optimise import (
    DEEPCHROME_L2,
    DEEPCHROME_STEPS,
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
from dc2lib.probing.result import HISTOGRAM_EDGES, Probe
from dc2lib.probing.top_samples import Kept, log_odds, log_odds_of

__all__ = [
    "DEEPCHROME_L2",
    "DEEPCHROME_STEPS",
    "HISTOGRAM_EDGES",
    "Kept",
    "LossTerm",
    "Probe",
    "Trajectory",
    "class_term",
    "discriminator_term",
    "distance_term",
    "generated_start",
    "latents",
    "log_odds",
    "log_odds_of",
    "monte_carlo_probe",
    "norm_term",
    "optimise_input",
    "score_term",
    "uniform_start",
]
