"""Fills the arrays of a child's network from its parent's, as `commons.inheritance` plans it."""

from collections.abc import Iterator, Mapping
from itertools import count
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from commons.genome import Convolution, Dense, Genome
from commons.inheritance import plan_inheritance
from commons.shapes import Shape, infer_shape
from commons.weight_layout import NORM_ROLES, weight_layout

Array = npt.NDArray[np.float32]
Arrays = Mapping[str, Array]
Roles = dict[str, Array]

# What Keras adds to a variance before it takes the root.
_EPSILON = 1e-3


class Transfer(NamedTuple):
    """The arrays of a child by name; `share` of its numbers came from the parent."""

    arrays: dict[str, Array]
    share: float


class _Layer(NamedTuple):
    """A layer as it stands in its network: `inputs` is the shape of what it reads."""

    gene: Convolution | Dense
    inputs: Shape
    roles: Roles


def inherit_weights(
    parent: Genome,
    parent_arrays: Arrays,
    child: Genome,
    fresh: Arrays,
    input_shape: Shape,
    categories: int,
) -> Transfer:
    """Return the child's arrays, from the parent where the plan says so and else fresh.

    Args:
        parent: Whose trained network it is.
        parent_arrays: All of `weight_layout` for the parent.
        child: Whose network is filled.
        fresh: All of `weight_layout` for the child, as it would start by itself.
        input_shape: Of both (height, width, channels).
        categories: Of both.

    Raises:
        ValueError: An array is missing or has another shape than its genome says.
    """
    old = _layers(parent, parent_arrays, input_shape, categories)
    new = _layers(child, fresh, input_shape, categories)
    arrays: dict[str, Array] = {}
    taken = 0
    for name, source, how in plan_inheritance(parent, child, input_shape, categories):
        roles, numbers = new[name].roles, 0
        if source is not None:
            roles, numbers = _taken_over(old[source], new[name])
        elif how == "identity":
            roles = _identity(new[name])
        taken += numbers
        arrays |= {f"{name}/{role}": array for role, array in roles.items()}
    total = sum(array.size for array in arrays.values())
    return Transfer({name: arrays[name] for name in fresh}, taken / total)


def _layers(
    genome: Genome, arrays: Arrays, input_shape: Shape, categories: int
) -> dict[str, _Layer]:
    layout = weight_layout(genome, input_shape, categories)
    for name, shape in layout.items():
        if name not in arrays or arrays[name].shape != shape:
            found = arrays[name].shape if name in arrays else "none"
            raise ValueError(f"expected an array {name} of shape {shape}, got {found}")
    shapes = [layer.output for layer in infer_shape(genome, input_shape, categories).layers]
    maps = [input_shape, *shapes[: len(genome.features)]]
    # What reads a flattened map reads places of it.
    first = maps[-1] if genome.head == "flatten" else shapes[len(genome.features)]
    vectors = [first]
    for vector_gene, shape in zip(genome.classifier, shapes[len(maps) :], strict=False):
        vectors.append(shape if isinstance(vector_gene, Dense) else vectors[-1])
    placed = [
        *zip(_names("features"), genome.features, maps, strict=False),
        *zip(_names("classifier"), genome.classifier, vectors, strict=False),
        ("output", Dense(units=categories, activation="linear"), vectors[-1]),
    ]
    return {
        name: _Layer(gene, inputs, _roles_of(name, arrays, layout))
        for name, gene, inputs in placed
        if isinstance(gene, Convolution | Dense)
    }


def _names(row: str) -> Iterator[str]:
    return (f"{row}-{index}" for index in count())


def _roles_of(layer: str, arrays: Arrays, layout: Mapping[str, Shape]) -> Roles:
    names = [name for name in layout if name.startswith(f"{layer}/")]
    return {name.partition("/")[2]: np.asarray(arrays[name], np.float32) for name in names}


def _taken_over(old: _Layer, new: _Layer) -> tuple[Roles, int]:
    """Return the roles of a matched layer and how many numbers of the old one are in them."""
    if isinstance(old.gene, Dense) or isinstance(new.gene, Dense):
        kernel, numbers = _dense_kernel(old, new)
        roles = {"kernel": kernel}
    else:
        roles, numbers = _convolution_kernels(old, new, old.gene, new.gene)
    offsets, more = _norm_or_bias(old, new)
    if old.gene.norm and not new.gene.norm:
        for role in ("kernel", "pointwise"):
            if role in roles:
                outs = min(old.roles["scale"].size, roles[role].shape[-1])
                roles[role][..., :outs] *= _gain(old.roles)[:outs]
    return {role: {**roles, **offsets}[role] for role in new.roles}, numbers + more


def _convolution_kernels(
    old: _Layer, new: _Layer, parent: Convolution, child: Convolution
) -> tuple[Roles, int]:
    shifts = tuple(
        _pad_before(new.inputs[axis], child.kernel, child.stride)
        - _pad_before(old.inputs[axis], parent.kernel, parent.stride)
        for axis in (0, 1)
    )
    roles: Roles = {}
    if child.separable:
        depthwise, first = _windows(old.roles["depthwise"], new.roles["depthwise"], shifts)
        # A channel that is new is read by no filter that is old, so its window may be anything.
        channels = min(depthwise.shape[2], old.inputs[2])
        depthwise[:, :, channels:] = new.roles["depthwise"][:, :, channels:]
        pointwise, second = _windows(old.roles["pointwise"], new.roles["pointwise"], (0, 0))
        roles, numbers = {"depthwise": depthwise, "pointwise": pointwise}, first + second
    else:
        kernel = old.roles["depthwise"] * old.roles["pointwise"][0, 0] if parent.separable else None
        roles["kernel"], numbers = _windows(
            old.roles["kernel"] if kernel is None else kernel, new.roles["kernel"], shifts
        )
    if "shortcut" in new.roles:
        shortcut, more = _shortcut(old, new, parent)
        return {**roles, "shortcut": shortcut}, numbers + more
    return roles, numbers


def _windows(old: Array, fresh: Array, shifts: tuple[int, ...]) -> tuple[Array, int]:
    """Return a kernel (rows, columns, in, out) whose old filters see what they saw before."""
    kernel = fresh.copy()
    ins, outs = (min(old.shape[axis], fresh.shape[axis]) for axis in (2, 3))
    kernel[..., :outs] = 0.0
    (rows, columns), (old_rows, old_columns) = zip(
        *(_overlap(fresh.shape[axis], old.shape[axis], shifts[axis]) for axis in (0, 1)),
        strict=True,
    )
    kernel[rows, columns, :ins, :outs] = old[old_rows, old_columns, :ins, :outs]
    return kernel, int(kernel[rows, columns, :ins, :outs].size)


def _overlap(new: int, old: int, shift: int) -> tuple[slice, slice]:
    """Return where a new window, `shift` places further out, and an old one see the same."""
    start, end = max(0, shift), min(new, old + shift)
    return slice(start, end), slice(start - shift, end - shift)


def _pad_before(extent: int, kernel: int, stride: int) -> int:
    """Return the zeros that padding "same" puts before a row."""
    places = -(-extent // stride)
    return max((places - 1) * stride + kernel - extent, 0) // 2


def _shortcut(old: _Layer, new: _Layer, parent: Convolution) -> tuple[Array, int]:
    fresh = new.roles["shortcut"]
    if "shortcut" in old.roles:
        return _windows(old.roles["shortcut"], fresh, (0, 0))
    outs = min(fresh.shape[3], parent.filters)
    shortcut = fresh.copy()
    # Without a shortcut nothing was added; one without weights passed its input on.
    passed = np.eye(*fresh.shape[2:], dtype=np.float32) if parent.residual else np.zeros(1)
    shortcut[0, 0, :, :outs] = passed[..., :outs]
    return shortcut, 0


def _dense_kernel(old: _Layer, new: _Layer) -> tuple[Array, int]:
    """Return the weights (in, units) of a layer on vectors; flattened maps are seen as maps."""
    fresh = new.roles["kernel"]
    units = min(old.roles["kernel"].shape[1], fresh.shape[1])
    seen, place = (_as_map(layer) for layer in (old, new))
    ins = min(seen.shape[2], place.shape[2])
    kernel = place.copy()
    kernel[..., :units] = 0.0
    if seen.shape[:2] != place.shape[:2]:
        # An average over places has the same weight at each of them.
        seen = seen.sum(axis=(0, 1), keepdims=True) / (place.shape[0] * place.shape[1])
    kernel[:, :, :ins, :units] = seen[:, :, :ins, :units]
    return kernel.reshape(fresh.shape), int(kernel[:, :, :ins, :units].size)


def _as_map(layer: _Layer) -> Array:
    kernel = layer.roles["kernel"]
    inputs = layer.inputs if len(layer.inputs) > 1 else (1, 1, *layer.inputs)
    return kernel.reshape(*inputs, kernel.shape[1])


def _norm_or_bias(old: _Layer, new: _Layer) -> tuple[Roles, int]:
    """Return norm or bias of a matched layer; norms are folded into biases and unfolded."""
    known = {role: old.roles[role] for role in (*NORM_ROLES, "bias") if role in old.roles}
    if new.gene.norm and not old.gene.norm:
        known = {"offset": known["bias"]}
    elif old.gene.norm and not new.gene.norm:
        known = {"bias": known["offset"] - known["mean"] * _gain(old.roles)}
    roles, numbers = {}, 0
    for role in (*NORM_ROLES, "bias"):
        if role in new.roles:
            array = new.roles[role].copy()
            if role in known:
                size = min(array.size, known[role].size)
                array[:size] = known[role][:size]
                numbers += size
            roles[role] = array
    return roles, numbers


def _gain(roles: Roles) -> Array:
    gain: Array = roles["scale"] / np.sqrt(roles["variance"] + _EPSILON)
    return gain


def _identity(layer: _Layer) -> Roles:
    """Return the roles of a new convolution that passes on what it gets, as far as it can.

    With a residual connection its own part starts at nothing. Without one the middle of its
    windows passes each channel on.
    """
    roles = {role: array.copy() for role, array in layer.roles.items()}
    inputs = layer.inputs[2]
    roles["offset" if "offset" in roles else "bias"][:inputs] = 0.0
    if "shortcut" in roles:
        roles["shortcut"][0, 0, :, :inputs] = np.eye(inputs)
    if getattr(layer.gene, "residual", False):
        silent = "scale" if "scale" in roles else "pointwise" if "pointwise" in roles else "kernel"
        roles[silent][..., :inputs] = 0.0
        return roles
    if "depthwise" in roles:
        roles["depthwise"] = _middle(roles["depthwise"], np.ones((inputs, 1)), layer)
        roles["pointwise"][0, 0, :, :inputs] = np.eye(inputs)
    else:
        kernel = roles["kernel"][..., :inputs]
        roles["kernel"][..., :inputs] = _middle(kernel, np.eye(inputs), layer)
    return roles


def _middle(kernel: Array, values: npt.NDArray[np.float64], layer: _Layer) -> Array:
    size = kernel.shape[0]
    row, column = (_pad_before(layer.inputs[axis], size, 1) for axis in (0, 1))
    kernel = np.zeros_like(kernel)
    kernel[row, column] = values
    return kernel
