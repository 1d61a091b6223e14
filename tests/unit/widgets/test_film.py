"""A film shows the frame that its slider says."""

import io

import numpy as np
import pytest
from PIL import Image

from wmlib.widgets.film import Film


def shown(film):
    return np.asarray(Image.open(io.BytesIO(film.picture.value)))


def test_the_films_slider_shows_its_frame():
    frames = np.random.default_rng(0).integers(0, 256, (4, 8, 6, 3), np.uint8)
    film = Film(frames, scale=2)
    for t in (2, 0, 3):
        film.slider.value = t
        np.testing.assert_array_equal(shown(film), frames[t])
        assert film.caption.value == f"frame {t}"
    assert film.slider.max == film.play.max == 3
    assert film.picture.layout.width == "max(6px, round(down, min((100cqi - 0px) / 1, 12px), 6px))"


def test_a_films_captions_are_read_out_with_their_frames():
    film = Film(np.zeros((3, 4, 4, 3), np.uint8), ["begin", "middle", "end"])
    assert film.caption.value == "begin" and film.access.pictures == ["begin"]
    film.show(2)
    assert film.caption.value == "end" and film.access.pictures == ["end"]


def test_a_film_without_frames_or_with_other_captions_is_refused_by_number():
    with pytest.raises(ValueError, match=r"^there are no frames: a film needs one or more$"):
        Film(np.zeros((0, 4, 4, 3), np.uint8))
    for captions in ([], ["begin"], ["begin", "middle", "end"]):
        with pytest.raises(ValueError, match=f"^2 frames and {len(captions)} captions"):
            Film(np.zeros((2, 4, 4, 3), np.uint8), captions)
    assert Film(np.zeros((1, 4, 4, 3), np.uint8)).slider.max == 0
