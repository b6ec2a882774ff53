"""The mutations: each returns a changed genome, or None where it does not apply.

They draw from the taxonomy alone; what a change costs is the business of `evolver.limits`.
`MUTATIONS` gives every one its name in the journal and its weight.
"""

from collections.abc import Callable, Sequence
from typing import Any

from numpy.random import Generator

from commons.genome import Convolution, Dense, Dropout, Gene, Genome, Pooling
from evolver.genes import (
    GeneType,
    choose,
    random_classifier_gene,
    random_feature,
    random_learning_rate,
)
from evolver.taxonomy import Taxonomy

Mutation = Callable[[Generator, Genome, Taxonomy], Genome | None]


def _replaced(items: Sequence[Any], index: int, *others: Any) -> tuple[Any, ...]:
    return (*items[:index], *others, *items[index + 1 :])


def _with(gene: GeneType, **values: Any) -> GeneType:
    return gene.model_copy(update=values)


def _another(rng: Generator, gene: GeneType, name: str, allowed: Sequence[Any]) -> GeneType | None:
    """Return the gene with one field at another allowed value."""
    others = [value for value in allowed if value != getattr(gene, name)]
    return _with(gene, **{name: choose(rng, others)}) if others else None


def _next_step(
    rng: Generator, gene: GeneType, name: str, allowed: Sequence[Any]
) -> GeneType | None:
    """Return the gene with an ordered field one allowed step up or down."""
    present = getattr(gene, name)
    below = [value for value in allowed if value < present]
    above = [value for value in allowed if value > present]
    steps = ([max(below)] if below else []) + ([min(above)] if above else [])
    return _with(gene, **{name: choose(rng, steps)}) if steps else None


def _alter_feature(
    rng: Generator,
    genome: Genome,
    kind: type[Gene],
    change: Callable[[Any], Gene | None],
) -> Genome | None:
    """Return the genome with a change at one of its genes of a kind."""
    places = [index for index, gene in enumerate(genome.features) if isinstance(gene, kind)]
    if not places:
        return None
    index = choose(rng, places)
    gene = change(genome.features[index])
    if gene is None:
        return None
    return _with(genome, features=_replaced(genome.features, index, gene))


def _field_of(kind: type[Gene], name: str, *, step: bool = False) -> Mutation:
    """Return the mutation that alters one field of one gene of a kind."""

    def mutate(rng: Generator, genome: Genome, taxonomy: Taxonomy) -> Genome | None:
        allowed = taxonomy.choices(kind)[name]
        pick = _next_step if step else _another
        return _alter_feature(rng, genome, kind, lambda gene: pick(rng, gene, name, allowed))

    return mutate


def _training_field(name: str, *, step: bool = False) -> Mutation:
    """Return the mutation that alters one field of the recipe."""

    def mutate(rng: Generator, genome: Genome, taxonomy: Taxonomy) -> Genome | None:
        pick = _next_step if step else _another
        allowed = taxonomy.choices(genome.training)[name]
        training = pick(rng, genome.training, name, allowed)
        return None if training is None else _with(genome, training=training)

    return mutate


def add_layer(rng: Generator, genome: Genome, taxonomy: Taxonomy) -> Genome | None:
    """Return the genome with a random feature gene put in."""
    space = taxonomy.features
    if not space.kinds or len(genome.features) >= space.most:
        return None
    index = int(rng.integers(len(genome.features) + 1))
    gene = random_feature(rng, taxonomy)
    return _with(genome, features=(*genome.features[:index], gene, *genome.features[index:]))


def duplicate_layer(rng: Generator, genome: Genome, taxonomy: Taxonomy) -> Genome | None:
    """Return the genome with one convolution twice, the copy without a stride if it may."""
    places = [i for i, gene in enumerate(genome.features) if isinstance(gene, Convolution)]
    if not places or len(genome.features) >= taxonomy.features.most:
        return None
    index = choose(rng, places)
    gene = genome.features[index]
    strides = taxonomy.choices(Convolution)["stride"]
    copy = _with(gene, stride=1) if 1 in strides else gene
    return _with(genome, features=_replaced(genome.features, index, gene, copy))


def remove_layer(rng: Generator, genome: Genome, taxonomy: Taxonomy) -> Genome | None:
    """Return the genome without one of its feature genes."""
    if len(genome.features) <= taxonomy.features.least:
        return None
    index = int(rng.integers(len(genome.features)))
    return _with(genome, features=_replaced(genome.features, index))


def swap_layers(rng: Generator, genome: Genome, _taxonomy: Taxonomy) -> Genome | None:
    """Return the genome with two neighbouring feature genes in the other order."""
    features = genome.features
    places = [i for i in range(len(features) - 1) if features[i] != features[i + 1]]
    if not places:
        return None
    index = choose(rng, places)
    pair = (features[index + 1], features[index])
    return _with(genome, features=(*features[:index], *pair, *features[index + 2 :]))


def scale_width(rng: Generator, genome: Genome, taxonomy: Taxonomy) -> Genome | None:
    """Return the genome with all convolutions one step wider, or all one step narrower."""
    allowed = sorted(set(taxonomy.choices(Convolution)["filters"]))
    step = 1 if rng.random() < 0.5 else -1  # noqa: PLR2004

    def scaled(gene: Any) -> Any:
        if not isinstance(gene, Convolution) or gene.filters not in allowed:
            return gene
        index = min(max(allowed.index(gene.filters) + step, 0), len(allowed) - 1)
        return _with(gene, filters=allowed[index])

    return _with(genome, features=tuple(scaled(gene) for gene in genome.features))


def change_activations(rng: Generator, genome: Genome, taxonomy: Taxonomy) -> Genome | None:
    """Return the genome with another activation in every gene that has one."""
    activation = choose(rng, taxonomy.activations)

    def changed(gene: Any) -> Any:
        active = isinstance(gene, Convolution | Dense)
        return _with(gene, activation=activation) if active else gene

    return _with(
        genome,
        features=tuple(changed(gene) for gene in genome.features),
        classifier=tuple(changed(gene) for gene in genome.classifier),
    )


def change_head(rng: Generator, genome: Genome, taxonomy: Taxonomy) -> Genome | None:
    """Return the genome with another way from maps to the vector."""
    return _another(rng, genome, "head", taxonomy.heads)


def toggle_mirror(rng: Generator, genome: Genome, taxonomy: Taxonomy) -> Genome | None:
    """Return the genome that asks, or no longer asks, the mirror image as well."""
    return _another(rng, genome, "mirror", taxonomy.mirror)


def add_classifier_gene(rng: Generator, genome: Genome, taxonomy: Taxonomy) -> Genome | None:
    """Return the genome with a random gene put into the classifier."""
    space, genes = taxonomy.classifier, genome.classifier
    if not space.kinds or len(genes) >= space.most:
        return None
    index = int(rng.integers(len(genes) + 1))
    gene = random_classifier_gene(rng, taxonomy)
    return _with(genome, classifier=(*genes[:index], gene, *genes[index:]))


def remove_classifier_gene(rng: Generator, genome: Genome, taxonomy: Taxonomy) -> Genome | None:
    """Return the genome without one gene of the classifier."""
    genes = genome.classifier
    if len(genes) <= taxonomy.classifier.least:
        return None
    return _with(genome, classifier=_replaced(genes, int(rng.integers(len(genes)))))


def alter_classifier_gene(rng: Generator, genome: Genome, taxonomy: Taxonomy) -> Genome | None:
    """Return the genome with one field of one classifier gene at another value."""
    genes = genome.classifier
    if not genes:
        return None
    index = int(rng.integers(len(genes)))
    name, allowed = choose(rng, sorted(taxonomy.choices(genes[index]).items()))
    gene = _another(rng, genes[index], name, allowed)
    return None if gene is None else _with(genome, classifier=_replaced(genes, index, gene))


def change_optimizer(rng: Generator, genome: Genome, taxonomy: Taxonomy) -> Genome | None:
    """Return the genome with another optimizer at a learning rate of that one's range."""
    training = _another(rng, genome.training, "optimizer", tuple(taxonomy.training.optimizers))
    if training is None:
        return None
    rate = random_learning_rate(rng, taxonomy.training.optimizers[training.optimizer])
    return _with(genome, training=_with(training, learning_rate=rate))


def scale_learning_rate(rng: Generator, genome: Genome, taxonomy: Taxonomy) -> Genome | None:
    """Return the genome with its learning rate at 0.4 to 2.5 times of what it is."""
    interval = taxonomy.training.optimizers[genome.training.optimizer]
    factor = float(2.5 ** rng.uniform(-1.0, 1.0))
    rate = interval.clip(float(f"{genome.training.learning_rate * factor:.3g}"))
    return _with(genome, training=_with(genome.training, learning_rate=rate))


def alter_augmentation(rng: Generator, genome: Genome, taxonomy: Taxonomy) -> Genome | None:
    """Return the genome with one augmentation at another strength."""
    present = genome.training.augmentation
    name, allowed = choose(rng, sorted(taxonomy.choices(present).items()))
    augmentation = _another(rng, present, name, allowed)
    if augmentation is None:
        return None
    return _with(genome, training=_with(genome.training, augmentation=augmentation))


MUTATIONS: dict[str, tuple[Mutation, float]] = {
    "add-layer": (add_layer, 2.0),
    "duplicate-layer": (duplicate_layer, 1.5),
    "remove-layer": (remove_layer, 2.0),
    "swap-layers": (swap_layers, 0.5),
    "alter-filters": (_field_of(Convolution, "filters", step=True), 2.0),
    "scale-width": (scale_width, 1.5),
    "alter-kernel": (_field_of(Convolution, "kernel", step=True), 1.0),
    "alter-stride": (_field_of(Convolution, "stride"), 0.5),
    "toggle-norm": (_field_of(Convolution, "norm"), 0.5),
    "toggle-separable": (_field_of(Convolution, "separable"), 0.5),
    "toggle-residual": (_field_of(Convolution, "residual"), 1.5),
    "alter-activation": (_field_of(Convolution, "activation"), 0.5),
    "change-activations": (change_activations, 1.0),
    "alter-pooling-kind": (_field_of(Pooling, "kind"), 0.5),
    "alter-pooling-size": (_field_of(Pooling, "size"), 0.3),
    "alter-dropout": (_field_of(Dropout, "rate", step=True), 0.7),
    "change-head": (change_head, 1.0),
    "toggle-mirror": (toggle_mirror, 0.5),
    "add-classifier-gene": (add_classifier_gene, 0.7),
    "remove-classifier-gene": (remove_classifier_gene, 0.7),
    "alter-classifier-gene": (alter_classifier_gene, 0.7),
    "change-optimizer": (change_optimizer, 0.8),
    "scale-learning-rate": (scale_learning_rate, 2.0),
    "alter-schedule": (_training_field("schedule"), 0.4),
    "alter-batch-size": (_training_field("batch_size", step=True), 1.0),
    "alter-weight-decay": (_training_field("weight_decay", step=True), 1.0),
    "alter-label-smoothing": (_training_field("label_smoothing", step=True), 1.0),
    "alter-augmentation": (alter_augmentation, 3.0),
}
