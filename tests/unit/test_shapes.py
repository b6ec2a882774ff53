import pytest

from commons.genome import Convolution, Dense, Dropout, Genome, Pooling
from commons.shapes import infer_shape


def only(gene: Convolution | Pooling | Dropout, shape: tuple[int, int, int] = (9, 8, 2)):
    return infer_shape(Genome(features=(gene,)), shape, 2).layers[0]


def test_a_convolution_keeps_the_size_and_counts_kernel_and_norm() -> None:
    layer = only(Convolution(filters=4, kernel=3))
    assert layer.output == (9, 8, 4)
    assert layer.parameters == 3 * 3 * 2 * 4 + 4 * 4
    assert layer.multiply_adds == 9 * 8 * 3 * 3 * 2 * 4


def test_a_stride_rounds_up_and_a_convolution_without_norm_has_a_bias() -> None:
    layer = only(Convolution(filters=4, kernel=5, stride=2, norm=False))
    assert layer.output == (5, 4, 4)
    assert layer.parameters == 5 * 5 * 2 * 4 + 4


def test_a_separable_convolution_is_depthwise_and_pointwise() -> None:
    layer = only(Convolution(filters=4, kernel=3, separable=True))
    assert layer.parameters == 3 * 3 * 2 + 2 * 4 + 4 * 4


@pytest.mark.parametrize(("filters", "projection"), [(4, 2 * 4), (2, 0)])
def test_a_residual_projects_only_where_shapes_differ(filters: int, projection: int) -> None:
    plain = only(Convolution(filters=filters, kernel=3))
    residual = only(Convolution(filters=filters, kernel=3, residual=True))
    assert residual.parameters - plain.parameters == projection


def test_pooling_rounds_up_and_costs_no_parameters() -> None:
    layer = only(Pooling(size=2))
    assert (layer.output, layer.parameters) == ((5, 4, 2), 0)


@pytest.mark.parametrize(("head", "size"), [("flatten", 9 * 8 * 2), ("average", 2), ("max", 2)])
def test_the_head_makes_a_vector(head: str, size: int) -> None:
    genome = Genome.model_validate({"head": head})
    assert infer_shape(genome, (9, 8, 2), 3).layers[0].output == (size,)


def test_the_classifier_and_the_implied_output_layer_are_dense() -> None:
    genome = Genome(classifier=(Dense(units=5, norm=True), Dropout(rate=0.1)))
    layers = infer_shape(genome, (9, 8, 2), 3).layers
    assert [layer.output for layer in layers] == [(2,), (5,), (5,), (3,)]
    assert [layer.parameters for layer in layers] == [0, 2 * 5 + 4 * 5, 0, 5 * 3 + 3]


def test_a_network_is_the_sum_of_its_layers() -> None:
    network = infer_shape(Genome(features=(Convolution(filters=4, kernel=1),)), (2, 2, 1), 3)
    assert network.parameters == (4 + 16) + (4 * 3 + 3)
    assert network.multiply_adds == 16 + 16 + 12
    assert network.activations == 16 + 4 + 3


@pytest.mark.parametrize("shape", [(8, 8), (0, 8, 1), (8, 8, 1, 1)])
def test_what_is_no_image_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="height, width, channels"):
        infer_shape(Genome(), shape, 2)


def test_fewer_than_two_categories_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        infer_shape(Genome(), (8, 8, 1), 1)
