"""Published systems that predict expression from histone marks, one readable file each.

Every one is a function ``fit(train, valid, setting, seed)`` that returns a `contract.Fitted`;
`systems.SYSTEMS` lists them all, with the settings that each may choose from.

>>> from dc2lib.baselines import karlic
>>> from dc2lib.baselines.contract import genes_of
>>> from dc2lib.datasets.simulated import simulate
>>> (cell,) = simulate(1, 300, 0).datasets.values()
>>> train, valid, test = (genes_of(cell, "numeric", part) for part in ("train", "valid", "test"))
>>> fitted = karlic.fit(train, valid, {"bins": 20}, 0)
>>> fitted.parameters, fitted.score(test.counts).shape == test.label.shape
(6, True)
"""
