"""Does a method that explains a classifier show the rule that was planted?

`worlds` plants a rule, `replicates` trains its classifiers, `methods` asks every method for
an `Attribution`, `recovery` and `null_calibration` grade it, `measured` asks a real cell type.

>>> from dc2book.ground_truth.worlds import truth_of
>>> truth_of("two_marks", (0, 1)).sign.tolist()
[1, -1]
"""
