"""Does a method that explains a classifier show the rule that was planted?

`replicates` makes worlds with a planted rule and their classifiers, `methods` asks every method for
an `Attribution`, `recovery` and `null_calibration` grade it, `measured` asks a real cell type.

>>> from dc2book.ground_truth.recovery import truth_of
>>> truth_of("two_marks", ("H3K4me3", "H3K27me3")).sign.tolist()
[1, -1]
"""
