"""Figures are there to be seen."""

import io

import numpy as np
from IPython.core.interactiveshell import InteractiveShell
from PIL import Image

from wmlib import figures


def test_a_notebook_shows_a_figure_as_a_picture():
    figure = figures.reward_lines({"a": np.ones(5), "b": -np.ones(5)}, "Points")
    data, _ = InteractiveShell.instance().display_formatter.format(figure)
    picture = Image.open(io.BytesIO(data["image/png"]))
    assert picture.size == (630, 288)  # 7 x 3.2 inches at 90 dots
    colours = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    for line in (figures.BLUE, figures.ORANGE):
        wanted = np.array([int(line[i : i + 2], 16) for i in (1, 3, 5)])
        assert (np.abs(colours - wanted).max(1) < 8).sum() > 50
