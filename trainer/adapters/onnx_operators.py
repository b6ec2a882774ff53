"""Operators of TensorFlow that tf2onnx does not know, told to it when this is imported."""

from typing import Any

import numpy as np
from tf2onnx.handler import tf_op  # type: ignore[import-untyped]


@tf_op("Erfc")
class Erfc:
    """The complement of the error function, of which TensorFlow makes gelu."""

    @classmethod
    def version_9(cls, ctx: Any, node: Any, **_: Any) -> None:
        """Write 1 - erf(x)."""
        shape, kind = node.output_shapes, node.output_dtypes
        one = ctx.make_const(f"{node.name}/one", np.array(1, np.float32)).output[0]
        erf = ctx.make_node("Erf", [node.input[0]], shapes=shape, dtypes=kind).output[0]
        ctx.remove_node(node.name)
        ctx.make_node(
            "Sub", [one, erf], name=node.name, outputs=node.output, shapes=shape, dtypes=kind
        )
