"""From a game's picture to what V sees: the crop and the resize, in one place for every task.

How many rows are kept, the game's `Task` says: the paper crops CarRacing's status bar (rows 84:96). The
rest is scaled to 64x64 by Pillow's BILINEAR, which averages over the area when it shrinks: what
`scipy.misc.imresize` did in the paper's code. A game that draws the kept part alone, as our `CarRacing`
and `TakeCover` do, has nothing left to cut.
"""

import numpy as np
from PIL import Image

FRAME_SIZE = 64
"""V sees 64 x 64 pixels."""


def to_frame(picture: np.ndarray, kept_rows: int | None = None) -> np.ndarray:
    """Crop and resize one game picture.

    Args:
        picture: (height, width, 3) uint8.
        kept_rows: rows counted from the top that hold the game; None keeps all.

    Returns:
        (64, 64, 3) uint8.
    """
    cropped = Image.fromarray(picture[:kept_rows])
    small = cropped.resize((FRAME_SIZE, FRAME_SIZE), Image.Resampling.BILINEAR)
    return np.asarray(small)
