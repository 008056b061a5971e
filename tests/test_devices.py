"""Every fit, probe and evaluation gives on a CUDA device what it gives on the CPU.

The device is imitated (`imitated_cuda`): the same numbers, and the errors of a real device where
tensors of two devices meet.  What a real one adds is rounding.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from imitated_cuda import OnCuda, imitated
from test_digits import bars
from test_histone_gan import small_gan, toy_signals
from test_linear import planted as planted_cell
from test_related import planted as planted_pair
from test_training import SHORT, planted

import dc2lib.grid.run
from dc2lib import digits, gan, models, training
from dc2lib.attribution import local, methods, replicates
from dc2lib.crosscell.transfer import transfer
from dc2lib.datasets import write_cell
from dc2lib.errors import DataError
from dc2lib.gan import GanRecipe, train_gan
from dc2lib.grid import Fit, run_grid
from dc2lib.lockstep import fit_many
from dc2lib.networks import apply_in_batches, device_of, weights_digest
from dc2lib.probing import (
    class_term,
    discriminator_term,
    distance_term,
    generated_start,
    monte_carlo,
    monte_carlo_probe,
    norm_term,
    optimise_input,
    score_term,
    uniform_start,
)
from dc2lib.related import attentive_chrome, deepdiff
from dc2lib.related.contract import genes_of
from dc2lib.related.network import fit_network
from dc2lib.training import default_device
from tools.bench import gpu
from tools.bench.harness import Task

RECIPE = replace(SHORT, epochs=2, patience=2)
SHAPE = (5, 20)
SMALL = GanRecipe(regularise_every=2, steps=4, round_steps=2, batch_size=16)
ADVERSARIES = [
    ("nonsaturating", "r1"), ("hinge", "gradient_penalty"), ("wasserstein", "none"),
    ("relativistic", "r1"),
]  # fmt: skip


@pytest.fixture
def cuda(monkeypatch):
    """The imitated device for the whole test; gives the seeds set on it."""
    with imitated(monkeypatch) as seeds:
        yield seeds


@pytest.fixture
def both(monkeypatch):
    """Calls a function without and with the device; checks what both give."""

    def run(function, **tolerance):
        expected = function()
        with imitated(monkeypatch):
            found = function()
        _same(found, expected, tolerance or {"rtol": 1e-5, "atol": 1e-6})

    return run


def _same(found, expected, tolerance):
    if isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(found, expected, check_exact=False, **tolerance)
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        _same(list(found.values()), list(expected.values()), tolerance)
    elif isinstance(expected, list | tuple):
        for one, other in zip(found, expected, strict=True):
            _same(one, other, tolerance)
    else:
        np.testing.assert_allclose(found, expected, **tolerance)


def weights_of(model):
    return {name: value.cpu().numpy() for name, value in model.state_dict().items()}


def genes(n=96, seed=0, n_bins=20):
    counts, labels = planted(n, seed)
    return np.ascontiguousarray(counts[:, 40 : 40 + n_bins]), labels


def signals(n=6):
    return np.random.default_rng(0).random((n, *SHAPE), dtype=np.float32)


def classifier(seed=0):
    return models.build("deepchrome_max", *SHAPE, seed=seed).eval()


@cache
def generator_fit():
    return train_gan(*small_gan(), toy_signals(), recipe=SMALL, device="cpu")


# --- the imitation ---


def test_what_a_device_refuses_is_refused(cuda, tmp_path):
    there = torch.ones(3, device="cuda")
    assert there.device == torch.device("cuda:0") and (there + 1).is_cuda
    with pytest.raises(RuntimeError, match="same device"):
        there + torch.ones(3)
    with pytest.raises(RuntimeError, match="same device"):
        torch.stack([there.sum(), torch.ones(())])
    with pytest.raises(RuntimeError, match="same device"):
        there[[0, 1]] = torch.ones(2)
    assert there[torch.tensor([0])].is_cuda
    with pytest.raises(TypeError, match=r"Tensor\.cpu"):
        there.numpy()
    with pytest.raises(RuntimeError, match="generator"):
        torch.rand(3, device="cuda", generator=torch.Generator())
    assert (there * torch.tensor(2.0)).cpu().tolist() == [2, 2, 2]


def test_what_lay_on_a_device_is_read_without_one_only_if_asked(monkeypatch, tmp_path):
    with imitated(monkeypatch):
        torch.save({"weights": torch.ones(2, device="cuda")}, tmp_path / "kept.pt")
        assert torch.load(tmp_path / "kept.pt", weights_only=True)["weights"].is_cuda
    with pytest.raises(RuntimeError, match="CUDA device"):
        torch.load(tmp_path / "kept.pt", weights_only=True)
    found = torch.load(tmp_path / "kept.pt", map_location="cpu", weights_only=True)
    assert found["weights"].tolist() == [1, 1]


def test_the_device_is_taken_where_it_is_there(monkeypatch):
    assert default_device() == torch.device("cpu")
    with imitated(monkeypatch):
        assert default_device() == torch.device("cuda")
        assert default_device("cpu") == torch.device("cpu")


# --- training and evaluation ---


@pytest.mark.parametrize("name", models.MODELS)
@pytest.mark.parametrize("optimizer", training.OPTIMIZERS)
def test_a_fit(both, name, optimizer):
    def run():
        found = training.fit(
            models.build(name, *SHAPE), *genes(), *genes(seed=1), step="autograd",
            recipe=replace(RECIPE, optimizer=optimizer),
        )
        assert device_of(found.model).type == default_device().type
        return found.history, weights_of(found.model)

    both(run)


def test_the_same_units_are_dropped_in_every_way_of_training(monkeypatch):
    recipe = replace(RECIPE, optimizer="sgd", learning_rate=0.1)

    def alone(**options):
        model = models.build("deepchrome_max", *SHAPE)
        return training.fit(model, *genes(), *genes(seed=1), recipe=recipe, seed=5, **options)

    def together():
        sets = [[one] * 2 for one in (*genes(), *genes(seed=1))]
        networks = [models.build("deepchrome_max", *SHAPE) for _ in range(2)]
        return fit_many(networks, *sets, recipe=recipe, seeds=(5, 6))

    expected = weights_of(alone(step="fused").model)
    _same(weights_of(alone(step="autograd").model), expected, {"atol": 1e-6})
    with imitated(monkeypatch):
        _same(weights_of(alone().model), expected, {"atol": 1e-6})
        first, second = (weights_of(one.model) for one in together())
    _same(first, expected, {"atol": 1e-6})
    assert np.abs(second["hidden1.weight"] - first["hidden1.weight"]).max() > 1e-4


def test_prediction_moves_the_model(both):
    both(lambda: training.predict_logits(classifier(), genes()[0], transform="raw"), atol=1e-4)


def test_a_fit_goes_on_without_the_device(monkeypatch, tmp_path):
    def run(**options):
        return training.fit(
            models.build("linear", *SHAPE), *genes(), *genes(seed=1), recipe=RECIPE, **options
        )

    whole = run(device="cpu")
    validate = training.validate
    with imitated(monkeypatch), monkeypatch.context() as patch:
        epochs = iter([validate, lambda *_: pytest.exit("interrupted")])
        patch.setattr(training, "validate", lambda *args: next(epochs)(*args))
        with pytest.raises(pytest.exit.Exception):
            run(device="cuda", checkpoint=tmp_path / "fit.pt")
    resumed = run(device="cpu", checkpoint=tmp_path / "fit.pt")
    _same(resumed.history, whole.history, {"rtol": 1e-5})
    with imitated(monkeypatch):
        again = run(device="cuda", checkpoint=tmp_path / "fit.pt")
        assert device_of(again.model).type == "cuda"
        _same(weights_of(again.model), weights_of(whole.model), {"atol": 1e-6})


@pytest.mark.parametrize("name", ["deepchrome_max", "linear"])
def test_lockstep(both, name):
    def run():
        data = [genes(seed=seed) for seed in (3, 4)]
        found = fit_many(
            [models.build(name, *SHAPE, seed=seed) for seed in (3, 4)],
            [one[0] for one in data], [one[1] for one in data],
            [genes(seed=1)[0]] * 2, [genes(seed=1)[1]] * 2, recipe=RECIPE, seeds=(3, 4),
        )  # fmt: skip
        return [(one.history, weights_of(one.model)) for one in found]

    both(run)


@pytest.fixture
def planned(tmp_path):
    for number, cell in enumerate(("A", "B")):
        write_cell(planted_cell(cell, seed=number), tmp_path / "store")
    base = Fit("linear", replace(RECIPE, learning_rate=0.1), ("A",), "A", str(tmp_path / "store"))
    others = [replace(base, train_cells=("B",), test_cell="B"), replace(base, test_cell="B")]
    return [base, *others, *(replace(base, seed=seed) for seed in range(1, 17))]


def test_the_grid_trains_in_lockstep_where_the_device_is_there(planned, tmp_path, monkeypatch):
    bundles = []
    lockstep = dc2lib.grid.run.train_in_lockstep

    def counted(groups, paths):
        bundles.append(len(groups))
        return lockstep(groups, paths)

    monkeypatch.setattr(dc2lib.grid.run, "train_in_lockstep", counted)
    alone = run_grid(planned, tmp_path / "cpu", progress=False)
    assert bundles == []
    with imitated(monkeypatch), monkeypatch.context() as patch:
        patch.setattr(dc2lib.grid.run, "train_together", None)
        together = run_grid(planned, tmp_path / "cuda", progress=False)
    assert bundles == [dc2lib.grid.run.LOCKSTEP_ON_CUDA, 2]
    for one, other in zip(together, alone, strict=True):
        assert one.path.name == other.path.name
        np.testing.assert_allclose(one.test_logits, other.test_logits, atol=1e-4)
        np.testing.assert_allclose(one.history["loss"], other.history["loss"], atol=1e-5)


def test_a_grid_of_models_one_by_one(planned, tmp_path, both):
    def run():
        place = tmp_path / default_device().type
        return [one.test_logits for one in
                run_grid(planned[:2], place, lockstep=1, progress=False)]

    both(run)


def test_every_model_on_every_cell_type(planned, tmp_path, both):
    networks = [replace(one, model="deepchrome_max") for one in planned[:2]]
    records = run_grid([replace(n, recipe=replace(n.recipe, learning_rate=1e-3)) for n in networks],
                       tmp_path / "fits", lockstep=1, progress=False)
    own = dict(zip(("A", "B"), records, strict=True))

    def run():
        folder = tmp_path / default_device().type
        table = transfer(own, folder)
        logits = [np.load(path)["logits"] for path in sorted(folder.iterdir())]
        return table.to_numpy(), logits

    both(run, atol=1e-4)


def test_the_benchmark_runs_on_the_device(cuda, tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "LOCKSTEP_ON_CUDA", 2)
    monkeypatch.setattr(gpu, "SAMPLES", 100)
    split = np.repeat(["train", "valid", "test"], [100, 100, 40])
    task = Task(replace(planted_cell("A", n=240), split=split), tmp_path, pairs=1, threads=1)
    rows = gpu.gpu(task)
    assert [row.name for row in rows] == list(gpu.UNITS)
    assert all(row.ratio > 0 and not row.note for row in rows)


CHOSEN_CPU = {
    "fit": lambda: training.fit(
        models.build("linear", *SHAPE), *genes(), *genes(seed=1), recipe=RECIPE, device="cpu"
    ),
    "autograd": lambda: training.fit(
        models.build("deepchrome_max", *SHAPE), *genes(), *genes(seed=1), recipe=RECIPE,
        device="cpu", step="autograd",
    ),
    "lockstep": lambda: fit_many(
        [models.build("linear", *SHAPE)], [genes()[0]], [genes()[1]], [genes()[0]], [genes()[1]],
        recipe=RECIPE, seeds=(0,), device="cpu",
    ),
    "prediction": lambda: training.predict_logits(
        classifier(), genes()[0], transform="raw", device="cpu"
    ),
    "gan": lambda: train_gan(*small_gan(), toy_signals(), recipe=SMALL, device="cpu"),
    "probe": lambda: monte_carlo_probe(
        generator_fit().generator, models.TemporalMeanLinear(2), 100, 5, device="cpu"
    ),
    "optimisation": lambda: optimise_input(
        uniform_start(2, SHAPE), [class_term(classifier(), 1), norm_term()], steps=2, device="cpu"
    ),
    "digits": lambda: digits.fit_digits(
        digits.build_digit_model("digit_judge"), *bars(32), recipe=digits.DigitRecipe(1, 32),
        device="cpu",
    ),
    "deepdiff": lambda: deepdiff.fit(*narrow_pairs(), epochs=1, device="cpu")[0](narrow_pairs()[1]),
}


@pytest.mark.parametrize("name", CHOSEN_CPU)
def test_the_cpu_can_be_chosen_where_the_device_is_there(cuda, monkeypatch, name):
    monkeypatch.setattr(OnCuda, "__new__", lambda *_: pytest.fail("something is on the device"))
    CHOSEN_CPU[name]()


# --- probes ---


@pytest.mark.parametrize("screen", [False, True])
def test_a_probe_and_its_networks_stay_where_they_were(both, screen):
    generator = gan.build_histone_gan(0, n_marks=5, n_bins=20, width=4)[0]
    network = classifier()

    def run():
        found = monte_carlo_probe(generator, network, 5000, 5, thresholds=(0.5,), screen=screen)
        assert device_of(generator).type == device_of(network).type == "cpu"
        return [(kept.index, kept.samples, kept.log_odds) for kept in found.top], found.accepted

    both(run, rtol=1e-4, atol=1e-4)


class OneProcess:
    """Stands in for the pool: takes what it is given on the CPU only, and runs it here."""

    def __init__(self, workers, context, initializer, initargs):
        task = initargs[0]
        assert device_of(task.generator).type == device_of(task.classifier).type == "cpu"
        raise InterruptedError

    shutdown = None


def test_networks_go_to_processes_on_the_cpu(cuda, monkeypatch):
    generator, network = small_gan()[0].to("cuda"), models.TemporalMeanLinear(2)
    monkeypatch.setattr(monte_carlo, "ProcessPoolExecutor", OneProcess)
    with pytest.raises(InterruptedError):
        monte_carlo_probe(generator, network.to("cuda"), 100, 5, workers=2)
    assert device_of(generator).type == device_of(network).type == "cuda"


def test_inputs_are_optimised_wherever_networks_and_weights_lie(both):
    def run():
        place, judge = default_device(), classifier(1)
        network, weights = classifier().to(place), torch.linspace(0, 1, 4)
        found = optimise_input(
            uniform_start(4, SHAPE),
            [class_term(network, [0, 1, 0, 1]), score_term(judge, 1, weights), norm_term(),
             discriminator_term(lambda x: x.mean((1, 2)), weights), distance_term(weights)],
            steps=4, bounds=(0, 5), record_every=2,
        )  # fmt: skip
        assert (device_of(network).type, device_of(judge).type) == (place.type, "cpu")
        return found.inputs, found.losses

    both(run)


def test_the_device_of_an_optimisation_can_be_named(cuda):
    seen = []

    def value(inputs, start):
        seen.append(inputs.device.type)
        return inputs.flatten(1).sum(1)

    for device in ("cpu", "cuda", None):
        terms = [methods.score_term(classifier(), 1), replace(norm_term(), value=value)]
        optimise_input(uniform_start(2, SHAPE), terms, steps=1, device=device)
    assert seen == ["cpu", "cuda", "cuda"]


def test_generated_starts(both):
    def run():
        fit = generator_fit()
        network = models.TemporalMeanLinear(2)
        torch.nn.init.constant_(network.output.weight, 0.1)
        torch.nn.init.zeros_(network.output.bias)
        fit.generator.to(default_device())
        made = generated_start(fit.generator, network.to(default_device()), [1, 1], pool=64)
        fit.generator.to("cpu")
        return made

    both(run)


def test_methods_are_applied_where_their_module_lies(both):
    def run():
        network = classifier().to(default_device())
        return apply_in_batches(network.features, signals())

    both(run)


def test_a_network_is_known_by_its_weights_wherever_they_lie(cuda):
    assert weights_digest(classifier().to("cuda")) == weights_digest(classifier())


# --- attribution ---


@pytest.mark.parametrize(
    "method",
    [
        lambda network, x: local.saliency(network, x),
        lambda network, x: local.integrated_gradients(network, x, x.mean(0), steps=4),
        lambda network, x: local.window_ablation(network, x, x.mean(0), width=10),
        lambda network, x: local.mark_ablation(network, x, x.mean(0)),
        lambda network, x: local.pair_ablation(network, x, x.mean(0)),
    ],
    ids=["saliency", "integrated_gradients", "window_ablation", "mark_ablation", "pair_ablation"],
)
def test_attributions(both, method):
    both(lambda: method(classifier().to(default_device()), signals()))


def test_pictures_of_a_classifier_on_another_device_than_the_discriminator(both):
    effort = methods.Effort(n_genes=4, ig_steps=2, window=10, starts=2, deepchrome_steps=3, steps=2)
    discriminator = gan.build_histone_gan(0, n_marks=5, n_bins=20, width=4)[1]

    def run():
        generated = methods.Generated(signals(16), signals(16), discriminator.to(default_device()))
        found = methods.all_pictures(
            classifier(), signals(), generated, tuple("abcde"), effort=effort
        )
        discriminator.to("cpu")
        return {name: picture.strength for name, picture in found.items()}

    both(run, rtol=1e-3, atol=1e-4)


def test_a_replicate(monkeypatch, tmp_path):
    effort = methods.Effort(n_genes=4, ig_steps=2, window=50, starts=1, deepchrome_steps=2, steps=2)
    plan = replicates.Plan("one_mark", n_genes=120, epochs=1, attentive_epochs=0, gan_steps=1,
                           n_pool=64, effort=effort)
    with imitated(monkeypatch):
        replicates._generated.cache_clear()
        (found,) = replicates.replicates([plan], workers=1, home=tmp_path)
    replicates._generated.cache_clear()
    assert set(methods.METHODS) - set(found.pictures) == {"attention"}
    (path,) = (tmp_path / "histone_gans").iterdir()
    assert torch.load(path, map_location="cpu", weights_only=True)["state"]["step"] == 1


# --- adversarial networks and digits ---


@pytest.mark.parametrize(("loss", "regulariser"), ADVERSARIES)
def test_a_pair_of_adversaries(both, loss, regulariser):
    recipe = replace(SMALL, loss=loss, regulariser=regulariser)

    def run():
        found = train_gan(
            *small_gan(), toy_signals(), recipe=recipe,
            quality=lambda made: {"mean": gan.generate(made, 8).mean()}, select="mean",
        )  # fmt: skip
        assert device_of(found.generator).type == default_device().type
        return found.history, weights_of(found.generator), weights_of(found.discriminator)

    both(run, rtol=1e-4, atol=1e-4)


def test_adversaries_go_on_without_the_device(monkeypatch, tmp_path):
    def run(**options):
        return train_gan(*small_gan(), toy_signals(), recipe=SMALL, **options)

    rounds = iter([dict, lambda: pytest.exit("interrupted")])
    with imitated(monkeypatch), pytest.raises(pytest.exit.Exception):
        run(checkpoint=tmp_path / "gan.pt", quality=lambda _: next(rounds)())
    resumed = run(checkpoint=tmp_path / "gan.pt")
    _same(resumed.history, generator_fit().history, {"rtol": 1e-4})
    with imitated(monkeypatch):
        assert device_of(run(checkpoint=tmp_path / "gan.pt").generator).type == "cuda"


@pytest.mark.parametrize("epsilon", [0.0, 0.1])
def test_digits(both, epsilon):
    recipe = digits.DigitRecipe(1, 32, epsilon=epsilon)

    def run():
        model = digits.build_digit_model("digit_judge")
        history = digits.fit_digits(model, *bars(64), recipe=recipe)
        assert device_of(model).type == default_device().type
        right = digits.attacked_accuracy(model, *bars(32, seed=1), 0.1)
        return history, digits.digit_logits(model, bars(16)[0]), right

    both(run, rtol=1e-3, atol=1e-4)


def test_kept_digits_are_read_without_the_device(monkeypatch, tmp_path):
    def run():
        recipe = digits.DigitRecipe(1, 32)
        return digits.kept_digit_model("digit_judge", *bars(64), recipe=recipe, home=tmp_path)[0]

    with imitated(monkeypatch):
        assert device_of(run()).type == "cuda"
        assert device_of(run()).type == "cuda"
    assert device_of(run()).type == "cpu"


def test_the_pixel_test(both):
    def run():
        images, labels = bars(64)
        return digits.convolutional_fit(epochs=1, width=4)(images, labels % 2)(images)

    both(run)


# --- related work ---


@pytest.mark.parametrize("build", [attentive_chrome.AttentiveChrome, attentive_chrome.JointLSTM])
def test_networks_of_related_work(both, build):
    train, valid = (
        genes_of(planted_pair("A", n=60, seed=seed), "numeric", "train") for seed in (0, 1)
    )
    narrow = [replace(part, counts=part.counts[:, :4]) for part in (train, valid)]

    def run():
        setting = {"learning_rate": 1e-3, "epochs": 1}
        found = fit_network(lambda *shape: build(*shape, 4), *narrow, setting, 0)
        return found.score(narrow[1].counts), dict(found.about)

    both(run, rtol=1e-3, atol=1e-4)


def test_attention_maps(both):
    def run():
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            model = attentive_chrome.AttentiveChrome(5, 4, 4).to(default_device())
        return attentive_chrome.attention_maps(model, genes(8, n_bins=4)[0])

    both(run)


def narrow_pairs():
    cells = [planted_pair(name, n=60, seed=seed) for seed, name in enumerate("AB")]
    pairs = [
        deepdiff.paired(*(genes_of(one, "numeric", split) for one in cells))
        for split in ("train", "valid")
    ]
    return [replace(one, first=one.first[:, :4], second=one.second[:, :4]) for one in pairs]


def test_deepdiff(both):
    def run():
        train, valid = narrow_pairs()
        predict, _ = deepdiff.fit(train, valid, epochs=1)
        return predict(valid)

    both(run, rtol=1e-3, atol=1e-4)


# --- random state ---


@pytest.mark.parametrize(
    "build",
    [
        lambda: models.build("deepchrome_max", *SHAPE),
        lambda: gan.build_histone_gan(n_bins=20),
        lambda: gan.build_mnist_gan(),
        lambda: digits.build_digit_model("digit_judge"),
    ],
    ids=["models", "histone_gan", "mnist_gan", "digits"],
)
def test_fresh_networks_set_no_seed_on_the_device(cuda, build):
    build()
    assert cuda == []


def test_fresh_networks_of_related_work_set_no_seed_on_the_device(cuda):
    deepdiff.fit(*narrow_pairs(), epochs=1, device="cpu")
    plan = replicates.Plan("null", training="none")
    replicates.trained_attentive(*planted(8), np.repeat("train", 8), plan)
    seen = []

    def build(*shape):
        seen.extend(cuda)
        return models.TemporalMeanLinear(shape[0])

    part = genes_of(planted_pair("A", n=60), "numeric", "train")
    fit_network(build, part, part, {"learning_rate": 1e-3, "epochs": 1}, 0)
    assert seen == []


def test_unknown_networks_are_not_screened_on_the_cpu():
    with pytest.raises(DataError, match="HistoneGenerator"):
        monte_carlo_probe(torch.nn.Identity(), torch.nn.Identity(), 10, 1, n_latent=2, screen=True,
                          device="cpu")
