"""What changed from one genome to another, in words; pure.

Genomes are compared by their JSON form, so that a gene of a later version is shown too.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

Json = Mapping[str, Any]
_PARTS = ("features", "classifier")
_NAMES = {"features": "layer", "classifier": "classifier layer"}
# Adding and removing a layer costs 2, so a layer of the same type is always a changed one.
_GAP = 1.0
_SAME_TYPE = 0.1


class Change(NamedTuple):
    """One difference: `where` it is, and what was there before and after (None: nothing)."""

    kind: Literal["added", "removed", "changed"]
    where: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        if self.kind == "changed":
            return f"{self.where}: {self.before} → {self.after}"
        return f"{self.where} {self.kind}: {self.after or self.before}"


def genome_diff(before: Json, after: Json) -> list[Change]:
    """Return what turns one genome into the other, front to back; empty if nothing does."""
    changes: list[Change] = []
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name), after.get(name)
        if name in _PARTS:
            changes += _layers(_NAMES[name], old or [], new or [])
        elif old != new:
            changes += _fields("" if name == "training" else words(name), old, new)
    return changes


def describe_gene(gene: Json) -> str:
    """Return a layer in words, such as `convolution 3x3, 64 filters, batch norm, relu, residual`.

    What is off or has no influence is left out; fields that are not known here are named.
    """
    rest = dict(gene)
    kind = str(rest.pop("type", "layer"))
    match kind:
        case "convolution":
            name = "separable convolution" if rest.pop("separable", False) else kind
            side = rest.pop("kernel", "?")
            said = [f"{name} {side}x{side}", _counted(rest.pop("filters", None), "filter")]
            stride = rest.pop("stride", 1)
            said.append(f"stride {stride}" if stride != 1 else "")
        case "pooling":
            size = rest.pop("size", "?")
            said = [f"{rest.pop('kind', '')} pooling {size}x{size}".strip()]
        case "dropout":
            said = [f"dropout {_value(rest.pop('rate', 0.0))}"]
        case "dense":
            said = [f"dense, {_counted(rest.pop('units', None), 'unit')}"]
        case _:
            said = [kind]
    said.append("batch norm" if rest.pop("norm", False) else "")
    said.append(words(str(rest.pop("activation", ""))))
    said.append("residual" if rest.pop("residual", False) else "")
    said += [f"{words(name)} {_value(value)}" for name, value in rest.items() if value]
    return ", ".join(word for word in said if word)


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return the leaves of nested objects by their names in words, such as `cutout`."""
    if isinstance(value, Mapping):
        found: dict[str, Any] = {}
        for name, inner in value.items():
            found |= flat(inner, _joined(prefix, "" if name == "augmentation" else words(name)))
        return found
    return {prefix: value}


def words(name: str) -> str:
    """Return the name of a field as people write it."""
    return name.replace("_", " ")


def _layers(name: str, before: Sequence[Json], after: Sequence[Json]) -> list[Change]:
    changes: list[Change] = []
    for i, j in _aligned(before, after):
        if i is None and j is not None:
            changes.append(Change("added", f"{name} {j + 1}", None, describe_gene(after[j])))
        elif j is None and i is not None:
            changes.append(Change("removed", f"{name} {i + 1}", describe_gene(before[i]), None))
        elif i is not None and j is not None and before[i] != after[j]:
            changes += _fields(
                f"{name} {j + 1} {words(str(after[j].get('type', '')))}".strip(),
                before[i],
                after[j],
            )
    return changes


def _fields(where: str, before: Any, after: Any) -> list[Change]:
    if before is None and isinstance(after, Mapping):
        return [Change("added", where, None, _all_of(after))]
    if after is None and isinstance(before, Mapping):
        return [Change("removed", where, _all_of(before), None)]
    old, new = flat(before, ""), flat(after, "")
    return [
        Change("changed", _joined(where, name), _shown(old, name), _shown(new, name))
        for name in dict.fromkeys((*old, *new))
        if old.get(name) != new.get(name)
    ]


def _aligned(before: Sequence[Json], after: Sequence[Json]) -> list[tuple[int | None, int | None]]:
    """Return pairs of indices, None where there is no partner, with the least change in all."""
    cost = [[_GAP * (i + j) for j in range(len(after) + 1)] for i in range(len(before) + 1)]
    for i, old in enumerate(before):
        for j, new in enumerate(after):
            cost[i + 1][j + 1] = min(
                cost[i][j] + _distance(old, new), cost[i][j + 1] + _GAP, cost[i + 1][j] + _GAP
            )
    pairs: list[tuple[int | None, int | None]] = []
    i, j = len(before), len(after)
    while i or j:
        if i and j and cost[i][j] == cost[i - 1][j - 1] + _distance(before[i - 1], after[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif j and cost[i][j] == cost[i][j - 1] + _GAP:
            # Walked from the back: what is added stands after what is removed.
            j -= 1
            pairs.append((None, j))
        else:
            i -= 1
            pairs.append((i, None))
    return pairs[::-1]


def _distance(old: Json, new: Json) -> float:
    if old == new:
        return 0.0
    if old.get("type") != new.get("type"):
        return 3 * _GAP
    names = old.keys() | new.keys()
    differing = len([name for name in names if old.get(name) != new.get(name)])
    return _SAME_TYPE + differing / len(names)


def _all_of(value: Json) -> str:
    return ", ".join(f"{name} {_value(each)}" for name, each in flat(value).items())


def _joined(first: str, second: str) -> str:
    return f"{first} {second}".strip()


def _counted(count: Any, noun: str) -> str:
    return "" if count is None else f"{count} {noun}{'' if count == 1 else 's'}"


def _shown(values: Mapping[str, Any], name: str) -> str:
    return _value(values[name]) if name in values else "-"


def _value(value: Any) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "on" if value else "off"
        case float():
            return f"{value:.3g}"
        case _:
            return str(value)
