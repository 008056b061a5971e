"""What results are judged by: `scores` from logits, `statistics` of genes and cell types.

`pair_statistics` is for tables of cell types against cell types, `generated` for samples that a
network made.

>>> from dc2lib.evaluation.scores import auroc
>>> auroc([0, 1, 0, 1], [0.1, 0.4, 0.3, 0.2])
0.75
"""
