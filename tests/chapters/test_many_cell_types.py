"""With 56 cell types nothing overprints: labels of ticks, legends, sizes; captions stay short."""

import ast
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from dc2book import linear_baseline, style
from dc2book.cross_cell import figures as cross_cell
from dc2book.data import figures as data
from dc2book.data import sources
from dc2book.related_work import figures as related_work

from dc2lib.crosscell import EXPERIMENTS
from tools.chapters import find_chapters

CELLS = [f"E{number:03d}" for number in range(1, 57)]
RULES = ["numeric", "lexicographic"]
MOST_CHARACTERS, OF_A_VALUE = 400, 12
TALLEST, WIDEST = 10, 11  # inches


def crossed(**columns):
    """A row for each combination of the values, with an estimate and an interval."""
    table = pd.MultiIndex.from_product(columns.values(), names=columns).to_frame(index=False)
    value = np.random.default_rng(0).uniform(0.6, 0.9, len(table))
    return table.assign(estimate=value, low=value - 0.02, high=value + 0.02, n=500)


def restarts():
    table = crossed(cell=CELLS, labels=RULES, scoring=["probability", "positive_logit"],
                    restart=range(5))
    return linear_baseline.plot_restarts(
        table.assign(auroc=table["estimate"], chosen=table["restart"] == 0))


def elsewhere():
    table = crossed(genes=["all", "varying"], predictor=["own", "other"], cell=[*CELLS, "mean"])
    return cross_cell.predictor_forest(table, {})


def experiments():
    values = np.random.default_rng(0).uniform(size=(len(EXPERIMENTS), len(CELLS)))
    return cross_cell.experiment_maps({"numeric": pd.DataFrame(values, list(EXPERIMENTS), CELLS)})


def heat_maps():
    matrix = pd.DataFrame(np.eye(len(CELLS)), CELLS, CELLS)
    return data.expression_heat_maps(dict.fromkeys(("train", "valid", "test"), matrix))


def class_shares():
    balance = crossed(cell=CELLS, labels=RULES, split=["train", "valid", "test"])
    along = crossed(cell=CELLS, labels=RULES, rank=range(5))
    return data.class_shares(balance, along.assign(share=along["estimate"]))


def systems():
    table = crossed(system=["a", "b"], labels=RULES, cell=CELLS)
    return style.forest_by_cell(table, "system", panels="labels", colour="labels",
                                legend_title="cell type", legend_columns=4)


def bins():
    table = crossed(cell=CELLS, kb=range(5))
    return related_work.auroc_by_bin(table.assign(auroc=table["estimate"]))


@pytest.fixture(autouse=True)
def book_style():
    with plt.rc_context():
        style.style()
        yield
    plt.close("all")


@pytest.mark.parametrize("draw", [restarts, elsewhere, experiments, heat_maps,
                                  class_shares, systems, bins])
def test_a_figure_of_56_cell_types_is_legible(draw):
    fig = draw()
    fig.canvas.draw()
    width, height = fig.get_size_inches()
    assert width <= WIDEST and height <= TALLEST
    assert overlapping(fig) == []
    legends = [*fig.legends, *(axis.get_legend() for axis in fig.axes)]
    for legend in filter(None, legends):
        box = legend.get_window_extent()
        assert box.height < fig.bbox.height / 2 and box.width <= fig.bbox.width


def overlapping(fig):
    """Neighbouring labels of ticks that overlap by more than a pixel both ways."""
    pairs = []
    for one in (axis for axes in fig.axes for axis in (axes.xaxis, axes.yaxis)):
        labels = [tick.label1 for tick in one.get_major_ticks() if tick.label1.get_visible()]
        labels = [label for label in labels if label.get_text()]
        boxes = [label.get_window_extent() for label in labels]
        pairs += [
            (a, b) for a, b in pairwise(boxes)
            if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1
        ]
    return pairs


def test_a_table_of_many_cell_types_has_a_row_a_kind():
    table = pd.DataFrame({
        "cell type": CELLS, "source": "roadmap", "unit": ["reads"] * 50 + ["peaks"] * 6,
        "marks": "K4me3", "genes": [19_795] * 55 + [18_000], "test genes": 6600,
        "labels flipped": np.linspace(0, 0.3, 56),
    })
    short = sources.summarised(table)
    assert short[["unit", "cell types", "genes", "test genes"]].to_numpy().tolist() == [
        ["reads", 50, "19,795", "6,600"], ["peaks", 6, "18,000 to 19,795", "6,600"]
    ]
    assert sources.summarised(table[:9]).equals(table[:9])


def captions():
    for name, chapter in find_chapters(Path(__file__).parents[2]).items():
        for cell in chapter.code:
            for call in ast.walk(ast.parse(cell)):
                called = getattr(getattr(call, "func", None), "id", None)
                if called in ("show_figure", "show_table", "report"):
                    given = [one.value for one in call.keywords if one.arg == "caption"]
                    given += call.args[2:3] if called != "show_figure" else []
                    yield from ((f"{name}, {called}", one) for one in given)


def test_captions_count_cell_types_instead_of_naming_them():
    seen = 0
    for where, caption in captions():
        seen += 1
        values = [one for one in ast.walk(caption) if isinstance(one, ast.FormattedValue)]
        text = sum(len(one.value) for one in ast.walk(caption)
                   if isinstance(one, ast.Constant) and isinstance(one.value, str))
        assert text + OF_A_VALUE * len(values) <= MOST_CHARACTERS, where
        joins = [one for one in ast.walk(caption) if getattr(one, "attr", "") == "join"]
        assert not joins, f"{where}: a caption that joins names grows with the cell types"
    assert seen > 60
