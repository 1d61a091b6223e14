"""From a game's picture to what V sees: the crop and the resize, in one place for every task.

The paper crops CarRacing's status bar (rows 84:96) and scales the rest to 64x64. `CarRacing` in this
package draws only the cropped part, so that the crop here finds nothing left to cut; a stock frame
loses its bar. The filter is Pillow's BILINEAR, which averages over the area when it shrinks: what
`scipy.misc.imresize` did in the paper's code. Of Doom's 480 rows the paper keeps the upper 400; our
`TakeCover` may draw fewer, and hands out the same share of them.
"""

import numpy as np
from PIL import Image

FRAME_SIZE = 64
"""V sees 64 x 64 pixels."""

KEPT_ROWS = {"carracing": 84, "takecover": 400}
"""Rows counted from the top that hold the game; below them is a status bar."""


def to_frame(picture: np.ndarray, task: str) -> np.ndarray:
    """Crop and resize one game picture.

    Args:
        picture: (height, width, 3) uint8.
        task: the name of the game.

    Returns:
        (64, 64, 3) uint8.
    """
    cropped = Image.fromarray(picture[: KEPT_ROWS[task]])
    small = cropped.resize((FRAME_SIZE, FRAME_SIZE), Image.Resampling.BILINEAR)
    return np.asarray(small)
