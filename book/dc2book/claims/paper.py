"""The claims of DeepChrome 2.0 (arXiv 2209.11923), in our words, and how each one is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from dc2book.claims.recorded import Query
from dc2lib.datasets import SOURCES
from dc2lib.evaluation.statistics import MARGIN

CONDITIONS = {
    "released_score": "released labels, released score",
    "released": "released labels, probability",
    "numeric": "numeric labels, probability",
    "any": "no labels involved",
}
MANY_CELLS = 20
ALIKE = (-MARGIN, MARGIN)
NOT_BEHIND = (-inf, MARGIN)  # of a lead over the model that is claimed to be as good
PROMOTER = ("H3K4me3", "H3K4me1")
REPRESSOR = ("H3K27me3", "H3K9me3")


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes
    ----------
    id : str
    words : str
        The claim in our words.
    where : str
        Where the paper makes it.
    paper : str
        The paper's number; empty where it gives none.
    quantity : str
        What is compared.
    queries : mapping condition -> Query
        Conditions are the keys of `CONDITIONS`.
    holds : (low, high)
        The claim holds where the quantity's interval lies within, and fails where it lies outside.
    chapter : str
        Where the reader finds the evidence.
    min_cells : int
        Claims about averages need so many cell types to be judged.
    measured : bool
        Whether only measured (or published) data can judge the claim: the simulator's levels are
        calibrated and its relation of marks and expression is the same in all cell types, so it
        would only hand back what was put in.
    """

    id: str
    words: str
    where: str
    paper: str
    quantity: str
    queries: Mapping[str, Query]
    holds: tuple[float, float]
    chapter: str
    min_cells: int = 0
    measured: bool = False


def _three(query: Query) -> dict[str, Query]:
    """The three conditions, for rows tagged with label rule and score."""
    return {
        "released_score": query.with_tags(labels="lexicographic", scoring="positive_logit"),
        "released": query.with_tags(labels="lexicographic", scoring="probability"),
        "numeric": query.with_tags(labels="numeric", scoring="probability"),
    }


def _two(query: Query) -> dict[str, Query]:
    """Both label rules, for rows without a score, or with probabilities only."""
    return {
        "released": query.with_tags(labels="lexicographic"),
        "numeric": query.with_tags(labels="numeric"),
    }


def _level(model: str) -> dict[str, Query]:
    tags = {"model": model, "recipe": "paper", "orientation": "genome"}
    return _three(Query("architectures", "mean_auroc", tags))


def _network_minus_linear() -> dict[str, Query]:
    """On the released budgets: single fits of the network, the best of five of the linear model."""
    stages = {
        "released_score": "released_labels_and_score",
        "released": "probability_score",
        "numeric": "numeric_labels",
    }
    return {
        name: Query("audit", "stage_lead", {"stage": stage, "reference": "linear"})
        for name, stage in stages.items()
    }


_TUNED_LEAD = Query(
    "architectures", "auroc_difference",
    {"model": "deepchrome_max", "reference": "linear", "recipe": "tuned", "orientation": "gene",
     "scoring": "probability"},
)
_VARIANTS = Query(
    "architectures", "auroc_difference",
    {"model": ("deepchrome_average", "deepchrome_strided"), "reference": "deepchrome_max",
     "recipe": "paper", "scoring": "probability"},
    combine="hull",
)
_EXPERIMENT = {"reference": "deepchrome", "cell": "mean", "genes": "all"}
_PROBABILITY = Query("gan_probe", "mean_positive_probability")
_FIGURE_7 = Query("cross_cell", "transfer_correlation", {"driver": "aligned_correlation"})


def _weight(marks: tuple[str, ...], combine: str) -> Query:
    tags = {"class": "high", "mark": marks, "model": "linear"}
    return Query("linear_baseline", "weight", tags, combine, per=("mark",))


def _activation(marks: tuple[str, ...], class_: str) -> Query:
    return Query("gan_probe", "mark_activation", {"mark": marks, "class": class_}, "lowest",
                  per=("mark",))


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "network_level",
        "The re-implemented network reaches the stated mean AUROC over cell types.",
        "section 4.3, Table 2", "0.77", "mean AUROC, paper's recipe",
        _level("deepchrome_max"), (0.75, 0.79), "architectures", MANY_CELLS, True,
    ),
    Claim(
        "linear_level",
        "The linear model of 12 parameters reaches the same mean AUROC.",
        "section 4.3, Table 2", "0.77", "mean AUROC, paper's recipe",
        _level("linear"), (0.75, 0.79), "architectures", MANY_CELLS, True,
    ),
    Claim(
        "variants_alike",
        "Average pooling or strides in place of max pooling make a minimal difference.",
        "abstract; section 4.3, Table 2", "0.78, 0.76 against 0.77",
        "AUROC minus max pooling, the variant farthest off, paper's recipe",
        _two(_VARIANTS), ALIKE, "architectures",
    ),
    Claim(
        "linear_as_good",
        "A linear model of 12 parameters predicts as well as the network, trained as in the paper.",
        "abstract; section 4.3, Table 2", "0.77 against 0.77",
        "AUROC of the network minus the best of five linear models, paper's recipe",
        _network_minus_linear(), NOT_BEHIND, "audit",
    ),
    Claim(
        "counts_are_enough",
        "What a network can learn is no more informative than the mean count of each mark.",
        "contribution 3; sections 4.3, 5", "0.77 against 0.77",
        "AUROC of the network minus linear, tuned recipe",
        _two(_TUNED_LEAD), NOT_BEHIND, "architectures",
    ),
    Claim(
        "promoter_weights",
        "In the linear model marks of active promoters raise the answer “high”.",
        "section 4.3, Figure 8", "", "smallest weight of H3K4me3 and H3K4me1 on high",
        _two(_weight(PROMOTER, "lowest")), (0, inf), "linear_baseline",
    ),
    Claim(
        "repressor_weights",
        "In the linear model repressive marks lower the answer “high”.",
        "section 4.3, Figure 8", "", "largest weight of H3K27me3 and H3K9me3 on high",
        _two(_weight(REPRESSOR, "highest")), (-inf, 0), "linear_baseline",
    ),
    Claim(
        "splits_alike",
        "Expression correlates between cell types alike in training, validation and test genes.",
        "section 3.3, Figure 3", "",
        "correlation of the heat maps' entries with those of training genes, the lower one",
        {"any": Query("data", "heat_map_similarity",
                       {"split": ("valid", "test"), "transform": "raw"}, "lowest")},
        (0.5, inf), "data", MANY_CELLS, True,
    ),
    Claim(
        "all_cells_help",
        "Training on all cell types is better than on the test cell type alone.",
        "section 4.2, Figures 5, 6", "0.81 against 0.77", "AUROC of Inclusive All minus own",
        _two(Query("cross_cell", "auroc_difference",
                    {**_EXPERIMENT, "experiment": "inclusive_all"})),
        (0, inf), "cross_cell", measured=True,
    ),
    Claim(
        "more_data_helps",
        "Performance rises with the number of training genes over the experiments.",
        "section 4.2, Figure 6b", "", "rank correlation of the bars with training genes",
        _two(Query("cross_cell", "experiment_rank_correlation", {"driver": "genes"})),
        (0.5, inf), "cross_cell", measured=True,
    ),
    Claim(
        "correlation_unrelated",
        "How alike the expression of two cell types is has essentially no bearing on transfer.",
        "abstract; sections 4.2, 4.4, Figure 7", "small slope, insignificant r",
        "correlation of change of AUROC with expression correlation",
        {
            "released_score": _FIGURE_7.with_tags(data_source="published"),
            **_two(_FIGURE_7.with_tags(data_source=SOURCES)),
        },
        (-0.2, 0.2), "cross_cell", measured=True,
    ),
    Claim(
        "cell_type_independent",
        "The relation of marks and expression does not depend on the cell type.",
        "abstract; contribution 2; section 4.4", "0.81 against 0.77",
        "AUROC of Exclusive All minus own",
        _two(Query("cross_cell", "auroc_difference",
                    {**_EXPERIMENT, "experiment": "exclusive_all"})),
        (-MARGIN, inf), "cross_cell", measured=True,
    ),
    Claim(
        "gain_at_low_expression",
        "Training on all cell types lowers the predicted probability of genes of low expression.",
        "section 4.4, Figure 9", "",
        "change of probability in the lowest fifth of the genes, the cell type farthest off",
        _two(Query("cross_cell", "probability_shift", {"fifth": "low"}, "hull")),
        (-inf, 0), "cross_cell",
    ),
    Claim(
        "generated_like_real",
        "A classifier gives generated and real signals the same mean probability.",
        "section 4.1, Table 1", "0.31 against 0.30", "generated minus real",
        _two(Query("gan_probe", "mean_positive_probability", {"input": "generated"},
                    minus=_PROBABILITY.with_tags(input="real"))),
        (-0.03, 0.03), "gan_probe",
    ),
    Claim(
        "random_unlike_real",
        "Random inputs get another mean probability than real ones.",
        "section 4.1, Table 1", "0.19 against 0.30", "real minus random",
        _two(Query("gan_probe", "mean_positive_probability", {"input": "real"},
                    minus=_PROBABILITY.with_tags(input="random"))),
        (0.03, inf), "gan_probe",
    ),
    Claim(
        "probe_high",
        "What the classifier likes best as “high” carries promoter and structural marks.",
        "section 4.1, Figure 4", "",
        "least activation of H3K4me3, H3K4me1, H3K36me3 against all generated signals",
        _two(_activation((*PROMOTER, "H3K36me3"), "high")), (0, inf), "gan_probe",
    ),
    Claim(
        "probe_low",
        "What it likes best as “low” carries repressive marks.",
        "section 4.1, Figure 4", "",
        "least activation of H3K27me3, H3K9me3 against all generated signals",
        _two(_activation(REPRESSOR, "low")), (0, inf), "gan_probe",
    ),
    Claim(
        "optimised_unrealistic",
        "Inputs optimised by gradient ascent convince the classifier and are not realistic.",
        "section 3.1, Figure 1", "",
        "optimised minus real digits, losses (a) and (b), the unseen judge that rates them highest",
        {"any": Query("mnist_visualization", "judge_difference", {"method": ("a", "b")},
                       "highest")},
        (-inf, 0), "mnist_visualization",
    ),
    Claim(
        "sampled_realistic",
        "Generated inputs that pass the strictest threshold are realistic.",
        "section 3.1, Figure 2", "",
        "sampled above 0.9999 minus real digits, the unseen judge that rates them lowest",
        {"any": Query("mnist_visualization", "judge_difference",
                       {"method": "sampled", "threshold": 0.9999}, "lowest")},
        (-0.05, inf), "mnist_visualization",
    ),
    Claim(
        "confident_is_realistic",
        "The more confident the classifier, the more realistic the sample.",
        "section 3.1, Figure 2", "", "rank correlation of confidence and realism, least judge",
        {"any": Query("mnist_visualization", "trend", {"source": "generated"}, "lowest")},
        (0, inf), "mnist_visualization",
    ),
)
