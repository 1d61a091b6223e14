"""Numbers in, a matplotlib Figure out, or a table. Colours are those that colour-blind readers can tell
apart."""

import io
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from matplotlib import figure as matplotlib_figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#E69F00", "#009E73", "#777777"
PURPLE, SKY = "#CC79A7", "#56B4E9"
_CYCLE = (BLUE, ORANGE, GREEN, PURPLE, SKY, GREY)


class Figure(matplotlib_figure.Figure):
    """A figure that a notebook shows by itself: no pyplot, and so no state that lives between cells.

    Its white ground reaches beyond its words, so that they are read as well where the page is dark.
    """

    def __init__(self, width: float, height: float, dpi: int = 90):
        margin = {"w_pad": 0.1, "h_pad": 0.1}  # inches
        super().__init__((width, height), dpi=dpi, layout=ConstrainedLayoutEngine(**margin))

    def _repr_png_(self) -> bytes:
        full, small = io.BytesIO(), io.BytesIO()
        self.savefig(full, format="png")
        # 256 colours make a file a fifth as large: notebooks hold many pictures, and git keeps all.
        palette = Image.open(full).convert("RGB").quantize(256, Image.Quantize.FASTOCTREE)
        palette.save(small, "PNG", optimize=True)
        return small.getvalue()


@dataclass(frozen=True)
class Table:
    """Rows under heads, with a title: a notebook shows it as a table, a terminal as text.

    The first column names the rows. A cell that begins with a backquote and ends with one is code.
    """

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]

    def _repr_html_(self) -> str:
        # Front ends know pandas' tables by that class, and dress them. What a cell says of itself holds
        # where all styles are dropped, as GitHub does.
        place = f'align="left" style="{_LEFT}"'
        heads = "".join(f'<th scope="col" {place}>{escape(head)}</th>' for head in self.heads)
        title = f'<caption align="top"><b>{escape(self.title)}</b></caption>'
        lines = [f'<table class="dataframe">{title}<thead><tr>{heads}</tr></thead><tbody>']
        for first, *rest in self.rows:
            cells = "".join(f"<td {place}>{_html(cell)}</td>" for cell in rest)
            lines.append(f'<tr><th scope="row" {place}>{_html(first)}</th>{cells}</tr>')
        return "\n".join(lines) + "</tbody></table>"

    def __repr__(self) -> str:
        every = [self.heads, *self.rows]
        widths = [max(map(len, column)) for column in zip(*every, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in every]
        return "\n".join([self.title, *lines])


_LEFT = "text-align: left; vertical-align: top"


def _html(cell: str) -> str:
    inner = cell.removeprefix("`").removesuffix("`")
    if cell != inner:
        return f"<code>{escape(inner)}</code>"
    return escape(cell).replace(" ± ", "\u00a0±\u00a0")  # a number and its spread stay on one line


def table(title: str, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A table of what the rows' cells say as text; None is a dash."""
    return Table(title, heads, [["–" if cell is None else str(cell) for cell in row] for row in rows])


def _figure(width: float, height: float, columns: int = 1, rows: int = 1):
    figure = Figure(width, height)
    return figure, np.atleast_1d(figure.subplots(rows, columns))


def pictures(shown: dict[str, np.ndarray], title: str, columns: int = 6) -> Figure:
    """Pictures, each under its name. shown: name -> (height, width, 3) uint8, or floats in [0, 1]."""
    columns = min(columns, len(shown))
    rows = -(-len(shown) // columns)
    figure, axes = _figure(1.9 * columns, 2.1 * rows + 0.4, columns, rows)
    for ax in axes.flat:
        ax.axis("off")
    for ax, (name, picture) in zip(axes.flat, shown.items(), strict=False):
        ax.imshow(picture, interpolation="nearest")
        ax.set_title(name, fontsize=9)
    figure.suptitle(title)
    return figure


def lines(
    series: dict[str, np.ndarray | tuple],
    x: str,
    y: str,
    title: str,
    logx: bool = False,
    logy: bool = False,
) -> Figure:
    """Lines in one picture. series: name -> y, or (x, y), or (x, y, half the width of a band)."""
    figure, (ax,) = _figure(7, 3.2)
    for (name, values), colour in zip(series.items(), _CYCLE, strict=False):
        values = values if isinstance(values, tuple) else (np.arange(len(values)), values)
        ax.plot(
            values[0], values[1], color=colour, label=name, marker="o" if len(values[0]) < 15 else None
        )
        if len(values) == 3:
            low, high = np.subtract(values[1], values[2]), np.add(values[1], values[2])
            ax.fill_between(values[0], low, high, color=colour, alpha=0.2, lw=0)
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.set_title(title)
    if logx:
        ax.set_xscale("log")
    if logy:
        ax.set_yscale("log")
    ax.grid(alpha=0.3)
    if len(series) > 3:  # too many to leave the lines in sight
        figure.set_figheight(3.8)
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
    elif len(series) > 1:
        ax.legend(edgecolor="none")  # its pale ground keeps lines out of the text
    return figure


def scatter(series: dict[str, tuple], x: str, y: str, title: str, diagonal: bool = False) -> Figure:
    """Points, several kinds in one picture, perhaps with the line on which x = y.

    Args:
        series: name -> (x, y).
    """
    figure, (ax,) = _figure(7, 3.2)
    for (name, (xs, ys)), colour in zip(series.items(), _CYCLE, strict=False):
        size = 4 if len(xs) > 100 else 9
        ax.plot(xs, ys, ".", color=colour, ms=size, alpha=0.6, label=name)
    if diagonal:
        ax.axline((np.mean(xs), np.mean(xs)), slope=1, color=GREY, ls="--", lw=1, label="equal")
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.set_title(title)
    ax.grid(alpha=0.3)
    ax.legend(frameon=False)
    return figure


def histograms(series: dict[str, np.ndarray], x: str, title: str, count: str = "") -> Figure:
    """How values are spread, several kinds over each other.

    Args:
        series: name -> (n,). count: the name of what is counted; without it densities are drawn.
    """
    figure, (ax,) = _figure(7, 3.2)
    every = np.concatenate([np.asarray(values) for values in series.values()])
    rare = 0.001 if len(every) > 10_000 else 0.0  # the far tails of many draws would squeeze the rest
    bins = np.linspace(*np.quantile(every, [rare, 1 - rare]), 60)
    for (name, values), colour in zip(series.items(), _CYCLE, strict=False):
        kind = {"density": not count, "histtype": "step", "lw": 1.8}
        ax.hist(values, bins=bins, color=colour, label=name, **kind)
    ax.set_xlabel(x)
    ax.set_ylabel(count or "density")
    ax.set_title(title)
    if len(series) > 1:
        ax.legend(frameon=False)
    return figure


def landscape(
    height: Callable[[np.ndarray], np.ndarray],
    clouds: dict[str, tuple],
    title: str,
    goal: tuple[float, float],
) -> Figure:
    """Clouds of a search over a landscape, one panel each.

    Args:
        height: (n, 2) to (n,). clouds: name -> (points (n, 2), mean (2,), covariance (2, 2)); the
            covariance is drawn as the ellipse of two deviations. goal: where the height is least.
    """
    figure, axes = _figure(2.7 * len(clouds), 3.0, len(clouds))
    reach = {name: 2 * np.sqrt(np.diag(covariance)) for name, (_, _, covariance) in clouds.items()}
    every = np.concatenate(
        [[*points, mean - reach[name], mean + reach[name]] for name, (points, mean, _) in clouds.items()]
    )
    every = np.vstack([every, goal])
    low, high = every.min(0) - 0.5, every.max(0) + 0.5
    x, y = np.meshgrid(np.linspace(low[0], high[0], 120), np.linspace(low[1], high[1], 120))
    z = height(np.column_stack([x.ravel(), y.ravel()])).reshape(x.shape)
    angles = np.linspace(0, 2 * np.pi, 80)
    for ax, (name, (points, mean, covariance)) in zip(axes, clouds.items(), strict=True):
        ax.contourf(x, y, np.log10(z + 1e-2), 12, cmap="Greys", alpha=0.6)
        values, vectors = np.linalg.eigh(covariance)
        circle = np.stack([np.cos(angles), np.sin(angles)])
        ellipse = mean[:, None] + 2 * vectors @ (np.sqrt(np.clip(values, 0, None))[:, None] * circle)
        ax.plot(*ellipse, color=BLUE, lw=1.5)
        ax.plot(*points.T, ".", color=ORANGE, ms=5)
        ax.set_xlim(low[0], high[0])
        ax.set_ylim(low[1], high[1])
        ax.plot(*goal, "+", color="black", ms=10, mew=2)
        ax.set_title(name, fontsize=10)
        ax.set_xlabel("first number")
    axes[0].set_ylabel("second number")
    figure.suptitle(title)
    return figure


def bars(values: np.ndarray, x: str, y: str, title: str, line: float | None = None) -> Figure:
    """One bar for each value (n,), and perhaps a dashed line at a height."""
    figure, (ax,) = _figure(7, 2.8)
    ax.bar(np.arange(len(values)), values, color=BLUE)
    if line is not None:
        ax.axhline(line, color=ORANGE, ls="--", lw=1.5, label=f"{line:g}")
        ax.legend(frameon=False)
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.set_title(title)
    return figure


def paths(panels: dict[str, list[np.ndarray]], title: str) -> Figure:
    """Ways that cars went, seen from above, from one point. panels: name -> list of (T, 2), metres."""
    figure, axes = _figure(3.4 * len(panels), 3.4, len(panels))
    reach = max(np.abs(xy - xy[0]).max() for ways in panels.values() for xy in ways) * 1.05
    for ax, (name, ways) in zip(axes, panels.items(), strict=True):
        for number, xy in enumerate(ways):
            ax.plot(*(xy - xy[0]).T, color=_CYCLE[number % len(_CYCLE)], lw=1)
        ax.set_xlim(-reach, reach)
        ax.set_ylim(-reach, reach)
        ax.set_aspect("equal")
        ax.set_title(name)
        ax.set_xlabel("metres")
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("metres")
    figure.suptitle(title)
    return figure


def film_strip(
    rows: dict[str, np.ndarray], times: Sequence[int], title: str, columns: Sequence[str] | None = None
) -> Figure:
    """Pictures at chosen times, one row for each name. rows: name -> (T, 64, 64, 3) uint8.

    columns: what stands above each time; by default its frame.
    """
    figure, axes = _figure(1.5 * len(times), 1.6 * len(rows) + 0.5, len(times), len(rows))
    axes = axes.reshape(len(rows), len(times))
    for row, (name, frames) in zip(axes, rows.items(), strict=True):
        for ax, t in zip(row, times, strict=True):
            ax.imshow(frames[min(t, len(frames) - 1)], interpolation="nearest")
            ax.set_xticks([])
            ax.set_yticks([])
        row[0].set_ylabel(name)
    for ax, name in zip(axes[0], columns or [f"frame {t}" for t in times], strict=True):
        ax.set_title(name, fontsize=9)
    figure.suptitle(title)
    return figure


def through_v(frame: np.ndarray, z: np.ndarray, painted: np.ndarray) -> Figure:
    """A frame, the z (Z,) that V makes of it, and the frame that V paints from z."""
    figure = Figure(8, 2.8)
    left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1.6, 1])
    for ax, picture, title in ((left, frame, "what V sees"), (right, painted, "what V paints from z")):
        ax.imshow(picture, interpolation="nearest")
        ax.set_xticks([])
        ax.set_yticks([])
        ax.set_title(title)
    middle.bar(np.arange(len(z)), z, color=BLUE)
    middle.axhline(0, color=GREY, lw=0.8)
    middle.set_xlabel("element of z")
    middle.set_ylabel("value")
    middle.set_title(f"z, {len(z)} numbers")
    return figure


def reward_lines(rewards: dict[str, np.ndarray], title: str) -> Figure:
    """Points gathered so far, over the frames of an episode. rewards: name -> (T,)."""
    figure, (ax,) = _figure(7, 3.2)
    for (name, values), colour in zip(rewards.items(), (BLUE, ORANGE, GREEN), strict=False):
        ax.plot(np.cumsum(values), color=colour, label=name)
    ax.set_xlabel("frame")
    ax.set_ylabel("points so far")
    ax.set_title(title)
    ax.grid(alpha=0.3)
    ax.legend(frameon=False)
    return figure


def score_histogram(returns: np.ndarray, interval: tuple[float, float], title: str) -> Figure:
    """All the returns of a score (n,), its mean and the mean's interval."""
    figure, (ax,) = _figure(7, 3.2)
    ax.hist(returns, bins=np.linspace(-100, max(1000, np.max(returns)), 23), color=BLUE, alpha=0.85)
    ax.axvline(np.mean(returns), color=ORANGE, lw=2, label=f"mean {np.mean(returns):.0f}")
    ax.axvspan(*interval, color=ORANGE, alpha=0.3, label="95 % interval of the mean")
    ax.set_xlabel("points in a game")
    ax.set_ylabel("games")
    ax.set_title(title)
    ax.legend(frameon=False)
    return figure


def training_curves(rows: list[dict], columns: dict[str, str], title: str) -> Figure:
    """A stage's events over its steps. columns: name in the events -> what it is, with its unit."""
    figure, axes = _figure(3.4 * len(columns), 3.0, len(columns))
    for ax, (name, label) in zip(axes, columns.items(), strict=True):
        points = [(row["step"], row[name]) for row in rows if name in row]
        ax.plot(*zip(*points, strict=True), color=BLUE)
        ax.set_xlabel("batch")
        ax.set_ylabel(label)
        ax.grid(alpha=0.3)
    figure.suptitle(title)
    return figure


def tempered(
    logpi: np.ndarray, mu: np.ndarray, logsigma: np.ndarray, tau: float, x: np.ndarray
) -> np.ndarray:
    """The weighed densities (n, K) of a mixture's Gaussians (K,) at temperature tau, at x (n,)."""
    weight = np.exp((logpi - logpi.max()) / tau)
    weight, sigma = weight / weight.sum(), np.exp(logsigma) * np.sqrt(tau)
    return weight * np.exp(-0.5 * ((x[:, None] - mu) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))


def mixture(
    logpi: np.ndarray,
    mu: np.ndarray,
    logsigma: np.ndarray,
    tau: float,
    drawn: np.ndarray,
    truth: float,
    title: str,
) -> Figure:
    """A mixture of Gaussians (K,) at temperature tau, draws from it (n,), and what came."""
    low, high = min(drawn.min(), truth) - 0.5, max(drawn.max(), truth) + 0.5
    x = np.linspace(low, high, 400)
    parts = tempered(logpi, mu, logsigma, tau, x)
    figure, (ax,) = _figure(7, 2.8)
    ax.hist(drawn, bins=40, density=True, color=GREY, alpha=0.35, label=f"{len(drawn)} draws")
    ax.plot(x, parts, color=BLUE, lw=0.9, ls="--")
    ax.plot(x, parts.sum(1), color=BLUE, lw=1.8, label="the mixture, its parts dashed")
    ax.axvline(truth, color=ORANGE, lw=2, label="what came")
    ax.set_xlabel("value")
    ax.set_ylabel("density")
    ax.set_title(f"{title}, τ = {tau:.2f}")
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def promise_and_pay(rows: list[dict], y: str, title: str) -> Figure:
    """An evolution in the dream: what that promises the candidates, and what the game pays their mean,
    both over as many steps, and so on one axis. rows: the evolution's events. y: what is counted."""
    figure, (ax,) = _figure(7, 3.4)
    promised = [(row["step"], row["mean"]) for row in rows if "mean" in row]
    paid = [(row["step"], row["real"], row["real_sd"], row["n"]) for row in rows if "real" in row]
    ax.plot(*zip(*promised, strict=True), color=BLUE, label="promised in dreams, to all candidates")
    steps, means, sds, ns = map(np.array, zip(*paid, strict=True))
    half = 1.96 * sds / np.sqrt(ns)
    label = "paid by the game, to their mean (95 %)"
    ax.errorbar(steps, means, half, color=ORANGE, marker="o", capsize=3, label=label)
    ax.set_xlabel("generation")
    ax.set_ylabel(y)
    ax.set_title(title)
    ax.grid(alpha=0.3)
    ax.legend(edgecolor="none")
    return figure


def dots(
    rows: Mapping[str, Sequence[float]],
    x: str,
    title: str,
    halves: Mapping[str, float] | None = None,
    ours: Collection[str] = (),
    line: float | None = None,
) -> Figure:
    """Values on a line for each name, the first on top, and their mean as a larger mark.

    Args:
        rows: name -> (n,); of one value nothing but the mark is drawn. halves: name -> half of the
            mean's interval, drawn as a bar. ours: names in another colour, and with another mark.
            line: where a dashed one stands.
    """
    halves = {name: half for name, half in (halves or {}).items() if np.isfinite(half)}
    figure, (ax,) = _figure(7.5, 1.1 + 0.3 * len(rows))
    chance = np.random.default_rng(0)  # so that equal values can be told apart
    for place, (name, values) in enumerate(rows.items()):
        colour, mark = (BLUE, "D") if name in ours else (ORANGE, "o")
        values = np.asarray(values, float)
        if len(values) > 8:
            ax.plot(values, place + chance.uniform(-0.25, 0.25, len(values)), ".", color=GREY, alpha=0.4)
        elif len(values) > 1:  # below the bar
            ax.plot(values, np.full(len(values), place + 0.25), ".", color=GREY)
        half = halves.get(name)
        ax.errorbar(values.mean(), place, xerr=half, color=colour, marker=mark, ms=6, capsize=3)
    if line is not None:
        ax.axvline(line, color=GREY, ls="--", lw=1)
    ax.set_yticks(range(len(rows)), rows)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlabel(x)
    ax.set_title(title)
    ax.grid(alpha=0.3)
    return figure


def stacked(rows: Mapping[str, Mapping[str, float]], x: str, title: str) -> Figure:
    """A bar for each name, made of parts that lie end to end. rows: name -> part -> how long it is."""
    figure, (ax,) = _figure(7.5, 1.9 + 0.35 * len(rows))
    parts = list(dict.fromkeys(part for row in rows.values() for part in row))
    reached = np.zeros(len(rows))
    for number, part in enumerate(parts):
        long = np.array([row.get(part, 0.0) for row in rows.values()])
        look = {"color": _CYCLE[number % len(_CYCLE)], "hatch": _HATCHES[number // len(_CYCLE)]}
        ax.barh(np.arange(len(rows)), long, 0.7, reached, label=part, edgecolor="white", **look)
        reached += long
    ax.set_yticks(range(len(rows)), rows)
    ax.invert_yaxis()
    ax.set_xlabel(x)
    ax.set_title(title)
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    return figure


_HATCHES = ("", "//", "..")
"""For parts beyond the colours."""
