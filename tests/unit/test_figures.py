"""Figures are there to be seen."""

import io
from xml.etree import ElementTree

import numpy as np
import torch
from IPython.core.interactiveshell import InteractiveShell
from PIL import Image
from torch.distributions import Categorical, MixtureSameFamily, Normal

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


def test_a_drawn_mixture_is_the_tempered_one():
    logpi, mu, logsigma = np.log([0.7, 0.2, 0.1]), np.array([-1.0, 0.5, 2.0]), np.log([0.2, 0.3, 0.2])
    figure = figures.mixture(logpi, mu, logsigma, 1.5, np.linspace(-2, 3, 50), 0.4, "z[0]")
    lines = figure.axes[0].lines
    whole = next(line for line in lines if line.get_label().startswith("the mixture"))
    x, y = (torch.tensor(values) for values in whole.get_data())
    oracle = MixtureSameFamily(
        Categorical(logits=torch.tensor(logpi) / 1.5),
        Normal(torch.tensor(mu), torch.tensor(np.exp(logsigma) * np.sqrt(1.5))),
    )
    torch.testing.assert_close(y, oracle.log_prob(x).exp())
    came = next(line for line in lines if line.get_label() == "what came")
    assert came.get_xdata()[0] == 0.4


def test_a_clouds_ellipse_is_two_deviations_wide():
    mean, covariance = np.array([1.0, -2.0]), np.array([[2.0, 1.2], [1.2, 1.0]])
    points = np.random.default_rng(0).multivariate_normal(mean, covariance, 30)
    cloud = {"a cloud": (points, mean, covariance)}
    figure = figures.landscape(lambda x: (x**2).sum(1), cloud, "A search", goal=(9.0, 0.0))
    ellipse = np.stack(figure.axes[0].lines[0].get_data(), 1) - mean
    distance = np.einsum("ni,ij,nj->n", ellipse, np.linalg.inv(covariance), ellipse)
    np.testing.assert_allclose(distance, 4.0)
    left, right = figure.axes[0].get_xlim()
    assert left < points[:, 0].min() and right > 9.0


def test_paths_begin_at_one_point_and_keep_their_scale():
    way = np.array([[5.0, 5.0], [6.0, 5.0], [6.0, 8.0]])
    figure = figures.paths({"one": [way, way + 100], "two": [way]}, "Ways")
    for ax in figure.axes:
        for line in ax.lines:
            np.testing.assert_allclose(np.stack(line.get_data(), 1), way - way[0])
        assert ax.get_aspect() == 1.0


def test_a_small_histogram_leaves_nobody_out():
    values = np.array([0.0, 5.0, 5.0, 200.0])
    ax = figures.histograms({"all": values}, "points", "Drivers", count="drivers").axes[0]
    (outline,) = ax.patches
    assert ax.get_ylabel() == "drivers"
    x, y = outline.get_xy().T
    assert x.min() == 0 and x.max() == 200 and y.max() == 2


def test_promise_and_pay_stand_on_one_axis():
    rows = [{"step": g, "mean": 10.0 * g} for g in (1, 2, 3)]
    rows += [{"step": g, "real": 20.0, "real_sd": 4.0, "n": 16} for g in (0, 3)]
    (ax,) = figures.promise_and_pay(rows, "tics", "A search").axes
    promised, paid = ax.lines[0], ax.containers[0].lines[0]
    assert promised.get_xydata().tolist() == [[1, 10], [2, 20], [3, 30]]
    assert paid.get_xydata().tolist() == [[0, 20], [3, 20]] and ax.get_ylabel() == "tics"


def test_a_table_says_the_same_in_a_notebook_and_in_a_terminal():
    table = figures.table("Scores <real>", ["who", "mean"], [["a & b", "3 ± 1"], ["`make it`", None]])
    said = InteractiveShell.instance().display_formatter.format(table)[0]
    root = ElementTree.fromstring(said["text/html"])
    assert root.findtext("caption/b") == "Scores <real>"
    rows = [["".join(cell.itertext()) for cell in row] for row in root.iter("tr")]
    assert rows == [["who", "mean"], ["a & b", "3\u00a0±\u00a01"], ["make it", "–"]]
    assert [cell.get("scope") for cell in root.iter("th")] == ["col", "col", "row", "row"]
    assert root.find(".//code").text == "make it"
    lines = said["text/plain"].splitlines()
    assert lines == ["Scores <real>", "who        mean", "a & b      3 ± 1", "`make it`  –"]


def test_dots_stand_at_their_mean_with_the_first_on_top():
    rows = {"ours": [1.0, 3.0], "another": [5.0]}
    (ax,) = figures.dots(rows, "points", "A", {"ours": 0.5, "another": np.nan}, ours=["ours"]).axes
    marks = [container.lines[0].get_xydata()[0].tolist() for container in ax.containers]
    assert marks == [[2, 0], [5, 1]]
    (bar,) = ax.containers[0].lines[2]
    assert bar.get_segments()[0][:, 0].tolist() == [1.5, 2.5] and not ax.containers[1].lines[2]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["ours", "another"]
    low, high = ax.get_ylim()
    assert low > high


def test_parts_lie_end_to_end():
    rows = {"a": {"V": 2.0, "M": 3.0}, "b": {"M": 1.0}}
    (ax,) = figures.stacked(rows, "minutes", "Time").axes
    parts = {bars.get_label(): [(b.get_x(), b.get_width()) for b in bars] for bars in ax.containers}
    assert parts == {"V": [(0, 2), (0, 0)], "M": [(2, 3), (0, 1)]}
