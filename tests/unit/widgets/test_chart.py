"""M's mixture, drawn by the page: where the lines go."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, Normal

from wmlib.widgets.chart import mixture_chart

MIXTURE = np.log([0.7, 0.2999, 0.0001]), np.array([-1.0, 2.0, 0.5]), np.log([0.2, 0.3, 0.2])
DRAWN = np.linspace(-2.0, 3.0, 50)


@pytest.fixture
def drawing():
    return ElementTree.fromstring(mixture_chart(*MIXTURE, 1.5, DRAWN, 0.5, "a density"))


def points(path):
    """In the picture's own coordinates: 0 to 100, from the left and from the top."""
    return np.array(re.findall(r"(-?[0-9.]+) (-?[0-9.]+)", path.get("d")), float)


def paths(drawing, kind):
    return [path for path in drawing.iter("path") if path.get("class") == kind]


def test_the_line_is_the_tempered_mixture(drawing):
    (line,) = paths(drawing, "dream")
    x, y = points(line).T
    low, high = -2.75, 3.75  # the draws, and room beside them
    value = torch.tensor(low + x / 100 * (high - low))
    logpi, mu, logsigma = map(torch.tensor, MIXTURE)
    oracle = MixtureSameFamily(
        Categorical(logits=logpi / 1.5), Normal(mu, logsigma.exp() * np.sqrt(1.5))
    )
    density = oracle.log_prob(value).exp().numpy()
    height = 100 - y
    np.testing.assert_allclose(height / height.max(), density / density.max(), atol=2e-3)
    assert y.min() > 0 and len(paths(drawing, "dream thin")) == 2  # a part that is nothing isn't drawn


def test_what_came_stands_at_its_place_and_is_said(drawing):
    (line,) = paths(drawing, "warm")
    np.testing.assert_allclose(points(line)[:, 0], 50.0)  # 0.5 is the middle of -2.75 to 3.75
    assert drawing.get("aria-label") == "a density"
    assert "what came: +0.50" in "".join(drawing.itertext())


def test_the_bars_hold_all_the_draws(drawing):
    (bars,) = paths(drawing, "game filled")
    x, y = points(bars).T
    assert (x[0], y[0], x[-1], y[-1]) == (0, 100, 100, 100)  # from the axis and back to it
    (line,) = paths(drawing, "dream")
    area = np.trapezoid(100 - y, x) / np.trapezoid(100 - points(line)[:, 1], points(line)[:, 0])
    assert area == pytest.approx(1, abs=0.03)
