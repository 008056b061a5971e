"""The directive that shows this build beside the reference run."""

import pandas as pd
from dc2book.claims.recorded import compare_runs
from dc2book.claims.reference import Reference, code_digest
from dc2reference import reference_markdown

ABOUT = {"date": "2026-01-01", "version": "0.1.0", "profile": "quick", "cells": ["E012"],
         "code": code_digest()}


def rows(source, values):
    return pd.DataFrame([
        {"key": "stage_auroc", "chapter": "audit", "value": value, "low": value - 0.01,
         "high": value + 0.01, "n": 10, "cell": cell, "model": "linear", "stage": stage,
         "data_source": source, "profile": "quick"}
        for cell, stage, value in values
    ])


BUILD = rows("simulated", [("S001", "first_step", 0.7), ("S002", "first_step", 0.8)])
REAL = rows("roadmap", [("E012", "first_step", 0.6), ("E012", "last", 0.9)])


def test_runs_stand_side_by_side_and_are_never_mixed():
    table = compare_runs(BUILD, REAL, "audit", "stage_auroc", ["model", "stage"])
    assert table.to_dict("records") == [
        {"model": "linear", "stage": "first step", "this build": "0.750 [0.740, 0.760]",
         "reference run": "0.600 [0.590, 0.610]"},
        {"model": "linear", "stage": "last", "this build": "–",
         "reference run": "0.900 [0.890, 0.910]"},
    ]
    only = compare_runs(BUILD, REAL, "audit", "stage_auroc", ["model"], {"stage": "last"})
    assert only["this build"].tolist() == ["–"]
    assert compare_runs(None, REAL, "audit", "nothing", ["model"]).empty


def test_the_page_names_both_runs():
    text = reference_markdown(BUILD, Reference(REAL, ABOUT), "audit", "stage_auroc",
                              ["stage"], {})
    assert "| stage | this build | reference run |" in text
    assert "This build: simulated cell types, profile quick." in text
    assert "Reference run: E012; run on 2026-01-01; version 0.1.0; profile quick." in text
    assert "older than" not in text
    old = Reference(REAL, ABOUT | {"code": "other"})
    assert "older than" in reference_markdown(None, old, "audit", "stage_auroc", ["stage"], {})
