"""Images and tables that a script gives its trackers, as files of the run: PNG and CSV.

Arrays, tensors, pictures of pillow and tables enter and are only read; bytes leave.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any


def png(image: Any) -> bytes:
    """An image as PNG: a picture of pillow, or an array or tensor of (height, width) or with 1, 3 or 4 channels.

    Channels stand last or first; where it may be either, first in a tensor and last in an array. Floats within 0 and 1
    are shades between black and white; other numbers are bytes, and those outside of 0 to 255 are cut off.
    Raises `ImportError` without pillow and `ValueError` for other shapes.
    """
    from PIL import Image

    if not isinstance(image, Image.Image):
        image = Image.fromarray(_pixels(image))
    written = io.BytesIO()
    image.save(written, "PNG")
    return written.getvalue()


def table(columns: Iterable[Any] | None, rows: Iterable[Sequence[Any]] | None, frame: Any = None) -> bytes:
    """A table as CSV: a frame with `to_csv` (pandas) or `write_csv` (polars), or `rows` below `columns`."""
    for name, more in (("to_csv", {"index": False}), ("write_csv", {})):
        if hasattr(frame, name):
            return str(getattr(frame, name)(**more)).encode()
    if frame is not None:
        raise ValueError(f"a {type(frame).__name__} is no table; give a frame of pandas or polars, or columns and data")
    text = io.StringIO(newline="")
    lines = csv.writer(text)
    if columns is not None:
        lines.writerow(columns)
    lines.writerows(rows or ())
    return text.getvalue().encode()


def _pixels(image: Any) -> Any:
    import numpy as np

    is_tensor = hasattr(image, "detach")  # perhaps of a graph, and on a device
    pixels = np.asarray(image.detach().cpu() if is_tensor else image)
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3, 4) and (is_tensor or pixels.shape[2] not in (1, 3, 4)):
        pixels = np.moveaxis(pixels, 0, 2)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim != 2 and (pixels.ndim != 3 or pixels.shape[2] not in (3, 4)):
        raise ValueError(
            f"an array of shape {np.shape(image)} is no image; it needs a height, a width, and 1, 3 or 4 channels"
        )
    if pixels.dtype == bool:
        return pixels
    if pixels.dtype.kind == "f":
        pixels = np.nan_to_num(pixels)
        if pixels.size and pixels.min() >= 0 and pixels.max() <= 1:
            pixels = np.round(pixels * 255)
    return np.clip(pixels, 0, 255).astype("uint8")
