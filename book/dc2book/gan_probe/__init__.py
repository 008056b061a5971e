"""The chapter on the GAN probe: signals drawn from a generator that a classifier is sure about.

`study` has the classifiers, the quality of a generator, activation and combinations of marks,
`figures` draws profiles, correlations and the paper's Figure 4.

>>> import numpy as np
>>> from dc2book.gan_probe import study
>>> study.activation(np.log1p([[[3.0, 3.0], [1.0, 1.0]]])).round(2).tolist()
[0.75, 0.25]
"""
