"""Networks: torch modules, how they are built, and nothing else.

`deepchrome` and `attentive_chrome` have the classifiers of genes, `gan` and `likelihood` generators
of signals, `networks` what is done to any of them.

>>> from dc2lib.models.deepchrome import build, count_parameters
>>> count_parameters(build("deepchrome_max"))
644177
"""
