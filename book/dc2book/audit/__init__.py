"""The audit page: how the released labels, score and recipe came about, and what they do.

Evidence from published figures, effects on models trained here, the theory of label noise, the
released score, and figures.

>>> from dc2book.audit import evidence
>>> evidence.toy_agreement()[["rule", "explained"]].values.tolist()[0]
['lexicographic', 30]
"""
