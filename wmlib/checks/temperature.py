"""Notebook 06."""

from collections.abc import Callable

import numpy as np

from wmlib.checks.exercise import ask, exercise, expect


@exercise(1)
def check_odds(probability: Callable) -> None:
    """A probability from a loss in which ends weighed more, by counting."""
    for ends, others, weight in ((1, 9, 10.0), (3, 1, 5.0), (1, 1, 1.0)):
        said = weight * ends / (weight * ends + others)  # what such a loss teaches of so many steps
        answer = float(ask(probability, said, weight))
        wanted = ends / (ends + others)
        given = f"M says {said:.3f}, ends weighed {weight:g} times"
        expect(abs(answer - wanted) < 1e-6, f"{given}: it should be {wanted:.3f}, you gave {answer:.3f}")


@exercise(2)
def check_survival(survival: Callable) -> None:
    """The mean length of a dream, against many dreams that are played."""
    rng = np.random.default_rng(0)
    for p in (np.full(50, 0.1), np.linspace(0, 0.2, 30), np.array([0.0, 0.5, 1.0, 0.3])):
        alive, total = np.ones(200_000, bool), 0.0
        for chance in p:
            total += alive.mean()
            alive &= rng.random(len(alive)) >= chance
        answer = float(ask(survival, p))
        right = abs(answer - total) < 0.02 * total
        expect(right, f"for {p[:3]}... dreams last {total:.2f} steps on average, you gave {answer:.2f}")


@exercise(3)
def check_alarms(report: Callable) -> None:
    """Recall and false alarms of games small enough to count by hand."""
    quiet, late, early = np.zeros(8, bool), np.zeros(8, bool), np.zeros(8, bool)
    late[6], early[2] = True, True
    both = late | early
    for games, slack, wanted in (
        ([quiet, late], 3, (0.5, 0.0)),
        ([early, late], 3, (0.5, 1 / 8)),
        ([both, both, quiet], 2, (2 / 3, 2 / 15)),
        ([late, early], 0, (0.0, 2 / 14)),
    ):
        recall, false = ask(report, games, slack)
        right = abs(recall - wanted[0]) < 1e-6 and abs(false - wanted[1]) < 1e-6
        told = f"{len(games)} games, slack {slack}: it should be {wanted[0]:.3f} and {wanted[1]:.3f}"
        expect(right, f"{told}, you gave {recall:.3f} and {false:.3f}")
