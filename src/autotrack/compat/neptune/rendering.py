"""Pictures and charts as files: what `File.as_image`, `File.as_html` and `File.as_pickle` hold.

Libraries are recognised by the module of the object, never imported for the sake of looking.
"""

from __future__ import annotations

import base64
import importlib
import io
import pickle
import sys
from typing import Any, Final

_SEABORN_GRIDS: Final = ("FacetGrid", "PairGrid", "JointGrid")


def is_figure(value: Any) -> bool:
    """Whether it is a figure, axes or grid of matplotlib or seaborn."""
    kind = type(value)
    if kind.__module__.startswith("matplotlib."):
        return kind.__name__ in ("Figure", "Axes", "AxesSubplot")
    return kind.__module__.startswith("seaborn.") and kind.__name__ in (*_SEABORN_GRIDS, "ClusterGrid")


def is_picture(value: Any) -> bool:
    """Whether it is a picture of Pillow, or a figure."""
    image = sys.modules.get("PIL.Image")
    return is_figure(value) or (image is not None and isinstance(value, image.Image))


def is_chart(value: Any) -> bool:
    """Whether it is a chart of plotly, altair or bokeh."""
    kind = type(value)
    module, name = kind.__module__, kind.__name__
    return (
        (module.startswith("plotly.") and name == "Figure")
        or (module.startswith("altair.") and "Chart" in name)
        or (module.startswith("bokeh.") and name.lower() == "figure")
    )


def is_table(value: Any) -> bool:
    """Whether it is a data frame of pandas."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def is_array(value: Any) -> bool:
    """Whether it is an array of numpy, or a tensor of torch or TensorFlow."""
    kind = type(value)
    return (kind.__module__.startswith(("numpy", "torch", "tensorflow")) and hasattr(value, "__array__")) and bool(
        getattr(value, "shape", ())
    )


def as_png(value: Any, autoscale: bool = True) -> bytes:
    """A picture, figure or array (two dimensions, or a third of 1, 3 or 4) as PNG.

    Values of an array from 0 to 1 are stretched to 255, as the client does, unless `autoscale` is off. Raises
    `TypeError` for what is none of these, `ValueError` for an array of another shape.
    """
    if is_figure(value):
        figure = getattr(value, "figure", value)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", bbox_inches="tight")
        return buffer.getvalue()
    if is_picture(value):
        buffer = io.BytesIO()
        value.save(buffer, format="PNG")
        return buffer.getvalue()
    if not is_array(value):
        raise TypeError(f"image is {type(value)}")
    import numpy as np
    from PIL import Image

    detached = value.detach().cpu() if hasattr(value, "detach") else value
    array = np.array(detached)
    if autoscale and array.size and array.min() >= 0 and array.max() <= 1:
        array = array * 255
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[2] in (3, 4)):
        raise ValueError(f"an image has two dimensions, or a third of 1, 3 or 4; this has the shape {array.shape}")
    return as_png(Image.fromarray(array.astype(np.uint8)))


def as_html(value: Any, **options: Any) -> str:
    """A chart, figure or table as a page. Raises `ValueError` for what is none of these."""
    kind = type(value)
    if is_table(value):
        text: str = value.to_html()
        return text
    if kind.__module__.startswith("plotly."):
        plotly = io.StringIO()
        value.write_html(plotly, include_plotlyjs=options.get("include_plotlyjs", True))
        return plotly.getvalue()
    if kind.__module__.startswith("altair."):
        altair = io.StringIO()
        value.save(altair, format="html")
        return altair.getvalue()
    if kind.__module__.startswith("bokeh."):
        embed, resources = (importlib.import_module(f"bokeh.{name}") for name in ("embed", "resources"))
        page: str = embed.file_html(value, resources.CDN)
        return page
    if getattr(value, "__name__", "") == "matplotlib.pyplot":
        value = value.gcf()
    if is_picture(value):
        return f"<img src='data:image/png;base64,{base64.b64encode(as_png(value)).decode()}'/>"
    raise ValueError("as_html takes charts of plotly, altair and bokeh, figures of matplotlib and seaborn, and tables")


def as_pickle(value: Any) -> bytes:
    """The object, pickled: what the caller asks for by name. It is kept as a file, and never read by autotrack."""
    return pickle.dumps(value)
