"""Pictures as ipywidgets want them."""

import io

import numpy as np
from PIL import Image


def png(frame: np.ndarray, scale: int = 4) -> bytes:
    """A frame (height, width, 3) uint8 as a PNG, each pixel `scale` pixels wide."""
    size = (frame.shape[1] * scale, frame.shape[0] * scale)
    buffer = io.BytesIO()
    # Level 1: a slider waits for this.
    Image.fromarray(frame).resize(size, Image.Resampling.NEAREST).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
