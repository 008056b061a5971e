"""The claims of DeepChrome 2.0 (arXiv 2209.11923), in our words, and how each one is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf

from dc2book.claims.recorded import Query
from dc2book.mnist import RANK_MARGIN
from dc2lib.datasets import SOURCES, UNITS
from dc2lib.evaluation.statistics import MARGIN


@dataclass(frozen=True)
class Condition:
    """Under what a claim's quantity was measured: one column of the scorecard.

    ``decides`` is false for what is shown for comparison only.
    """

    title: str
    labels: str = "none"
    budget: str = "none"
    cell_types: str = "ours"
    strand: str = "as given"
    decides: bool = True


AUTHORS = "authors"
CONDITIONS = {
    AUTHORS: Condition("authors' runs", "released", "paper's recipe", "the paper's"),
    "released_score": Condition(
        "released labels and score", "released", "paper's recipe", decides=False),
    "released": Condition("released labels", "released", "paper's recipe"),
    "numeric": Condition("numeric labels", "numeric", "paper's recipe"),
    "released_tuned": Condition("released labels with tuning", "released", "tuned recipe"),
    "numeric_tuned": Condition("numeric labels with tuning", "numeric", "tuned recipe"),
    "released_peaks": Condition(
        "released labels with tuning, peaks", "released", "tuned recipe", "ours, as peaks"),
    "numeric_peaks": Condition(
        "numeric labels with tuning, peaks", "numeric", "tuned recipe", "ours, as peaks"),
    "released_strand": Condition(
        "released labels with tuning, strand given", "released", "tuned recipe", strand="given"),
    "numeric_strand": Condition(
        "numeric labels with tuning, strand given", "numeric", "tuned recipe", strand="given"),
    "numeric_totals": Condition("numeric labels, mark totals", "numeric", "tuned recipe"),
    "any": Condition("no labels"),
}
MANY_CELLS = 20
SOME_CELLS = 5  # from which on an interval over cell types speaks of others too
ALIKE = (-MARGIN, MARGIN)
NOT_BEHIND = (-inf, MARGIN)  # of a lead over the model that is claimed to be as good
BETTER = (MARGIN, inf)
MOST = (0.5, inf)  # of the cell types
FEWEST = (-inf, 0.5)
NOT_READS = tuple(unit for unit in UNITS if unit != "reads")
REPRESSOR = ("H3K27me3", "H3K9me3")


@dataclass(frozen=True)
class Claim:
    """One claim."""

    id: str
    short: str  # a few words for figures
    words: str  # the claim in our words
    where: str  # where the paper makes it
    paper: str  # the paper's number; empty where it gives none
    quantity: str  # what is compared
    #: by condition, a key of `CONDITIONS`; that of the authors' runs needs no query
    queries: Mapping[str, Query]
    #: the claim holds where the quantity's interval lies within, and fails where it lies outside
    region: tuple[float, float]
    chapter: str  # where the reader finds the evidence
    min_cells: int = 0  # claims about averages over cell types need so many of them to be judged
    #: the share of fits that levelled off: those behind every condition, or, where the query names
    #: the paper's recipe, those behind its conditions
    converged: Query | None = None


def _both(query: Query, budget: str = "tuned") -> dict[str, Query]:
    """Both label rules, with probabilities as scores where there are scores."""
    end = "" if budget == "paper" else f"_{budget}"
    return {
        f"released{end}": query.with_tags(labels="lexicographic"),
        f"numeric{end}": query.with_tags(labels="numeric"),
    }


def _by_unit(query: Query) -> dict[str, Query]:
    """The probe's conditions: on a cell type in reads, and on one given as peaks or coverage."""
    return {
        **_both(query.with_tags(unit="reads")),
        **_both(query.with_tags(unit=NOT_READS), "peaks"),
    }


def _level(query: Query) -> dict[str, Query]:
    """With the paper's recipe: the released score, and probabilities under both label rules."""
    score = query.with_tags(labels="lexicographic", scoring="positive_logit")
    return {"released_score": score, **_both(query.with_tags(scoring="probability"), "paper")}


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


def _variants(recipe: str, orientation: str) -> dict[str, Query]:
    tags = {"model": ("deepchrome_average", "deepchrome_strided"), "reference": "deepchrome_max",
            "recipe": recipe, "orientation": orientation, "scoring": "probability"}
    fits = Query("architectures", "auroc", {**tags, "reference": None})
    query = Query("architectures", "auroc_difference", tags, "hull", per=("model",), cells=fits)
    return _both(query, recipe)


_PAPER_RECIPE = {"recipe": "paper", "orientation": "genome"}
_NETWORK = Query(
    "architectures", "mean_auroc", {"model": "deepchrome_max", **_PAPER_RECIPE}, cells="n")
_LINEAR = Query(
    "linear_baseline", "auroc", {"model": "linear", "recipe": "paper", "restarts": "best_of_all"})
_TUNED_LEAD = Query(
    "architectures", "auroc_difference",
    {"model": "deepchrome_max", "reference": "linear", "recipe": "tuned",
     "scoring": "probability"},
)
_CONVERGED = Query(("architectures", "audit"), "converged", _PAPER_RECIPE)
_FIVE_MARKS = {"study": "five_marks"}
_OWN = {"reference": "deepchrome", "cell": "mean", "genes": "all"}
_STUDIED = Query("cross_cell", "auroc", {"experiment": "deepchrome"}, prefer=_FIVE_MARKS)
_FIGURE_7 = Query(
    "cross_cell", "transfer_correlation",
    {"driver": "aligned_correlation", "data_source": SOURCES}, prefer=_FIVE_MARKS, cells="n")

_FIGURE_7_TOTALS = replace(
    _FIGURE_7, key="transfer_correlation_of_totals", prefer={"study": "three_marks"},
).with_tags(labels="numeric")


def _levelled_off(*experiments: str) -> Query:
    tags = {"experiment": experiments} if experiments else {}
    return Query("cross_cell", "converged", {"model": "deepchrome_average", **tags})


def _experiment(name: str) -> dict[str, Query]:
    return _both(Query("cross_cell", "auroc_difference", {**_OWN, "experiment": name},
                       prefer=_FIVE_MARKS, cells="n"))


def _positive_weights(*marks: str) -> dict[str, Query]:
    """Share of cell types whose weight on "high" is positive, the mark with the largest."""
    tags = {"class": "high", "mark": marks, "model": "linear"}
    return _both(Query("linear_baseline", "weight", tags, "positive_share", per=("mark",)))


def _activation(class_: str, *marks: str) -> dict[str, Query]:
    """Range over all pairs of a generator, of either kind, and a classifier."""
    return _by_unit(Query("gan_probe", "mark_activation", {"mark": marks, "class": class_},
                          "lowest", per=("mark",), prefer={"model": "both_generators"}))


def _difference(of: str, minus: str, size: bool = False) -> Query:
    """Difference of the mean probability of two kinds of input."""
    key = "mean_positive_probability"
    return Query("gan_probe", key, {"input": of}, size=size,
                 minus=Query("gan_probe", key, {"input": minus}))


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "network_level", "The network reaches 0.77",
        "The re-implemented network reaches the stated mean AUROC over cell types.",
        "section 4.3, Table 2", "0.77", "mean AUROC, paper's recipe",
        _level(_NETWORK), (0.75, 0.79), "architectures", MANY_CELLS,
        _CONVERGED.with_tags(model="deepchrome_max"),
    ),
    Claim(
        "linear_level", "The linear model reaches 0.77",
        "The linear model of 12 parameters reaches the same mean AUROC.",
        "section 4.3, Table 2", "0.77", "mean AUROC, best of five restarts, paper's recipe",
        _level(_LINEAR), (0.75, 0.79), "linear_baseline", MANY_CELLS,
    ),
    Claim(
        "variants_alike", "Kinds of pooling hardly differ",
        "Average pooling or strides in place of max pooling make a minimal difference.",
        "sections 1, 4.3, Table 2", "0.78, 0.76 against 0.77",
        "AUROC minus max pooling, the variant that differs most",
        _variants("paper", "genome") | _variants("tuned", "gene"), ALIKE, "architectures",
        SOME_CELLS, _CONVERGED,
    ),
    Claim(
        "linear_as_good", "12 parameters do as well, paper's recipe",
        "A linear model of 12 parameters predicts as well as the network, by the released recipe.",
        "abstract; section 4.3, Table 2", "0.77 against 0.77",
        "AUROC of the network minus the best of five linear models, paper's recipe",
        _network_minus_linear(), NOT_BEHIND, "audit",
        converged=_CONVERGED.with_tags(model="deepchrome_max"),
    ),
    Claim(
        "counts_are_enough", "A network learns no more than mean counts",
        "What the network learns is no more informative than the mean count of each mark.",
        "sections 1.1, 4.3, 5", "0.77 against 0.77",
        "AUROC of the network minus linear, tuned recipe: bins as released, and along the gene",
        {**_both(_TUNED_LEAD.with_tags(orientation="genome")),
         **_both(_TUNED_LEAD.with_tags(orientation="gene"), "strand")}, NOT_BEHIND, "architectures",
    ),
    Claim(
        "promoter_weights", "Linear model: H3K4me3 speaks for high",
        "In the linear model the promoter mark H3K4me3 raises the answer “high”.",
        "section 4.3, Figure 8", "", "share of cell types with a positive weight on high",
        _positive_weights("H3K4me3"), MOST, "linear_baseline",
    ),
    Claim(
        "enhancer_weights", "Linear model: H3K4me1 speaks for high",
        "In the linear model H3K4me1, for us a promoter mark too, raises the answer “high”.",
        "section 4.3, Figure 8", "", "share of cell types with a positive weight on high",
        _positive_weights("H3K4me1"), MOST, "linear_baseline",
    ),
    Claim(
        "repressor_weights", "Linear model: repressors speak for low",
        "In the linear model repressive marks lower the answer “high”.",
        "section 4.3, Figure 8", "",
        "share of cell types with a positive weight on high, the larger of H3K27me3 and H3K9me3",
        _positive_weights(*REPRESSOR), FEWEST, "linear_baseline",
    ),
    Claim(
        "splits_alike", "Splits correlate alike",
        "Expression correlates between cell types alike in training, validation and test genes.",
        "section 3.3, Figure 3", "",
        "correlation of the heat maps' entries with those of training genes, the lower one",
        {"any": Query("data", "heat_map_similarity",
                      {"split": ("valid", "test"), "transform": "raw"}, "lowest",
                      per=("split",), cells="n")},
        (0.5, inf), "data", MANY_CELLS,
    ),
    Claim(
        "all_cells_help", "All cell types beat one",
        "Training on all cell types is better than on the test cell type alone.",
        "section 4.2, Figures 5, 6", "the highest bar", "AUROC of Inclusive All minus own",
        _experiment("inclusive_all"), BETTER, "cross_cell",
        converged=_levelled_off("inclusive_all"),
    ),
    Claim(
        "more_data_helps", "More training genes, higher AUROC",
        "Performance rises with the number of training genes over the experiments.",
        "section 4.2, Figure 6b", "", "rank correlation of the bars with training genes",
        _both(Query("cross_cell", "experiment_rank_correlation", {"driver": "genes"},
                    prefer=_FIVE_MARKS, cells=_STUDIED)),
        (0.5, inf), "cross_cell", converged=_levelled_off(),
    ),
    Claim(
        "correlation_unrelated", "Similar expression does not help transfer",
        "How alike the expression of two cell types is has essentially no bearing on transfer.",
        "sections 1, 4.2, 4.4, Figures 6a, 7", "small slope, insignificant r",
        "correlation of change of AUROC with expression correlation",
        {**_both(_FIGURE_7), "numeric_totals": _FIGURE_7_TOTALS}, (-0.2, 0.2), "cross_cell",
    ),
    Claim(
        "cell_type_independent", "Other cell types do as well as the own",
        "Models of other cell types predict a cell type as well as its own; from this the paper "
        "concludes that marks and expression have one relation in all.",
        "abstract; sections 1, 4.4, Figures 6, 7", "",
        "AUROC of Exclusive All minus own, over all genes",
        _experiment("exclusive_all"), (-MARGIN, inf), "cross_cell",
        converged=_levelled_off("exclusive_all"),
    ),
    Claim(
        "gain_at_low_expression", "All cell types lower silent genes",
        "Training on all cell types lowers the predicted probability of genes of low expression.",
        "section 4.4, Figure 9", "", "change of probability in the lowest fifth of the genes",
        _both(Query("cross_cell", "probability_shift", {"fifth": "low"}, prefer=_FIVE_MARKS)),
        (-inf, 0), "cross_cell", converged=_levelled_off("inclusive_all"),
    ),
    Claim(
        "generated_like_real", "Generated genes score like real ones",
        "A classifier gives generated and real signals the same mean probability.",
        "section 4.1, Table 1", "0.31 against 0.30", "generated minus real",
        _by_unit(_difference("generated", "real")),
        (-0.03, 0.03), "gan_probe",
    ),
    Claim(
        "random_unlike_real", "Random inputs score unlike real ones",
        "Random inputs get another mean probability than real ones.",
        "section 4.1, Table 1", "0.19 against 0.30", "real minus random, without its sign",
        _by_unit(_difference("real", "random", size=True)),
        (0.03, inf), "gan_probe",
    ),
    Claim(
        "probe_high", "Probe for high: H3K4me3",
        "What the classifier likes best as “high” carries the promoter mark H3K4me3.",
        "section 4.1, Figure 4", "", "activation of H3K4me3 against all generated signals",
        _activation("high", "H3K4me3"), (0, inf), "gan_probe",
    ),
    Claim(
        "probe_enhancer", "Probe for high: H3K4me1",
        "What it likes best as “high” carries H3K4me1, for us a promoter mark too.",
        "section 4.1, Figure 4", "", "activation of H3K4me1 against all generated signals",
        _activation("high", "H3K4me1"), (0, inf), "gan_probe",
    ),
    Claim(
        "probe_structural", "Probe for high: H3K36me3",
        "What it likes best as “high” carries H3K36me3, the mark of the gene's body.",
        "section 4.1, Figure 4", "", "activation of H3K36me3 against all generated signals",
        _activation("high", "H3K36me3"), (0, inf), "gan_probe",
    ),
    Claim(
        "probe_low", "Probe for low: repressive marks",
        "What it likes best as “low” carries repressive marks.",
        "section 4.1, Figure 4", "",
        "activation against all generated signals, the lower of H3K27me3 and H3K9me3",
        _activation("low", *REPRESSOR), (0, inf), "gan_probe",
    ),
    Claim(
        "optimised_unrealistic", "Optimised inputs are unrealistic",
        "Inputs optimised by gradient ascent convince the classifier and are not realistic.",
        "section 3.1, Figure 1", "",
        "optimised minus real digits, losses (a) and (b), mean rank by the most lenient judge",
        {"any": Query("mnist_visualization", "judge_difference", {"method": ("a", "b")},
                      "highest", per=("method", "judge"))},
        (-inf, 0), "mnist_visualization",
    ),
    Claim(
        "sampled_realistic", "Sampled inputs are realistic",
        "Generated inputs that pass the strictest threshold lie within the real distribution.",
        "section 3.1, Figure 2", "",
        "sampled minus real digits, both above 0.9999, mean rank by the strictest of three judges, "
        "which has learned what the digits of our generator look like",
        {"any": Query("mnist_visualization", "judge_difference",
                      {"method": "sampled", "threshold": 0.9999}, "lowest", per=("judge",))},
        (-RANK_MARGIN, inf), "mnist_visualization",
    ),
    Claim(
        "confident_is_realistic", "More confident is more realistic",
        "The more confident the classifier, the more realistic the sample.",
        "section 3.1, Figure 2", "",
        "rank correlation of confidence and realism, by the judge with the lowest",
        {"any": Query("mnist_visualization", "trend", {"source": "generated"}, "lowest",
                      per=("judge",))},
        (0, inf), "mnist_visualization",
    ),
)
