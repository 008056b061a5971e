"""Training genes are all, or so many drawn with the seed."""

from test_linear import planted

from dc2lib.signals import training_genes


def test_training_genes_are_drawn_by_the_seed():
    dataset = planted("A")
    assert len(training_genes(dataset, 50)) == 50
    assert len(training_genes(dataset)) == 100
    first, again, other = (
        training_genes(dataset, 50, seed).gene_id.tolist() for seed in (0, 0, 1)
    )
    assert first == again != other
