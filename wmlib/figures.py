"""Numbers in, a matplotlib Figure out. Colours are those that colour-blind readers can tell apart."""

import io

import numpy as np
from matplotlib import figure as matplotlib_figure

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#E69F00", "#009E73", "#777777"


class Figure(matplotlib_figure.Figure):
    """A figure that a notebook shows by itself: no pyplot, and so no state that lives between cells."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


def _figure(width: float, height: float, columns: int = 1, rows: int = 1):
    figure = Figure(figsize=(width, height), dpi=90, layout="constrained")
    return figure, np.atleast_1d(figure.subplots(rows, columns))


def film_strip(rows: dict[str, np.ndarray], times: list[int], title: str) -> Figure:
    """Pictures at chosen times, one row for each name. rows: name -> (T, 64, 64, 3) uint8."""
    figure, axes = _figure(1.5 * len(times), 1.6 * len(rows) + 0.5, len(times), len(rows))
    axes = axes.reshape(len(rows), len(times))
    for row, (name, frames) in zip(axes, rows.items(), strict=True):
        for ax, t in zip(row, times, strict=True):
            ax.imshow(frames[min(t, len(frames) - 1)], interpolation="nearest")
            ax.set_xticks([])
            ax.set_yticks([])
        row[0].set_ylabel(name)
    for ax, t in zip(axes[0], times, strict=True):
        ax.set_title(f"frame {t}", fontsize=9)
    figure.suptitle(title)
    return figure


def through_v(frame: np.ndarray, z: np.ndarray, painted: np.ndarray) -> Figure:
    """A frame, the z (Z,) that V makes of it, and the frame that V paints from z."""
    figure = Figure(figsize=(8, 2.8), dpi=90, layout="constrained")
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
    """All the returns of a score, its mean and the mean's interval."""
    figure, (ax,) = _figure(7, 3.2)
    ax.hist(returns, bins=np.arange(-100, 1001, 50), color=BLUE, alpha=0.85)
    ax.axvline(np.mean(returns), color=ORANGE, lw=2, label=f"mean {np.mean(returns):.0f}")
    ax.axvspan(*interval, color=ORANGE, alpha=0.3, label="95 % interval of the mean")
    ax.set_xlabel("points in a game")
    ax.set_ylabel("games")
    ax.set_title(title)
    ax.legend(frameon=False)
    return figure


def training_curves(rows: list[dict], names: list[str], title: str) -> Figure:
    """Columns of a stage's events over its steps."""
    figure, axes = _figure(3.4 * len(names), 3.0, len(names))
    for ax, name in zip(axes, names, strict=True):
        points = [(row["step"], row[name]) for row in rows if name in row]
        ax.plot(*zip(*points, strict=True), color=BLUE)
        ax.set_xlabel("batch")
        ax.set_title(name)
        ax.grid(alpha=0.3)
    figure.suptitle(title)
    return figure


def evolution_curve(rows: list[dict], title: str) -> Figure:
    """What the population scored in its world, and what its mean scored in the real game."""
    figure, (ax,) = _figure(7, 3.2)
    world = [(row["step"], row["mean"]) for row in rows if "mean" in row]
    real = [(row["step"], row["real"], row["real_sd"], row["n"]) for row in rows if "real" in row]
    ax.plot(*zip(*world, strict=True), color=BLUE, label="mean of the population")
    steps, means, sds, ns = map(np.array, zip(*real, strict=True))
    ax.errorbar(
        steps, means, 1.96 * sds / np.sqrt(ns), color=ORANGE, marker="o", capsize=3,
        label="validation in the real game (95 %)",
    )  # fmt: skip
    ax.set_xlabel("generation")
    ax.set_ylabel("points")
    ax.set_title(title)
    ax.grid(alpha=0.3)
    ax.legend(frameon=False)
    return figure
