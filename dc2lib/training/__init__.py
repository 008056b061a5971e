"""How models are trained: one (`fit`), many on any machine (`grid`), the linear ones all at once.

`grid_fits` says what one fit of a grid is and leaves; `gan` and `likelihood` train generators, and
`executors` brings jobs to processes and clusters.

>>> from dc2lib.training.fit import RECIPES
>>> RECIPES["tuned"].optimizer, RECIPES["tuned"].epochs
('adam', 20)
"""
