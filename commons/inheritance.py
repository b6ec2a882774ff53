"""What a child's network may take over from its parent's: which layer from which, and how.

Layers are matched in order, so that as much as can be is taken over. `commons.weight_transfer`
does it with arrays.

Sources: Net2Net, Chen et al. 2015 (arXiv 1511.05641), and network morphism, Wei et al. 2016
(arXiv 1603.01670): a child that computes what its parent did need not learn it again. New
channels here start random and what reads them starts at zero, which keeps the function without
copies of channels that would have to part first.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from commons.genome import Convolution, Dense, Gene, Genome
from commons.shapes import Shape, infer_shape

How = Literal["equal", "overlap", "identity", "fresh"]


class Inherited(NamedTuple):
    """Where one layer of a child has its weights from.

    Args:
        layer: Of the child: `features-3`, `classifier-0` or `output`.
        parent: The layer of the parent, None where it has none.
        how: `equal`: all of them; `overlap`: the filters, channels and part of the window that
            both have, what is new reads nothing at first; `identity`: a new layer that passes
            on what it gets, as far as it can; `fresh`: random.
    """

    layer: str
    parent: str | None
    how: How


def plan_inheritance(
    parent: Genome, child: Genome, input_shape: Shape, categories: int
) -> tuple[Inherited, ...]:
    """Return where each layer with weights of the child has them from, in its order.

    Raises:
        ValueError: See `commons.shapes.infer_shape`.
    """
    plan: list[Inherited] = []
    for row in ("features", "classifier"):
        ours = _weighted(child, row, input_shape, categories)
        theirs = _weighted(parent, row, input_shape, categories)
        matches = align([gene for _, gene, _ in theirs], [gene for _, gene, _ in ours])
        for place, (name, gene, inputs) in enumerate(ours):
            match = matches[place]
            if match is None:
                plan.append(Inherited(name, None, _of_new(gene, inputs)))
                continue
            source, other, width = theirs[match]
            equal = _shape_word(gene) == _shape_word(other) and inputs == width
            plan.append(Inherited(name, source, "equal" if equal else "overlap"))
    same = _vector(parent, input_shape, categories) == _vector(child, input_shape, categories)
    return (*plan, Inherited("output", "output", "equal" if same else "overlap"))


def kept_share(parent: Genome, child: Genome, input_shape: Shape, categories: int) -> float:
    """Return the share of a child's layers that it has from a parent, an overlap being half."""
    worth = {"equal": 1.0, "overlap": 0.5}
    plan = plan_inheritance(parent, child, input_shape, categories)
    return sum(worth.get(each.how, 0.0) for each in plan) / len(plan)


def align(theirs: Sequence[Gene], ours: Sequence[Gene]) -> list[int | None]:
    """Return for each of our layers the one of theirs it takes over, None for a new one.

    The order is kept and the likeness of the matched ones together is the greatest there is; of
    equal choices the later of theirs stays matched.
    """
    likeness = [[alike(old, new) for new in ours] for old in theirs]
    score = [[0.0] * (len(ours) + 1) for _ in range(len(theirs) + 1)]
    for i in range(1, len(theirs) + 1):
        for j in range(1, len(ours) + 1):
            matched = score[i - 1][j - 1] + likeness[i - 1][j - 1]
            score[i][j] = max(matched, score[i - 1][j], score[i][j - 1])
    found: list[int | None] = [None] * len(ours)
    i, j = len(theirs), len(ours)
    while i and j:
        if likeness[i - 1][j - 1] and score[i][j] == score[i - 1][j - 1] + likeness[i - 1][j - 1]:
            i, j = i - 1, j - 1
            found[j] = i
        elif score[i][j] == score[i - 1][j]:
            i -= 1
        else:
            j -= 1
    return found


def alike(old: Gene, new: Gene) -> float:
    """Return how much a new layer could take over from an old one, 0 (nothing) to 1 (all).

    A full convolution's weights are of no use to a separable one.
    """
    if isinstance(old, Dense) and isinstance(new, Dense):
        return _share(old.units, new.units) * (1.0 if old.norm == new.norm else 0.9)
    if not (isinstance(old, Convolution) and isinstance(new, Convolution)):
        return 0.0
    if new.separable and not old.separable:
        return 0.0
    likeness = _share(old.filters, new.filters) * _share(old.kernel, new.kernel)
    for name in ("separable", "norm", "residual", "stride", "activation"):
        likeness *= 1.0 if getattr(old, name) == getattr(new, name) else 0.9
    return likeness


def _share(one: int, other: int) -> float:
    return min(one, other) / max(one, other)


def _of_new(gene: Gene, inputs: int) -> How:
    """Return how a layer without a counterpart starts: passing on what it gets if it can."""
    if isinstance(gene, Convolution) and gene.stride == 1 and gene.filters >= inputs:
        return "identity"
    return "fresh"


def _shape_word(gene: Gene) -> tuple[object, ...]:
    maps = ("filters", "kernel", "stride", "norm", "separable", "residual")
    names = maps if isinstance(gene, Convolution) else ("units", "norm")
    return tuple(getattr(gene, name) for name in names)


def _weighted(
    genome: Genome, row: str, input_shape: Shape, categories: int
) -> list[tuple[str, Gene, int]]:
    """Return name, gene and input width of the layers with weights."""
    layers = infer_shape(genome, input_shape, categories).layers
    offset = 0 if row == "features" else len(genome.features) + 1
    found: list[tuple[str, Gene, int]] = []
    width = input_shape[2] if row == "features" else layers[offset - 1].output[0]
    for index, gene in enumerate(getattr(genome, row)):
        if isinstance(gene, Convolution | Dense):
            found.append((f"{row}-{index}", gene, width))
        width = layers[offset + index].output[-1]
    return found


def _vector(genome: Genome, input_shape: Shape, categories: int) -> int:
    """Return how many numbers the last layer reads."""
    return infer_shape(genome, input_shape, categories).layers[-2].output[0]
