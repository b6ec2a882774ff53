import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commons.genome import Convolution, Dense, Dropout, FeatureGene, Genome, Head, Pooling
from commons.inheritance import kept_share, plan_inheritance
from commons.shapes import infer_shape
from commons.weight_layout import weight_layout
from commons.weight_transfer import Transfer, inherit_weights
from evolver.operators import cross, mutate
from evolver.taxonomy import Taxonomy
from tests.evolver_builders import SHAPES, genomes, problem
from tests.numpy_network import logits, random_weights

SHAPE = (7, 6, 2)
CATEGORIES = 3


def conv(filters: int, kernel: int = 3, **values: object) -> Convolution:
    return Convolution.model_validate({"filters": filters, "kernel": kernel, **values})


def genome(*features: FeatureGene, head: Head = "average", units: tuple[int, ...] = ()) -> Genome:
    classifier = tuple(Dense(units=size) for size in units)
    return Genome(features=features, head=head, classifier=classifier)


def transferred(parent: Genome, child: Genome, seed: int = 0) -> tuple[Transfer, dict, dict]:
    """Return the transfer between random networks, and the arrays of both."""
    rng = np.random.default_rng(seed)
    old = random_weights(rng, parent, SHAPE, CATEGORIES)
    fresh = random_weights(rng, child, SHAPE, CATEGORIES)
    return inherit_weights(parent, old, child, fresh, SHAPE, CATEGORIES), old, fresh


PLAIN = genome(conv(4), Pooling(), conv(5), units=(6,))
MORPHS = {
    "the same": (PLAIN, PLAIN),
    "dropouts and recipes weigh nothing": (
        PLAIN,
        genome(conv(4), Dropout(rate=0.3), Pooling(), conv(5), units=(6,)),
    ),
    "wider": (PLAIN, genome(conv(9), Pooling(), conv(8), units=(11,))),
    "a wider window": (PLAIN, genome(conv(4, 5), Pooling(), conv(5, 7), units=(6,))),
    "a window of even size": (PLAIN, genome(conv(4, 4), Pooling(), conv(5), units=(6,))),
    "a wider window with a stride": (genome(conv(4, 3, stride=2)), genome(conv(4, 5, stride=2))),
    "a residual layer put in": (
        PLAIN,
        genome(conv(4), conv(4, residual=True), Pooling(), conv(5), units=(6,)),
    ),
    "a residual layer put in that is wider": (
        PLAIN,
        genome(conv(4), conv(6, residual=True), Pooling(), conv(5), units=(6,)),
    ),
    "a separable residual layer put in": (
        PLAIN,
        genome(conv(4), Pooling(), conv(5), conv(5, residual=True, separable=True), units=(6,)),
    ),
    "norms become biases": (
        PLAIN,
        genome(conv(4, norm=False), Pooling(), conv(5, norm=False), units=(6,)),
    ),
    "separable becomes full": (
        genome(conv(4), conv(5, separable=True)),
        genome(conv(4), conv(5)),
    ),
    "separable becomes wider": (
        genome(conv(4, separable=True), conv(5, separable=True)),
        genome(conv(6, separable=True), conv(7, separable=True)),
    ),
    "a projection beside a layer": (genome(conv(4)), genome(conv(4, residual=True))),
    "a residual layer becomes wider": (
        genome(conv(4), conv(4, residual=True)),
        genome(conv(4), conv(6, residual=True)),
    ),
    "a projection becomes wider": (
        genome(conv(4, residual=True), conv(5, residual=True)),
        genome(conv(6, residual=True), conv(7, residual=True)),
    ),
    "an average becomes a sum over places": (
        genome(conv(4), Pooling()),
        genome(conv(4), Pooling(), head="flatten"),
    ),
    "flattened and wider": (
        genome(conv(4), Pooling(), head="flatten"),
        genome(conv(6), Pooling(), head="flatten"),
    ),
}


@pytest.mark.parametrize("name", MORPHS)
def test_a_child_that_only_grew_computes_what_its_parent_did(name: str) -> None:
    parent, child = MORPHS[name]
    transfer, old, _ = transferred(parent, child)
    assert 0.0 < transfer.share <= 1.0
    for seed in range(3):
        image = np.random.default_rng(seed).normal(size=SHAPE)
        expected = logits(parent, old, image)
        assert np.ptp(expected) > 0.0
        np.testing.assert_allclose(
            logits(child, transfer.arrays, image), expected, rtol=1e-4, atol=1e-5
        )


def test_a_layer_without_norm_that_is_put_in_passes_on_what_it_gets() -> None:
    child = genome(conv(4), conv(4, norm=False), Pooling(), conv(5), units=(6,))
    transfer, old, fresh = transferred(PLAIN, child)
    image = np.random.default_rng(0).normal(size=SHAPE)
    np.testing.assert_allclose(
        logits(child, transfer.arrays, image), logits(PLAIN, old, image), rtol=1e-4, atol=1e-5
    )
    assert (logits(child, fresh, image) != logits(PLAIN, old, image)).all()


def test_all_is_taken_over_by_an_equal_child_and_little_by_a_stranger() -> None:
    transfer, old, _ = transferred(PLAIN, PLAIN)
    assert transfer.share == 1.0
    assert all((transfer.arrays[name] == array).all() for name, array in old.items())
    stranger = genome(conv(4, separable=True), Pooling(), conv(64, 1), units=(100, 100))
    assert transferred(PLAIN, stranger)[0].share < 0.2


def test_layers_are_matched_in_order_with_those_most_like_them() -> None:
    parent = genome(conv(8), conv(16, 5), conv(32), units=(64,))
    child = genome(conv(8), conv(24, 1), conv(16, 5), Pooling(), conv(32), units=(64, 10))
    plan = plan_inheritance(parent, child, SHAPE, CATEGORIES)
    assert [(each.layer, each.parent, each.how) for each in plan] == [
        ("features-0", "features-0", "equal"),
        ("features-1", None, "identity"),
        ("features-2", "features-1", "overlap"),
        ("features-4", "features-2", "equal"),
        ("classifier-0", "classifier-0", "equal"),
        ("classifier-1", None, "fresh"),
        ("output", "output", "overlap"),
    ]


def test_a_removed_layer_costs_its_neighbours_nothing() -> None:
    parent = genome(conv(8), conv(8, 5), conv(8, 1))
    plan = plan_inheritance(parent, genome(conv(8), conv(8, 1)), SHAPE, CATEGORIES)
    assert [(each.parent, each.how) for each in plan] == [
        ("features-0", "equal"),
        ("features-2", "equal"),
        ("output", "equal"),
    ]


def test_the_nearer_parent_is_the_one_with_more_of_the_layers() -> None:
    near, far = genome(conv(8), conv(16)), genome(conv(9, 5), conv(32, 1))
    child = genome(conv(8), conv(16), conv(32, 1))
    shares = [kept_share(each, child, SHAPE, CATEGORIES) for each in (child, near, far)]
    assert shares[0] == 1.0 > shares[1] > shares[2] > 0.0
    strange = genome(conv(8, separable=True), head="flatten")
    assert kept_share(near, strange, SHAPE, CATEGORIES) == 0.25


def test_the_layout_counts_what_shape_inference_counts() -> None:
    for each, shape, categories in genomes(140):
        layout = weight_layout(each, shape, categories)
        numbers = sum(int(np.prod(extents)) for extents in layout.values())
        assert numbers == infer_shape(each, shape, categories).parameters


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), shape=st.sampled_from(SHAPES[:5]))
def test_any_child_takes_over_from_any_parent(seed: int, shape: tuple[int, int, int]) -> None:
    rng, taxonomy, solved = np.random.default_rng(seed), Taxonomy(), problem(shape, 4)
    mother, father = (each for each, _, _ in genomes(2, (shape,), seed))
    mutant = mutate(rng, mother, taxonomy, solved)
    assert mutant is not None
    for parent, child in (
        (mother, mutant.genome),
        (mutant.genome, mother),
        (father, cross(rng, mother, father, taxonomy, solved).genome),
    ):
        old = random_weights(rng, parent, shape, 4)
        fresh = random_weights(rng, child, shape, 4)
        before = {name: array.copy() for name, array in {**old, **fresh}.items()}
        transfer = inherit_weights(parent, old, child, fresh, shape, 4)
        assert {name: array.shape for name, array in transfer.arrays.items()} == weight_layout(
            child, shape, 4
        )
        assert list(transfer.arrays) == list(weight_layout(child, shape, 4))
        assert all(np.isfinite(array).all() for array in transfer.arrays.values())
        assert all(array.dtype == np.float32 for array in transfer.arrays.values())
        assert 0.0 <= transfer.share <= 1.0
        assert all((before[name] == array).all() for name, array in fresh.items())


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), shape=st.sampled_from(SHAPES[:5]))
def test_layers_planned_as_equal_are_equal(seed: int, shape: tuple[int, int, int]) -> None:
    rng, taxonomy, solved = np.random.default_rng(seed), Taxonomy(), problem(shape, 4)
    parent = next(genomes(1, (shape,), seed))[0]
    mutant = mutate(rng, parent, taxonomy, solved)
    assert mutant is not None
    layouts = [weight_layout(each, shape, 4) for each in (parent, mutant.genome)]
    plan = plan_inheritance(parent, mutant.genome, shape, 4)
    assert len({each.layer for each in plan}) == len(plan)
    assert {name.partition("/")[0] for name in layouts[1]} == {each.layer for each in plan}
    for each in plan:
        if each.how == "equal":
            assert _of(each.parent, layouts[0]) == _of(each.layer, layouts[1])


def _of(layer: str | None, layout: dict) -> list:
    return [
        (name.partition("/")[2], shape)
        for name, shape in layout.items()
        if name.startswith(f"{layer}/")
    ]


def test_an_array_that_does_not_fit_its_genome_is_named() -> None:
    arrays = random_weights(np.random.default_rng(0), PLAIN, SHAPE, CATEGORIES)
    damaged = arrays | {"features-2/kernel": arrays["features-0/kernel"]}
    with pytest.raises(ValueError, match=r"features-2/kernel of shape \(3, 3, 4, 5\)"):
        inherit_weights(PLAIN, damaged, PLAIN, arrays, SHAPE, CATEGORIES)
    missing = {name: array for name, array in arrays.items() if name != "output/bias"}
    with pytest.raises(ValueError, match="output/bias"):
        inherit_weights(PLAIN, arrays, PLAIN, missing, SHAPE, CATEGORIES)
