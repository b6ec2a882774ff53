"""A genome as a table for people; pure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from commons.genome import Genome
from commons.shapes import LayerShape, infer_shape
from dicebox.report.genome_diff import describe_gene, flat

Shape = tuple[int, int, int]


class LayerRow(NamedTuple):
    """A layer in words, the shape it puts out, and what it costs; empty where not known."""

    layer: str
    output: str
    parameters: int | None
    multiply_adds: int | None


def layer_rows(genome: Mapping[str, Any], shape: Shape | None, categories: int) -> list[LayerRow]:
    """Return the layers of a network front to back, from its head to its answer included.

    Costs are left out where the genome is of another version, or nothing is known of the images.
    """
    head = {"flatten": "all of the maps", "average": "global average", "max": "global maximum"}
    stem = genome.get("stem")
    named = [f"stem: {describe_gene({'type': 'whitening', **stem})}"] if stem else []
    named += [describe_gene(gene) for gene in genome.get("features", ())]
    named.append(head.get(str(genome.get("head")), str(genome.get("head"))))
    named += [describe_gene(gene) for gene in genome.get("classifier", ())]
    answer = f"answer: {categories} categories" if categories else "answer"
    named.append(f"{answer}, the mean with the mirror image" if genome.get("mirror") else answer)
    shapes = _shapes(genome, shape, categories)
    if len(shapes) != len(named):
        return [LayerRow(layer, "", None, None) for layer in named]
    return [
        LayerRow(layer, "x".join(map(str, one.output)), one.parameters, one.multiply_adds)
        for layer, one in zip(named, shapes, strict=True)
    ]


def recipe_rows(genome: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return how a network is trained, as names and values."""
    return [(name, _shown(value)) for name, value in flat(genome.get("training", {})).items()]


def _shapes(
    genome: Mapping[str, Any], shape: Shape | None, categories: int
) -> Sequence[LayerShape]:
    if shape is None:
        return ()
    try:
        return infer_shape(Genome.model_validate(genome), shape, categories).layers
    except (ValidationError, ValueError):
        return ()


def _shown(value: Any) -> str:
    match value:
        case bool():
            return "on" if value else "off"
        case float():
            return "0" if value == 0 else f"{value:.3g}"
        case None:
            return "none"
        case _:
            return str(value)
