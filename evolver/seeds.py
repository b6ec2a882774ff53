"""A few known-good genomes that start a population, so that a short search starts well.

They are ordinary genomes of the search space; what is special about them is experience.
Source: the shapes follow VGG and residual networks for small images; the recipe (batch norm,
one cycle, label smoothing, shifts, flips for photographs) follows airbench and fast.ai's work
on DAWNBench.
"""

from commons.genome import (
    Augmentation,
    Convolution,
    Dense,
    Dropout,
    FeatureGene,
    Genome,
    Pooling,
    Training,
)

# Maps are halved before anything else while they are larger than this.
_LARGEST_STAGE = 40
_SMALL = 12
_MEDIUM = 20


def seed_genomes(shape: tuple[int, int, int]) -> tuple[Genome, ...]:
    """Return the seeds for images of `shape` (height, width, channels), the surest first.

    They may be above a taxonomy's limits: `evolver.limits.repair` makes them fit.
    """
    extent = max(shape[:2])
    stem = _stem(extent)
    stages = 2 if extent <= _SMALL else 3
    width = 32 if extent <= _MEDIUM else 24
    recipe = _recipe(colour=shape[2] > 1)
    plain = recipe.model_copy(update={"weight_decay": 0.0})
    pairs = Genome(features=(*stem, *_pairs(stages, width)), training=recipe)
    residuals = Genome(features=(*stem, *_residuals(stages, width)), training=recipe)
    vector = Genome(
        features=(*stem, *_pairs(2 if extent <= _MEDIUM else 3, width)[:-1], Dropout(rate=0.2)),
        head="flatten",
        classifier=(Dense(units=128, norm=True), Dropout(rate=0.3)),
        training=plain,
    )
    small = Genome(features=(*stem, *_pairs(stages, 16)), training=plain)
    if extent <= _SMALL:
        wide = _pairs(stages, width * 3 // 2)
        training = recipe.model_copy(update={"learning_rate": 2e-3})
        most = Genome(features=(*wide, Dropout(rate=0.1)), head="max", training=training)
        return (pairs, residuals, vector, most, small)
    if shape[2] > 1:
        return (
            _fast(stem, (32, 128, 128), colour=True),
            _fast(stem, (16, 64, 64), colour=True),
            residuals,
            pairs,
            vector,
        )
    return (pairs, _fast(stem, (32, 64, 64), colour=False), residuals, vector, small)


def large_seed_genomes(shape: tuple[int, int, int]) -> tuple[Genome, ...]:
    """Return seeds for those who have the time, or the processor, for them: never made to fit."""
    extent = max(shape[:2])
    if shape[2] == 1 or extent <= _SMALL:
        return ()
    return (_fast(_stem(extent), (64, 256, 256), colour=True),)


def _fast(stem: tuple[FeatureGene, ...], widths: tuple[int, ...], *, colour: bool) -> Genome:
    """Return stages whose first convolution is pooled before anything else is done with it.

    Most of its work is on small maps, so it sees many images a second; a high rate of plain
    momentum goes with it. Batches of 512 need many images to get going: after five epochs of
    20,000 small photographs they are 24 points of accuracy behind these (measured).
    """
    features = stem
    for width in widths:
        convolution = Convolution(filters=width, kernel=3)
        features = (*features, convolution, Pooling(), convolution)
    training = Training(
        optimizer="sgd",
        learning_rate=0.3,
        schedule="one-cycle",
        batch_size=128,
        weight_decay=1e-2,
        label_smoothing=0.2 if colour else 0.1,
        augmentation=Augmentation(flip=colour, shift=0.06 if colour else 0.08),
    )
    return Genome(features=features, mirror=colour, training=training)


def _stem(extent: int) -> tuple[FeatureGene, ...]:
    """Return convolutions that halve large images until they are small."""
    stem: tuple[FeatureGene, ...] = ()
    while extent > _LARGEST_STAGE:
        stem = (*stem, Convolution(filters=16 if not stem else 24, kernel=3, stride=2))
        extent = -(-extent // 2)
    return stem


def _pairs(stages: int, width: int) -> tuple[FeatureGene, ...]:
    """Return stages of two convolutions, twice as wide after each pooling."""
    features: tuple[FeatureGene, ...] = ()
    for stage in range(stages):
        convolution = Convolution(filters=min(width * 2**stage, 128), kernel=3)
        pooling = (Pooling(),) if stage else ()
        features = (*features, *pooling, convolution, convolution)
    return features


def _residuals(stages: int, width: int) -> tuple[FeatureGene, ...]:
    """Return a convolution, then stages of a residual one each after the pooling."""
    features: tuple[FeatureGene, ...] = (Convolution(filters=width, kernel=3),)
    for stage in range(stages):
        residual = Convolution(filters=min(width * 2**stage, 128), kernel=3, residual=True)
        pooling = (Pooling(),) if stage else ()
        features = (*features, *pooling, residual, residual)
    return features


def _recipe(*, colour: bool) -> Training:
    # Colour means photographs here, and those may be mirrored; digits and letters may not.
    return Training(
        optimizer="adam",
        learning_rate=3e-3,
        schedule="one-cycle",
        batch_size=64,
        weight_decay=5e-4,
        label_smoothing=0.1,
        augmentation=Augmentation(flip=colour, shift=0.12 if not colour else 0.08),
    )
