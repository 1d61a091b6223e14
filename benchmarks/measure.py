"""How things are measured: side by side in one run, by turns, and the medians compared."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Row:
    """One line of the table. `ratio` says how many times better ours is, be it rate or memory."""

    name: str
    ours: float
    peer: float
    ratio: float
    unit: str
    what: str
    """What ours and the peer are."""


def rate(work: Callable[[], int]) -> float:
    """Units of work a second; `work` returns how many it did."""
    began = time.perf_counter()
    done = work()
    return done / (time.perf_counter() - began)


def side_by_side(
    name: str, unit: str, what: str, ours: Callable[[], int], peer: Callable[[], int], repeats: int
) -> Row:
    """Ours, the peer, ours, the peer...: so that a busy or hot moment of the machine falls on both."""
    rates = [(rate(ours), rate(peer)) for _ in range(repeats)]
    mine, theirs = (median(values) for values in zip(*rates, strict=True))
    return Row(name, round(mine, 1), round(theirs, 1), float(f"{mine / theirs:.3g}"), unit, what)
