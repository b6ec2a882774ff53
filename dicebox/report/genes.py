"""Which values of which genes the best have, beside all; pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from commons.messages import Individual
from dicebox.report.genome_diff import flat, words
from dicebox.report.trials import standing

_LEAST = 4
# A number with more different values than this is shown in ranges.
_MOST_VALUES = 6
_RANGES = 4
Value = str | float


@dataclass(frozen=True)
class ValueShare:
    """How often a gene has a value: share (0 to 1) among the best, and among all."""

    value: str
    best: float
    all: float


@dataclass(frozen=True)
class GeneFigures:
    """A gene with the shares of its values; `distance` (0 to 1) says how far best and all differ.

    The distance is the total variation: the share of the best that would have to change.
    """

    name: str
    values: list[ValueShare]
    distance: float


@dataclass(frozen=True)
class GeneStatistics:
    """The genes, those first in which the best differ most; `best` of `all` individuals."""

    genes: list[GeneFigures]
    best: int
    all: int


def gene_statistics(individuals: Sequence[Individual]) -> GeneStatistics | None:
    """Return how the best quarter differs from all that were trained; None for fewer than 4.

    Genes of layers count once a layer. Left out are a gene that has one value everywhere, and
    one of layers that few of the best have.
    """
    ranked = sorted(
        (one for one in individuals if standing(one) is not None),
        key=lambda one: standing(one) or (0, 0.0, 0.0),
        reverse=True,
    )
    if len(ranked) < _LEAST:
        return None
    quarter = max(1, len(ranked) // 4)
    best, everybody = (
        _collected(each.genome for each in some) for some in (ranked[:quarter], ranked)
    )
    figures = [
        _figures(name, best[name], values)
        for name, values in everybody.items()
        if len(best.get(name, [])) * 2 >= quarter
    ]
    shown = [each for each in figures if len(each.values) > 1]
    shown.sort(key=lambda each: (-each.distance, each.name))
    return GeneStatistics(shown, quarter, len(ranked))


def _collected(genomes: Iterable[Mapping[str, Any]]) -> dict[str, list[Value]]:
    found: defaultdict[str, list[Value]] = defaultdict(list)
    for genome in genomes:
        for name, value in _genes(genome):
            found[name].append(value)
    return found


def _genes(genome: Mapping[str, Any]) -> Iterable[tuple[str, Value]]:
    layers = [*genome.get("features", ()), *genome.get("classifier", ())]
    kinds = Counter(str(layer.get("type")) for layer in layers)
    for kind in ("convolution", "pooling", "dropout", "dense"):
        yield f"{kind} layers", float(kinds[kind])
    for layer in layers:
        kind = str(layer.get("type"))
        for name, value in layer.items():
            if name != "type":
                yield f"{kind}: {words(name)}", _plain(value)
    rest = {k: v for k, v in genome.items() if k not in ("features", "classifier", "version")}
    training = rest.pop("training", {})
    for name, value in (*flat(rest).items(), *flat(training).items()):
        yield name, _plain(value)


def _figures(name: str, best: Sequence[Value], everybody: Sequence[Value]) -> GeneFigures:
    label = _labels(everybody)
    counts = Counter(label[value] for value in everybody)
    top = Counter(label[value] for value in best)
    shares = [
        ValueShare(text, top[text] / len(best), counts[text] / len(everybody))
        for text in dict.fromkeys(label[value] for value in sorted(label, key=_order))
    ]
    distance = sum(abs(each.best - each.all) for each in shares) / 2
    return GeneFigures(name, shares, distance)


def _labels(values: Sequence[Value]) -> dict[Value, str]:
    """Return what each value is shown as; many different numbers become ranges of equal count."""
    distinct = sorted(set(values), key=_order)
    numbers = [value for value in values if isinstance(value, float)]
    if len(distinct) <= _MOST_VALUES or len(numbers) != len(values):
        return {value: _text(value) for value in distinct}
    ordered = sorted(numbers)
    cuts = [ordered[len(ordered) * part // _RANGES] for part in range(1, _RANGES)]
    groups: defaultdict[int, list[float]] = defaultdict(list)
    for value in sorted(set(numbers)):
        groups[sum(value >= cut for cut in cuts)].append(value)
    return {
        value: _text(group[0]) if len(group) == 1 else f"{_text(group[0])} to {_text(group[-1])}"
        for group in groups.values()
        for value in group
    }


def _plain(value: Any) -> Value:
    if isinstance(value, bool):
        return "on" if value else "off"
    return float(value) if isinstance(value, int | float) else str(value)


def _order(value: Value) -> tuple[bool, float, str]:
    return (False, value, "") if isinstance(value, float) else (True, 0.0, value)


def _text(value: Value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else value
