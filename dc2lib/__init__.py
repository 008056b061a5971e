"""The library under *DeepChrome 2.0, the book*: histone marks, models, probes, statistics.

Data come from `dc2lib.datasets`, classes from `dc2lib.labels`, networks from `dc2lib.models`; fits
(`training`), scores and intervals (`evaluation`), `probing` and `crosscell` build on these.

A model, its score and what it looks for; in place of a simulated cell type `load_cells` and
`open_cell` of `dc2lib.datasets` give stored ones, and any torch module does for `build`:

>>> from dc2lib.datasets.simulated import simulate
>>> from dc2lib.evaluation.scores import positive_score
>>> from dc2lib.evaluation.statistics import bootstrap_auroc
>>> from dc2lib.labels import label
>>> from dc2lib.models.deepchrome import build
>>> from dc2lib.probing import class_term, norm_term, optimise_input, uniform_start
>>> from dc2lib.training.fit import Recipe, fit, predict_logits
>>> cell = simulate(n_cells=1, n_genes=300).datasets["S001"]
>>> train, valid, test = (cell.take(split) for split in ("train", "valid", "test"))
>>> recipe = Recipe("log1p", "adam", learning_rate=0.1, epochs=8)  # a network: 1e-3, as in TUNED
>>> fitted = fit(build("linear"), train.counts, label(train), valid.counts, label(valid),
...              recipe=recipe, seed=0)
>>> logits = predict_logits(fitted.model, test.counts, transform=recipe.transform)
>>> score = bootstrap_auroc(label(test), positive_score(logits))  # prints as 0.9 [low, high]
>>> bool(0.5 < score.low < score.estimate < score.high)
True
>>> liked = optimise_input(uniform_start(4, (5, 100)), [class_term(fitted.model, 1), norm_term()],
...                        steps=20, bounds=(0, 5))  # as log1p of reads, as the model reads them
>>> liked.final.shape
(4, 5, 100)
"""

__version__ = "0.1.0"
