"""The label audit: which rule a set of labels follows, from genes, from shares, by the command."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import released_files

from dc2lib import label_audit as rules
from dc2lib.datasets import HistoneDataset, published, write_cell
from dc2lib.datasets.rpkm import read_rpkm
from dc2lib.datasets.simulated import simulate
from dc2lib.errors import DataError
from dc2lib.label_audit import Expression, best_threshold, which_rule
from dc2lib.labels import label


@pytest.fixture(scope="module")
def flipping():
    cells = simulate(n_cells=4, n_genes=600, seed=5).datasets
    return next(one for one in cells.values() if one.rpkm_median_text[0] != "1")


@pytest.mark.parametrize("seed", range(3))
def test_the_audit_says_which_rule_made_the_labels(seed):
    for cell, dataset in simulate(n_cells=2, n_genes=400, seed=seed).datasets.items():
        expression = rules.expression_of(dataset)
        telling = (label(dataset, "numeric") != label(dataset, "lexicographic")).any()
        for rule in ("numeric", "lexicographic"):
            found = which_rule(label(dataset, rule), expression, cell).verdict
            assert found == (rule if telling else "both")
        third = dataset.rpkm > np.quantile(dataset.rpkm, 0.7)
        assert which_rule(third, expression, cell).verdict == "neither"
        random = np.random.default_rng(seed).integers(0, 2, len(dataset))
        assert which_rule(random, expression, cell).verdict == "neither"


def test_a_few_wrong_labels_do_not_hide_the_rule_but_many_do(flipping):
    expression = rules.expression_of(flipping)
    truth = label(flipping, "lexicographic")
    same = label(flipping, "numeric") == truth
    for wrong, verdict in ((2, "lexicographic"), (60, "neither")):
        labels = truth.copy()
        labels[np.flatnonzero(same)[:wrong]] ^= 1
        assert which_rule(labels, expression).verdict == verdict


def test_evidence_of_a_report_by_hand():
    text = np.array(["0.500", "3.000", "10.575", "31.000", "4.000"])
    one = Expression(np.array(list("abcde")), text.astype(float), text, "3.329", text.astype(float))
    found = which_rule(np.array([0, 0, 0, 1, 1]), one, "X")
    assert (found.telling, found.telling_lexicographic) == (1, 1)
    assert found.agreement["lexicographic"] == 1
    assert found.agreement["numeric"] == pytest.approx(4 / 5)
    assert found.agreement["above_10"] == pytest.approx(3 / 5)
    assert found.threshold_agreement == pytest.approx(4 / 5)
    assert found.examples[0] == ("c", "10.575", 0)
    assert "gene_median" not in found.agreement


def test_no_threshold_is_better_than_the_best_one():
    rng = np.random.default_rng(0)
    for _ in range(20):
        values = np.round(rng.gamma(1, 2, 40), 1)
        labels = rng.integers(0, 2, 40)
        threshold, share = best_threshold(labels, values)
        tried = [((values > t) == labels).mean() for t in np.r_[-1, np.unique(values)]]
        assert share == pytest.approx(max(tried))
        assert ((values > threshold) == labels).mean() == pytest.approx(share)


def test_what_cannot_be_audited_says_why(flipping):
    expression = rules.expression_of(flipping)
    with pytest.raises(DataError, match="expected as many"):
        which_rule(np.zeros(3), expression, "S001")
    bare = HistoneDataset.from_arrays(
        np.zeros((2, 100, 5), int), ["a", "b"], "E012", ["train", "test"]
    )
    with pytest.raises(DataError, match="no labels to audit"):
        rules.audit_dataset(bare)
    with pytest.raises(DataError, match="--rpkm"):
        rules.expression_of(bare)


@pytest.mark.parametrize("rule", ["lexicographic", "numeric"])
def test_without_expression_the_shares_decide(rule):
    counts = published.label_rule_counts().query("cell == 'E012' and rule == @rule")
    labels, splits = [], []
    for row in counts.itertuples():
        labels += [1] * (row.positive // 10) + [0] * ((row.genes - row.positive) // 10)
        splits += [row.split] * (row.positive // 10 + (row.genes - row.positive) // 10)
    dataset = HistoneDataset.from_arrays(
        np.zeros((len(labels), 100, 5), np.uint16), [f"g{i}" for i in range(len(labels))], "E012",
        splits, released_label=labels,
    )
    found = rules.audit_dataset(dataset)
    assert (found.verdict, found.basis) == (rule, "shares")
    assert "judged by the share" in rules.describe(found)


def write_folder(folder, dataset, labels):
    folder.mkdir(parents=True)
    for split in ("train", "valid", "test"):
        rows = []
        for i in np.flatnonzero(dataset.split == split):
            block = dataset.counts[i]
            rows += [
                ",".join([dataset.gene_id[i], str(b + 1), *map(str, block[b]), str(labels[i])])
                for b in range(len(block))
            ]
        (folder / f"{split}.csv").write_text("\n".join(rows) + "\n")


def test_the_command_audits_folders(tmp_path, capsys):
    study = simulate(n_cells=2, n_genes=60, seed=2).datasets
    header = "\t".join(["gene_id", *study])
    texts = np.stack([one.rpkm_text for one in study.values()], axis=1)
    genes = next(iter(study.values())).gene_id
    table = tmp_path / "rpkm.txt"
    table.write_text(
        header + "\n"
        + "".join("\t".join([g, *row]) + "\t\n" for g, row in zip(genes, texts, strict=True))
    )
    for cell, dataset in study.items():
        write_folder(tmp_path / "data" / cell, dataset, label(dataset, "numeric"))
    code = rules.main(["audit", str(tmp_path / "data"), "--rpkm", str(table), "--json"])
    reports = json.loads(capsys.readouterr().out)
    assert code == 0
    assert {one["cell"] for one in reports} == set(study)
    assert all(one["verdict"] in ("numeric", "both") for one in reports)
    code = rules.main(["audit", str(tmp_path / "data" / "S001"), "--rpkm", str(table)])
    assert code == 0
    assert "S001: " in capsys.readouterr().out
    (tmp_path / "data" / "S002" / "test.csv").unlink()
    code = rules.main(["audit", str(tmp_path / "data"), "--rpkm", str(table)])
    captured = capsys.readouterr()
    assert code == 1
    assert "test.csv is missing" in captured.err
    assert "S001: " in captured.out
    assert rules.main(["audit", str(tmp_path / "nothing")]) == 1
    assert "is no folder, and no cell type of the store" in capsys.readouterr().err


def test_the_command_audits_one_stored_cell_type(tmp_path, capsys, monkeypatch, flipping):
    monkeypatch.setenv("DC2LIB_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for cell in ("one", "two"):
        released = replace(flipping, cell=cell, released_label=label(flipping, "lexicographic"))
        write_cell(released)
    assert rules.main(["audit", "two"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("two: LEXICOGRAPHIC")
    assert "1 cell type(s): 1 lexicographic." in said


@pytest.mark.parametrize("has_roadmaps", [False, True])
def test_a_cell_type_outside_roadmap_is_told_that_its_table_is_missing(
    tmp_path, capsys, monkeypatch, has_roadmaps
):
    """Also where Roadmap's own table was downloaded before."""
    released_files.write_folder(tmp_path / "liver", released_files.cell_files())
    table = read_rpkm(released_files.write_rpkm(tmp_path / "rpkm.gz"))
    monkeypatch.setattr(rules, "open_rpkm", lambda: table if has_roadmaps else None)
    assert rules.main(["audit", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "liver: there is no expression" in said
    assert "--rpkm FILE" in said
    own = released_files.write_rpkm(tmp_path / "own.gz", ("liver",))
    assert rules.main(["audit", str(tmp_path), "--rpkm", str(own)]) == 0


def test_the_command_line_runs_as_a_module(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "dc2lib.labels", "audit", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )
    assert ended.returncode == 1
    assert "no cell type found" in ended.stderr
    assert "Traceback" not in ended.stderr
