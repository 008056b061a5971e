"""Data of the book: Roadmap cell types, expression, digits, simulated cells, published figures."""

from __future__ import annotations

from dc2lib.datasets.histone import MARKS, SPLITS, HistoneDataset

__all__ = ["MARKS", "SPLITS", "HistoneDataset"]
