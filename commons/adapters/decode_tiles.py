"""Large pictures tile by tile: the same pixels as at once, without copies of the whole picture.

Beside the decoded picture there is one channel of it, upright, opaque and in its final colours,
which Pillow resizes as it resizes all of them: a byte a pixel instead of up to sixteen.
"""

from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageOps

from commons.messages import ResizePolicy

ORIENTATION = 0x0112
TILE_SIDE = 512
_RESAMPLE = Image.Resampling.BILINEAR
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SWAPPED = (5, 6, 7, 8)  # the stored picture has the upright one's rows as columns,
_LAST_COLUMN_FIRST = (2, 3, 7, 8)  # and then its columns
_LAST_ROW_FIRST = (3, 4, 6, 7)  # or its rows the other way round

Box = tuple[int, int, int, int]


class Tiles:
    """A decoded picture as those functions of `PIL.ImageOps` see it that only resize.

    `size` is that of the upright picture, `mode` what it is converted to: `L` or `RGB`.
    """

    def __init__(self, image: Image.Image, mode: str) -> None:
        self._image = image
        orientation = image.getexif().get(ORIENTATION, 1)
        self._orientation = orientation if orientation in _TURNS else 1
        self.mode = mode
        self.size = image.size[::-1] if self._orientation in SWAPPED else image.size
        self.width, self.height = self.size

    def resize(
        self,
        size: tuple[int, int],
        resample: Image.Resampling,
        box: tuple[float, float, float, float] | None = None,
    ) -> Image.Image:
        """Return what `Image.resize` makes of the upright, opaque picture."""
        image = self._image
        if self._orientation == 1 and image.mode == self.mode and not image.has_transparency_data:
            return image.resize(size, resample, box)
        # Made anew for each channel: that takes time, but three at once would take memory.
        channels = [
            self._channel(number).resize(size, resample, box) for number in range(len(self.mode))
        ]
        return Image.merge(self.mode, channels)

    def _channel(self, number: int) -> Image.Image:
        whole = Image.new("L", self.size)
        for left, top, right, bottom in self._boxes():
            tile = self._image.crop(self._stored(left, top, right, bottom))
            if self._orientation in _TURNS:
                tile = tile.transpose(_TURNS[self._orientation])
            whole.paste(opaque(tile, self.mode).getchannel(number), (left, top))
        return whole

    def _boxes(self) -> Iterator[Box]:
        for top in range(0, self.height, TILE_SIDE):
            for left in range(0, self.width, TILE_SIDE):
                right, bottom = left + TILE_SIDE, top + TILE_SIDE
                yield left, top, min(right, self.width), min(bottom, self.height)

    def _stored(self, left: int, top: int, right: int, bottom: int) -> Box:
        """Return where in the stored picture a box of the upright one is."""
        if self._orientation in SWAPPED:
            left, top, right, bottom = top, left, bottom, right
        width, height = self._image.size
        if self._orientation in _LAST_COLUMN_FIRST:
            left, right = width - right, width - left
        if self._orientation in _LAST_ROW_FIRST:
            top, bottom = height - bottom, height - top
        return left, top, right, bottom


def opaque(image: Image.Image, mode: str) -> Image.Image:
    """Return a picture over white, in the mode `L` or `RGB`."""
    if image.mode.startswith("I"):
        # 16 bits a pixel: Pillow would clip at 255 instead of scaling.
        values = np.asarray(image, dtype=np.int64).clip(0, 65535)
        image = Image.fromarray((values // 257).astype(np.uint8))
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, colours)
    return image if image.mode == mode else image.convert(mode)


def resized(image: Image.Image | Tiles, size: tuple[int, int], resize: ResizePolicy) -> Image.Image:
    """Return a picture of some width and height, stretched, within black borders, or cut."""
    if resize == "pad":
        return ImageOps.pad(image, size, _RESAMPLE, color=0)  # type: ignore[arg-type]
    if resize == "crop":
        return ImageOps.fit(image, size, _RESAMPLE)  # type: ignore[arg-type]
    return image.resize(size, _RESAMPLE)
