"""Which of many images to label first: those that teach most, and not the same thing twice."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

# How far apart two are of which one was not looked at yet, of 255: as two of many usually are.
_TYPICAL = 60.0
# Of two that look the same, the second one is worth this little; so none is worth nothing.
_LEAST = 1.0


def diverse(
    vectors: Sequence[Floats | None],
    uncertainty: Sequence[float],
    size: int,
    chosen: Sequence[Floats] = (),
) -> list[int]:
    """Return the places of `size` images, the most worth labeling first.

    Each next one is the most uncertain times the farthest from all before.

    Args:
        vectors: What each looks like (see `appearance.shape_of`); None where nobody knows.
        uncertainty: Of each, above 0.
        size: How many; fewer where there are fewer.
        chosen: What those look like that are labeled at the moment anyway.

    Source:
        Farthest-first traversal (Gonzalez, 1985), as in core-set selection (Sener and
        Savarese, 2018), weighted by uncertainty.
    """
    known = [place for place, vector in enumerate(vectors) if vector is not None]
    found = [vector for vector in vectors if vector is not None]
    matrix = np.stack(found) if found else np.zeros((0, 1), np.float32)
    doubt = np.asarray(uncertainty, np.float64)
    nearest = np.full(len(vectors), np.inf)
    for before in chosen:
        _come_near(nearest, known, matrix, before)
    picked: list[int] = []
    left = np.ones(len(vectors), bool)
    while len(picked) < min(size, len(vectors)):
        distance = np.where(np.isinf(nearest), _TYPICAL, nearest)
        worth = np.where(left, doubt * np.maximum(distance, _LEAST), -np.inf)
        place = int(np.argmax(worth))
        picked.append(place)
        left[place] = False
        vector = vectors[place]
        if vector is not None:
            _come_near(nearest, known, matrix, vector)
    return picked


def _come_near(
    nearest: npt.NDArray[np.float64],
    known: Sequence[int],
    matrix: Floats,
    vector: Floats,
) -> None:
    if known:
        distance = np.sqrt(np.mean((matrix - vector) ** 2, axis=1))
        nearest[known] = np.minimum(nearest[known], distance)
