"""Widgets without a browser: they are plain objects with traits."""

import io

import numpy as np
from PIL import Image

from wmlib.widgets.film import Film


def test_the_slider_shows_its_frame():
    frames = np.random.default_rng(0).integers(0, 256, (4, 8, 6, 3), np.uint8)
    film = Film(frames, scale=2)
    for t in (2, 0, 3):
        film.slider.value = t
        shown = np.asarray(Image.open(io.BytesIO(film.picture.value)))
        np.testing.assert_array_equal(shown[::2, ::2], frames[t])
        assert film.caption.value == f"frame {t}"
    assert film.slider.max == film.play.max == 3
