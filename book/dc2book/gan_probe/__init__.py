"""The chapter on the GAN probe: signals drawn from a generator that a classifier is sure about.

`study` has the classifiers, Table 1, and combinations of marks; `quality` tells generated signals
from measured ones; `favourites` compares what classifiers like best; `figures` draws.

>>> import numpy as np
>>> from dc2book.gan_probe import study
>>> study.activation(np.log1p([[[3.0, 3.0], [1.0, 1.0]]])).round(2).tolist()
[0.75, 0.25]
"""
