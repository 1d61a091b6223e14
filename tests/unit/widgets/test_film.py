"""A film shows the frame that its slider says."""

import io

import numpy as np
from PIL import Image

from wmlib.widgets.film import Film


def shown(film, scale):
    return np.asarray(Image.open(io.BytesIO(film.picture.value)))[::scale, ::scale]


def test_the_films_slider_shows_its_frame():
    frames = np.random.default_rng(0).integers(0, 256, (4, 8, 6, 3), np.uint8)
    film = Film(frames, scale=2)
    for t in (2, 0, 3):
        film.slider.value = t
        np.testing.assert_array_equal(shown(film, 2), frames[t])
        assert film.caption.value == f"frame {t}"
    assert film.slider.max == film.play.max == 3


def test_a_films_captions_are_read_out_with_their_frames():
    film = Film(np.zeros((3, 4, 4, 3), np.uint8), ["begin", "middle", "end"])
    assert film.caption.value == "begin" and film.access.pictures == ["begin"]
    film.show(2)
    assert film.caption.value == "end" and film.access.pictures == ["end"]
