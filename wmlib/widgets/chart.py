"""M's mixture, drawn by the page itself: in its colours, light or dark, and as wide as it is."""

from collections.abc import Iterable

import numpy as np
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from wmlib.figures import tempered

_HEIGHT = 230
_BINS = 40


def mixture_chart(
    logpi: np.ndarray,
    mu: np.ndarray,
    logsigma: np.ndarray,
    tau: float,
    drawn: np.ndarray,
    truth: float,
    says: str,
) -> str:
    """The HTML of a mixture of Gaussians (K,) at temperature tau, draws from it (n,), and what came.

    Args:
        says: what a screen reader reads out in its place.
    """
    low, high = min(drawn.min(), truth), max(drawn.max(), truth)
    low, high = low - 0.15 * (high - low), high + 0.15 * (high - low)
    x = np.linspace(low, high, 300)
    parts = tempered(logpi, mu, logsigma, tau, x)  # (300, K)
    counts, edges = np.histogram(drawn, bins=_BINS, range=(low, high), density=True)
    top = 1.08 * max(parts.sum(1).max(), counts.max())

    def path(xs: Iterable[float], ys: Iterable[float]) -> str:  # in hundredths of the picture's sides
        points = np.column_stack([(np.asarray(xs) - low) / (high - low), 1 - np.asarray(ys) / top])
        return "M" + "L".join(f"{100 * a:.2f} {100 * b:.2f}" for a, b in points)

    # Each bar's two upper corners, from the axis and back to it.
    bars = path([low, *np.repeat(edges, 2)[1:-1], high], [0, *np.repeat(counts, 2), 0])
    across, up = _marks(low, high, 7), _marks(0, top, 3)
    lines = [
        *(_path("grid", path([low, high], [value, value])) for value in [0, *up]),
        _path("game filled", bars),
        *(_path("dream thin", path(x, part)) for part in parts.T if part.max() > 0.01 * top),
        _path("dream", path(x, parts.sum(1))),
        _path("warm", path([truth, truth], [0, top])),
    ]
    ticks = [
        *(
            _tick(100 * (value - low) / (high - low), 100, text, "-50%, 4px")
            for value, text in across.items()
        ),
        *(_tick(0, 100 * (1 - value / top), text, "0, -100%") for value, text in up.items()),
    ]
    keys = [
        _key("game thick", f"{len(drawn)} draws"),
        _key("dream", "the mixture (thin: its parts)"),
        _key("warm", f"what came: {truth:+.2f}"),
    ]
    return (
        f'<div class="wmlib-chart" role="img" aria-label="{says}">'
        f'<div class="legend">{"".join(keys)}</div>'
        f'<div style="position:relative;height:{_HEIGHT}px;margin-bottom:24px">'
        '<svg viewBox="0 0 100 100" preserveAspectRatio="none" width="100%" height="100%">'
        f"{''.join(lines)}</svg>{''.join(ticks)}</div></div>"
    )


def _marks(low: float, high: float, count: int) -> dict[float, str]:
    """Round numbers between the two, about so many, and how they are written."""
    locator, formatter = MaxNLocator(count), ScalarFormatter(useOffset=False)
    formatter.create_dummy_axis()
    values = [value for value in locator.tick_values(low, high) if low < value < high]
    return dict(zip(values, formatter.format_ticks(values), strict=True))


def _path(kind: str, points: str) -> str:
    return f'<path class="{kind}" d="{points}"/>'


def _tick(left: float, top: float, text: str, shift: str) -> str:
    where = f"position:absolute;left:{left:.2f}%;top:{top:.2f}%;transform:translate({shift})"
    return f'<span class="axis" style="{where}">{text}</span>'


def _key(kind: str, text: str) -> str:
    return f'<span><i class="key {kind}"></i>{text}</span>'
