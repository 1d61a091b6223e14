"""The ratios as bars, and the losses of both trainings batch by batch."""

from benchmarks.measure import Row
from benchmarks.training import Curves
from wmlib.figures import BLUE, GREY, ORANGE, Figure


def draw(rows: list[Row], curves: Curves) -> Figure:
    figure = Figure(11, 0.38 * len(rows) + 1.4, dpi=110)
    bars, *panels = figure.subplots(
        1, 1 + len(curves), width_ratios=[1.6, *[1] * len(curves)], squeeze=False
    )[0]
    names = [row.name for row in rows][::-1]
    ratios = [row.ratio for row in rows][::-1]
    drawn = bars.barh(names, ratios, color=BLUE)
    bars.bar_label(drawn, labels=[f"{ratio:.1f}x" for ratio in ratios], padding=3)
    bars.axvline(1, color=GREY, linestyle="--", linewidth=1)
    bars.set_xscale("log")
    bars.set_xlim(0.4, 2.5 * max(ratios))
    bars.set_title("Ours over the peer's (dashed: equal)")
    bars.set_xlabel("times as fast, or times less memory")
    for ax, (name, lines) in zip(panels, curves.items(), strict=True):
        ax.plot(lines["peer"], color=ORANGE, linewidth=3, label="peer")
        ax.plot(lines["ours"], color=BLUE, linewidth=1.2, label="ours")
        ax.set_title(f"{name}: losses")
        ax.set_xlabel("batch")
        ax.set_ylabel("loss")
        ax.legend()
    return figure
