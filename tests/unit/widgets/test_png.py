"""A picture comes back from its PNG as it was, with larger pixels."""

import io

import numpy as np
import pytest
from PIL import Image

from wmlib.widgets.png import png


@pytest.mark.parametrize("scale", [1, 2, 5])
def test_each_pixel_becomes_a_square_of_its_colour(scale):
    frame = np.random.default_rng(0).integers(0, 256, (3, 5, 3), np.uint8)
    picture = Image.open(io.BytesIO(png(frame, scale)))
    assert picture.format == "PNG"
    np.testing.assert_array_equal(picture, frame.repeat(scale, 0).repeat(scale, 1))
