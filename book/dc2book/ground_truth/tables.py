"""Tables of a study: recovery by method, rule and aspect; ranks; AUROC of the models."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from dc2book.ground_truth.recovery import recovery, share_interval, similarity
from dc2book.ground_truth.replicates import Replicate
from dc2book.style import estimates, interval_texts
from dc2lib.evaluation.scores import auroc
from dc2lib.evaluation.statistics import Interval, student_interval
from dc2lib.training.fit import levelled_off


def score_table(replicates: Sequence[Replicate]) -> pd.DataFrame:
    """Every score of every replicate: rule, seed, method, aspect, value."""
    return pd.DataFrame([
        {"rule": one.plan.rule, "seed": one.plan.seed, "method": method, "aspect": aspect,
         "value": value}
        for one in replicates for truth in [one.truth]
        for method, attribution in one.attributions.items()
        for aspect, value in recovery(attribution, truth).items()
    ])


def recovery_table(scores: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """Mean score over seeds with its interval, beside that of untrained networks.

    Both tables are those of `score_table`.  Columns rule, method, aspect, estimate, low, high, n,
    untrained, untrained_low, untrained_high.
    """
    by = ["rule", "method", "aspect"]
    trained, start = (estimates(one, by, lambda part: mean_interval(part["value"], score=True))
                      for one in (scores, before))
    named = {"estimate": "untrained", "low": "untrained_low", "high": "untrained_high"}
    return trained.merge(start.drop(columns="n").rename(columns=named), on=by)


def ranking(scores: pd.DataFrame, before: pd.DataFrame, aspect: str = "marks") -> pd.DataFrame:
    """Methods from best to worst by their mean score over all worlds, paired by world.

    Columns method, of, estimate, low, high, n (worlds); of: score, untrained (the score before
    training), learned (score minus untrained), behind (the best method's score minus this one).
    """
    wide, control = (
        table[table["aspect"] == aspect].pivot(
            index=["rule", "seed"], columns="method", values="value"
        )
        for table in (scores, before)
    )
    order = wide.mean().sort_values(ascending=False, kind="stable").index
    return pd.DataFrame([
        {"method": method, "of": of}
        | vars(mean_interval(values[method], score=of in ("score", "untrained")))
        for method in order
        for of, values in (("score", wide), ("untrained", control), ("learned", wide - control),
                           ("behind", wide.rsub(wide[order[0]], axis=0)))
    ])


def summary(ranks: pd.DataFrame, recovered: pd.DataFrame) -> pd.DataFrame:
    """Methods as a reader compares them: mean score for marks, learned, behind, other aspects.

    The tables are those of `ranking` and `recovery_table`.
    """
    text = ranks.assign(text=interval_texts(ranks, digits=2)).pivot(
        index="method", columns="of", values="text").loc[ranks["method"].unique()]
    shown = pd.DataFrame({"marks": text["score"].str.split().str[0], "learned": text["learned"],
                          "behind the best": text["behind"]})
    other = recovered[recovered["aspect"] != "marks"]
    other = other.groupby(["method", "aspect"])["estimate"].mean().unstack()
    return shown.join(other.reindex(shown.index).map("{:.2f}".format).replace("nan", ""))


def score_differences(scores: pd.DataFrame, methods: Sequence[str], against: str) -> pd.DataFrame:
    """Mean over worlds of each method's score minus another's, over the aspects that both have.

    Student's interval over worlds, all rules together; the table is that of `score_table`.
    Columns method, estimate, low, high, n.
    """
    wide = scores.pivot(index=["rule", "seed", "aspect"], columns="method", values="value")
    gaps = {
        method: (wide[method] - wide[against]).dropna().groupby(level=["rule", "seed"]).mean()
        for method in methods
    }
    return pd.DataFrame([{"method": method} | vars(mean_interval(gap))
                         for method, gap in gaps.items()])


def converged(replicates: Sequence[Replicate], models: Sequence[str]) -> pd.DataFrame:
    """Share of each model's networks whose validation AUROC has levelled off, with its interval."""
    return pd.DataFrame([
        {"model": model} | vars(share_interval([
            levelled_off(one.valid_auroc[model]) for one in replicates if model in one.valid_auroc
        ]))
        for model in models
    ])


def similarity_table(trained: Sequence[Replicate], untrained: Sequence[Replicate]) -> pd.DataFrame:
    """Correlation of a trained network's attribution with those of another and an untrained one.

    The replicates of both are paired by rule and seed: the untrained network is the one from which
    training started, explained on the same genes.

    Returns columns rule, method, seed, other_seed (correlation with the next seed's trained
    network), untrained.
    """
    before = {(one.plan.rule, one.plan.seed): one for one in untrained}
    rows = []
    for rule in dict.fromkeys(one.plan.rule for one in trained):
        ones = [one for one in trained if one.plan.rule == rule]
        for one, following in zip(ones, ones[1:] + ones[:1], strict=True):
            others = following.attributions, before[rule, one.plan.seed].attributions
            rows += [
                (rule, method, one.plan.seed, *(similarity(own, other[method]) for other in others))
                for method, own in one.attributions.items()
            ]
    return pd.DataFrame(rows, columns=["rule", "method", "seed", "other_seed", "untrained"])


def model_table(replicates: Sequence[Replicate]) -> pd.DataFrame:
    """Test AUROC of every model in every replicate: rule, seed, model, auroc."""
    return pd.DataFrame([
        {"rule": one.plan.rule, "seed": one.plan.seed, "model": model,
         "auroc": auroc(one.labels, values)}
        for one in replicates for model, values in one.scores.items()
    ])


def model_aurocs(models: pd.DataFrame) -> pd.DataFrame:
    """Mean AUROC over worlds by rule and model: columns rule, model, estimate, low, high, n."""
    return estimates(models, ["rule", "model"],
                     lambda part: mean_interval(part["auroc"], score=True))


def mean_interval(values: Sequence[float], *, score: bool = False) -> Interval:
    """Mean over worlds with Student's interval; that of a ``score`` ends at 0 and 1."""
    return student_interval(values, lowest=0.0, highest=1.0) if score else student_interval(values)


def model_differences(models: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """AUROC of one model minus that of another in the same world: rule, estimate, low, high, n."""
    wide = models.pivot(index=["rule", "seed"], columns="model", values="auroc").reset_index()
    return estimates(wide, ["rule"], lambda part: mean_interval(part[first] - part[second]))
