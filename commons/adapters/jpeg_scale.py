"""How much smaller than it is a JPEG is decoded, where it will be resized to less anyway.

A JPEG decodes at a half, a quarter or an eighth of its sides for a fraction of the time and memory:
libjpeg leaves out the fine waves, most of which a good resize would have averaged away.
"""

from commons.messages import ResizePolicy

REDUCTIONS = (8, 4, 2)
# So many times the sides that are wanted are left for the resize, which is the better filter: on
# photographs a value then differs by 1 of 255 on average from what it makes of the whole picture.
_MARGIN = 1.5
# Below this, sizes that are rounded up cannot be told from each other.
_SMALLEST_SIDE = 16


def reduction(size: tuple[int, int], wanted: tuple[int, int], resize: ResizePolicy) -> int:
    """Return 8, 4, 2 or 1: the sides that are left are half as long again as those that are wanted.

    Args:
        size: Height and width of the picture, upright.
        wanted: Height and width that it will have.
        resize: What becomes of its proportions.
    """
    if min(size) < _SMALLEST_SIDE:
        return 1
    by_side = [had / wants for had, wants in zip(size, wanted, strict=True)]
    most = max(by_side) if resize == "pad" else min(by_side)
    return next((by for by in REDUCTIONS if by * _MARGIN <= most), 1)
