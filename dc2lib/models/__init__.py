"""Networks: torch modules, how they are built, and nothing else.

`deepchrome` has the classifiers of genes, `gan` generators of signals, `digits` the networks of
images, `networks` what is done to any of them.

>>> from dc2lib.models.deepchrome import build, count_parameters
>>> count_parameters(build("deepchrome_max"))
644177
"""
