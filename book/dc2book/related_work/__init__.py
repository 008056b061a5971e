"""The systems that the paper stands on, judged on one data set, and the paper's open questions.

`study` fits every system, `scores` and `tables` compare them, `breadth` asks about genes that many
cell types express, `pairs` about two cell types at once.

>>> from dc2book.related_work.study import StudySize
>>> StudySize(seeds=3).epochs
8
"""
